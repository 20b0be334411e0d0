import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, priceId, someUser, startWorld, withCard, type World } from '../support/world.js';
import type { PriceId } from '../../src/domain/ids.js';
import { eventually } from '../support/eventually.js';

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

test('a backlog is carried by looking each change up by its key, also when statistics say that hardly any is waiting', async () => {
  const write = async (publishedAt: Date | null): Promise<unknown> =>
    world.query(
      `insert into outbox_event (bucket, id, user_id, seq, type, data, published_at)
       select id_bucket(id), id, null, null, 'invoice', '{}', $1 from (select uuidv7() as id from generate_series(1, 1000)) made`,
      [publishedAt],
    );
  /** What was done to the outbox so far: rows updated, and entries of indexes read. */
  const done = async (): Promise<{ updated: number; read: number }> => {
    const [row] = await world.query<{ updated: number; read: number }>(
      `select (select sum(n_tup_upd)::int from pg_stat_user_tables where relname like 'outbox_event%') as updated,
         (select sum(idx_tup_read)::int from pg_stat_user_indexes where relname like 'outbox_event%') as read`,
    );
    return row ?? { updated: 0, read: 0 };
  };
  await write(world.clock.now());
  await world.query('analyze outbox_event');
  await write(null);
  const before = await done();
  await world.work('relay');
  expect(await world.query('select from outbox_event where published_at is null')).toEqual([]);
  // A connection tells what it did at the end of a transaction, once a second.
  const after = await eventually(async () => {
    await world.work('relay');
    const now = await done();
    expect(now.updated - before.updated).toBeGreaterThanOrEqual(1_000);
    return now;
  });
  expect(after.read - before.read).toBeLessThan(10_000);
});
