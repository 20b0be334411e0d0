import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parsePublicId } from '../../src/domain/ids.js';
import { RefundDocument } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { click, newKey, Person, startProduct, type Product } from '../support/product.js';

let product: Product;
beforeAll(async () => {
  product = await startProduct({ withSecondGateway: true });
});
afterAll(async () => product.stop());

const FIFTY = Array.from({ length: 50 }, (_, i) => i);

async function paidCharges(person: Person) {
  const [row] = await product.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    person.userId,
  ]);
  const { charges } = await product.truth();
  return charges.filter((charge) => charge.paid && charge.customer === row?.object_id);
}

/** The same person, whose requests go to the other gateway. */
function atSecond({ userId, token, feeds }: Person): Person {
  return new Person(product.secondUrl, userId, token, feeds);
}

test('of fifty subscribes at once with keys of their own, at two gateways, one is made and charged', async () => {
  const ana = await product.person('ana');
  const there = atSecond(ana);
  await ana.addCard();
  const answers = await Promise.all(FIFTY.map((i) => (i % 2 === 0 ? ana : there).trySubscribe()));
  expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
  const payloads = answers.map(({ data }) => data?.subscribe);
  const made = payloads.filter((one) => one?.userErrors.length === 0);
  expect(made.map((one) => [one?.subscription?.status, one?.transaction?.status])).toEqual([['ACTIVE', 'SUCCEEDED']]);
  expect(new Set(payloads.flatMap((one) => one?.userErrors.map(({ code }) => code)))).toEqual(new Set(['ALREADY_SUBSCRIBED']));
  expect(await paidCharges(ana)).toHaveLength(1);
});

test('fifty subscribes at once with one key, at two gateways, have one result', async () => {
  const ana = await product.person('ana');
  const there = atSecond(ana);
  await ana.addCard();
  const idempotencyKey = newKey();
  const answers = await Promise.all(FIFTY.map((i) => (i % 2 === 0 ? ana : there).trySubscribe({ idempotencyKey })));
  expect(answers.flatMap(({ errors, data }) => [...errors, ...(data?.subscribe.userErrors ?? [])])).toEqual([]);
  expect(new Set(answers.map(({ data }) => data?.subscribe.transaction?.id)).size).toBe(1);
  expect(new Set(answers.map(({ data }) => data?.subscribe.subscription?.id)).size).toBe(1);
  expect(answers.filter(({ extensions }) => extensions['idempotentReplay'] !== true)).toHaveLength(1);
  expect(await paidCharges(ana)).toHaveLength(1);
});

test('of fifty refunds at once of sixty percent of a charge one succeeds', async () => {
  const [ana, sue] = [await product.person('ana'), await product.person('sue', ['support'])];
  await ana.addCard();
  const { transaction } = await ana.subscribe();
  const input = () => ({
    transactionId: transaction?.id ?? '',
    amount: { amountMinor: 480, currency: 'USD' },
    reason: 'REQUESTED' as const,
    idempotencyKey: newKey(),
  });
  const answers = await Promise.all(FIFTY.map(() => sue.get(RefundDocument, { input: input() })));
  expect(answers.filter(({ refund }) => refund.userErrors.length === 0)).toHaveLength(1);
  const codes = new Set(answers.flatMap(({ refund }) => refund.userErrors.map(({ code }) => code)));
  expect(codes).toEqual(new Set(['REFUND_EXCEEDS_CHARGE']));
  const [charge] = await paidCharges(ana);
  expect(charge?.amount_refunded).toBe(480);
});

test('a change that the worker makes reaches followers at two gateways within a second', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_threeDSecure2Required');
  const [here, there] = [await ana.follow(product.url), await ana.follow(product.secondUrl)];
  const { transaction, nextAction } = await ana.subscribe();
  await Promise.all([here, there].map((feed) => feed.hasStatus('REQUIRES_ACTION', transaction?.id)));
  await click(nextAction?.redirectUrl ?? '');
  const [event] = await Promise.all([
    untilApplied(transaction?.id ?? ''),
    here.hasStatus('SUCCEEDED', transaction?.id),
    there.hasStatus('SUCCEEDED', transaction?.id),
  ]);
  const toldAfterMs = performance.now() - event;
  expect(toldAfterMs).toBeLessThan(1_000);
  expect(here.statuses(transaction?.id)).toEqual(['PENDING', 'REQUIRES_ACTION', 'SUCCEEDED']);
  expect(there.statuses(transaction?.id)).toEqual(here.statuses(transaction?.id));
});

/** When the change was first seen in the database, by this machine's monotonic clock. */
async function untilApplied(id: string): Promise<number> {
  return eventually(async () => {
    const [row] = await product.query<{ status: string }>('select status from transaction where id = $1', [
      parsePublicId('txn', id),
    ]);
    expect(row?.status).toBe('succeeded');
    return performance.now();
  });
}

test('after all this the books are sound', async () => {
  await product.expectSoundBooks();
});
