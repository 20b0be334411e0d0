import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId, type PriceId } from '../../src/domain/ids.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { startProduct, type Product } from '../support/product.js';

const BUYERS = 200;

let product: Product;
beforeAll(async () => {
  product = await startProduct({ settings: { DATABASE_POOL: '10' } });
});
afterAll(async () => product.stop());

/** What Stripe charged, as lines of user and amount. */
async function charged(): Promise<string[]> {
  const customers = await product.query<{ user_id: string; object_id: string }>(
    'select user_id, object_id from provider_customer',
  );
  const userOf = new Map(customers.map((row) => [row.object_id, row.user_id]));
  const { charges } = await product.truth();
  return charges
    .filter(({ paid }) => paid)
    .map(({ customer, amount }) => `${typeof customer === 'string' ? userOf.get(customer) : null} ${amount}`);
}

test('of two hundred users who buy at once over ten connections each gets an answer and is charged once', async () => {
  const [price] = await product.query<{ id: string }>(
    "select p.id from price p join product o on o.id = p.product_id where o.key = 'theme_pack' and p.currency = 'USD'",
  );
  const priceId = publicId('price', price?.id as PriceId);
  const buyers = await Promise.all(Array.from({ length: BUYERS }, () => product.person('buyer')));
  await eachAtMost(buyers, 8, async (buyer) => void (await buyer.addCard()));
  await product.fault({ operation: '*', kind: 'slow', probability: 1, ms: 50 });

  const answers = await Promise.all(buyers.map((buyer) => buyer.tryPurchase(priceId)));
  expect(answers.flatMap(({ errors, data }) => [...errors, ...(data?.purchase.userErrors ?? [])])).toEqual([]);
  expect(new Set(answers.map(({ data }) => data?.purchase.transaction?.status))).toEqual(new Set(['SUCCEEDED']));
  expect(new Set(answers.map(({ data }) => data?.purchase.transaction?.id)).size).toBe(BUYERS);
  expect((await charged()).toSorted()).toEqual(buyers.map(({ userId }) => `${userId} 499`).toSorted());
  await product.expectSoundBooks();
}, 240_000);
