import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ViewerDocument } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { startProduct, type Product } from '../support/product.js';

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => product.stop());

const HOUR = 3_600_000;

test('a 3-D Secure step that nobody does lapses after twenty-three hours, and the waiting client is told', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_authenticationRequired');
  const feed = await ana.follow();
  const { transaction, subscription, nextAction } = await ana.subscribe();
  expect([transaction?.status, subscription?.status]).toEqual(['REQUIRES_ACTION', 'INCOMPLETE']);
  expect(nextAction?.redirectUrl).toContain(product.standInUrl);

  await product.advance(22 * HOUR);
  // The worker looks (by a probe, or by a webhook that was still on its way), finds the step open, and plans its next look.
  await eventually(async () => {
    const [planned] = await product.query<{ next_action_at: Date }>(
      'select next_action_at from payment_attempt where user_id = $1',
      [ana.userId],
    );
    expect(planned?.next_action_at.getTime()).toBeGreaterThan(product.now().getTime());
  });
  expect(feed.statuses(transaction?.id)).toEqual(['PENDING', 'REQUIRES_ACTION']);

  await product.advance(HOUR + 60_000);
  const end = await feed.hasStatus('CANCELED', transaction?.id);
  expect(end.subscription?.status).toBe('INCOMPLETE_EXPIRED');
  expect(end.nextAction).toBeNull();
  expect(feed.statuses(transaction?.id)).toEqual(['PENDING', 'REQUIRES_ACTION', 'CANCELED']);
  const { viewer } = await ana.get(ViewerDocument, {});
  expect(viewer?.currentSubscription).toBeNull();
  expect(viewer?.entitlements).toEqual([]);
  const { paymentIntents, charges } = await product.truth();
  expect(paymentIntents.map(({ status }) => status)).toEqual(['canceled']);
  expect(charges.filter(({ paid }) => paid)).toEqual([]);

  await ana.addCard('pm_card_visa');
  expect((await ana.subscribe()).subscription?.status).toBe('ACTIVE');
  await product.expectSoundBooks();
});
