import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';
import type { PriceId } from '../../src/domain/ids.js';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => world.stop());

test('many changes of few users are all carried at once, not one batch for each turn of the worker', async () => {
  const ana = await withCard(world, someUser());
  await world.commands.subscribe(ana, {
    priceId: (await priceId(world, { tier: 'premium' })) as PriceId,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  await world.query(
    `insert into outbox_event (bucket, id, user_id, seq, type, data)
     select o.bucket, (substr(o.id::text, 1, 19) || '8' || lpad(n::text, 3, '0') || substr(o.id::text, 24))::uuid, o.user_id, o.seq + n, o.type, o.data
     from (select * from outbox_event where user_id = $1 order by seq desc limit 1) o, generate_series(1, 200) n`,
    [ana.userId],
  );
  await world.work('relay');
  expect(await world.query('select from outbox_event where published_at is null')).toEqual([]);
});
