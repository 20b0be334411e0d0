import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId, type Id, type PriceId } from '../../src/domain/ids.js';
import type { Answered } from '../../src/usecases/contract.js';
import { BASIC, CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
const KEY = '0123456789abcdef';
const DONE: Answered = { refusals: [], isReplay: false };
const { plusMonth, basicMonth } = CATALOGUE.prices;

let graph: TestGraph;
let subscriptionId: Id<'sub'>;
beforeAll(async () => {
  graph = await startGraph();
  await graph.rows.customer('ana');
  subscriptionId = await graph.rows.subscription('ana', PLUS);
  await graph.rows.setDefaultMethod('ana', await graph.rows.method('ana'));
});
afterAll(() => graph.stop());

const CHANGE = `mutation ($input: ChangeTierInput!) { changeTier(input: $input) {
  subscription { id status } transaction { id amount { decimal } } nextAction { type } userErrors { __typename code field } } }`;
const PREVIEW = `query ($input: PreviewTierChangeInput!) { previewTierChange(input: $input) {
  isUpgrade effectiveAt dueNow { decimal } credit { decimal } quoteId expiresAt
  nextInvoice { lines { description amount { decimal } isProration } total { decimal } chargeAt } } }`;
const UPCOMING = `{ viewer { currentSubscription { pendingChange { price { id } effectiveAt }
  upcomingInvoice { lines { description amount { decimal } periodStart periodEnd } discountTotal { decimal } taxTotal { decimal } total { decimal } chargeAt } } } }`;

test('a change is given what the client said, and answers with the objects as they are afterwards', async () => {
  const charge = await graph.rows.charge('ana', { subscriptionId }, { amount: 750 });
  const seen: unknown[] = [];
  const input = {
    subscriptionId: publicId('sub', subscriptionId),
    newPriceId: publicId('price', basicMonth),
    timing: 'PERIOD_END',
    quoteId: 'q',
    expectedVersion: 3,
    idempotencyKey: KEY,
  };
  const answer = await graph.ask(
    ANA,
    CHANGE,
    { input },
    {
      changeTier: async (actor, command) => {
        seen.push(actor.userId, command);
        return { ...DONE, subscriptionId, transactionId: charge };
      },
    },
  );
  const command = {
    subscriptionId,
    newPriceId: basicMonth,
    timing: 'period_end',
    quoteId: 'q',
    expectedVersion: 3,
    idempotencyKey: KEY,
  };
  expect(seen).toEqual(['ana', command]);
  expect(at(answer, 'changeTier')).toEqual({
    subscription: { id: publicId('sub', subscriptionId), status: 'ACTIVE' },
    transaction: { id: publicId('txn', charge), amount: { decimal: '7.50' } },
    nextAction: null,
    userErrors: [],
  });
});

test('ids of a wrong form and a short key are refused together, before the verb', async () => {
  const input = { subscriptionId: 'sub_1', newPriceId: 'price_1', idempotencyKey: 'short' };
  expect(at(await graph.ask(ANA, CHANGE, { input }), 'changeTier')).toEqual({
    subscription: null,
    transaction: null,
    nextAction: null,
    userErrors: [
      { __typename: 'InvalidInputError', code: 'NOT_FOUND', field: ['input', 'subscriptionId'] },
      { __typename: 'InvalidInputError', code: 'NOT_FOUND', field: ['input', 'newPriceId'] },
      { __typename: 'InvalidInputError', code: 'INVALID_INPUT', field: ['input', 'idempotencyKey'] },
    ],
  });
});

test('dropping what waits answers with the subscription, and refuses as a conflict of states', async () => {
  const drop = `mutation ($input: CancelPendingTierChangeInput!) { cancelPendingTierChange(input: $input) {
    subscription { id } userErrors { __typename code ... on StateConflictError { subscription { id } } } } }`;
  const input = { subscriptionId: publicId('sub', subscriptionId) };
  const answer = await graph.ask(
    ANA,
    drop,
    { input },
    {
      cancelPendingTierChange: async () => ({
        refusals: [{ code: 'INVALID_STATE', message: 'No change waits.', field: null, subscriptionId }],
        isReplay: false,
        subscriptionId: null,
        transactionId: null,
      }),
    },
  );
  expect(at(answer, 'cancelPendingTierChange')).toEqual({
    subscription: null,
    userErrors: [{ __typename: 'StateConflictError', code: 'INVALID_STATE', subscription: { id: input.subscriptionId } }],
  });
});

test('a preview is shown with its amounts and the next invoice; what would be refused, and odd ids, are null', async () => {
  const asked = { subscriptionId: publicId('sub', subscriptionId), newPriceId: publicId('price', plusMonth) };
  const start = new Date('2026-04-01T09:10:00Z');
  const end = new Date('2026-05-01T09:10:00Z');
  const amounts = { netMinor: 800n, discountMinor: 0n, taxMinor: 0n, ratePpm: 0 };
  const price = {
    id: plusMonth,
    amountMinor: 800n,
    currency: 'USD',
    intervalUnit: 'month' as const,
    intervalCount: 1,
    taxBehavior: 'inclusive' as const,
    tierGroup: 'membership',
    rank: 20,
  };
  const answer = await graph.ask(
    ANA,
    PREVIEW,
    { input: asked },
    {
      previewTierChange: async () => ({
        isUpgrade: true,
        effectiveAt: start,
        dueNow: { minor: 750n, currency: 'USD' },
        credit: { minor: 500n, currency: 'USD' },
        next: {
          chargeAt: end,
          price,
          period: { epoch: 0, n: 1, start, end },
          line: { ...amounts, priceId: plusMonth as PriceId, start, end, taxBehavior: 'inclusive', isProration: false },
          sums: {
            subtotalMinor: 800n,
            discountMinor: 0n,
            netMinor: 800n,
            taxMinor: 0n,
            totalMinor: 800n,
            creditAppliedMinor: 0n,
            debitCollectedMinor: 0n,
            dueMinor: 800n,
            carriedMinor: 0n,
            settlement: 'charge',
            balanceAfterMinor: 0n,
          },
        },
        quoteId: 'quote',
        expiresAt: end,
      }),
    },
  );
  expect(at(answer, 'previewTierChange')).toEqual({
    isUpgrade: true,
    effectiveAt: '2026-04-01T09:10:00.000Z',
    dueNow: { decimal: '7.50' },
    credit: { decimal: '5.00' },
    quoteId: 'quote',
    expiresAt: '2026-05-01T09:10:00.000Z',
    nextInvoice: {
      lines: [{ description: 'Plus', amount: { decimal: '8.00' }, isProration: false }],
      total: { decimal: '8.00' },
      chargeAt: '2026-05-01T09:10:00.000Z',
    },
  });
  expect(
    at(await graph.ask(ANA, PREVIEW, { input: asked }, { previewTierChange: async () => null }), 'previewTierChange'),
  ).toBeNull();
  expect(at(await graph.ask(ANA, PREVIEW, { input: { ...asked, newPriceId: 'price_?' } }), 'previewTierChange')).toBeNull();
});

test('what comes next is told: the price that waits, the coupon at work, tax, and what the balance pays', async () => {
  await graph.rows.customer('ben', { country: 'AT' });
  const id = await graph.rows.subscription('ben', PLUS, { pending_price_id: basicMonth });
  await graph.rows.setDefaultMethod('ben', await graph.rows.method('ben'));
  const pool = graph.database.ownerPool;
  await pool.query(
    "insert into tax_rate (country, valid_from, rate_ppm) values ('AT', '2026-01-01', 100000), ('AT', '2026-04-01', 250000)",
  );
  await pool.query("insert into customer_credit select bucket, user_id, 'USD', 120 from customer where user_id = 'ben'");
  expect(at(await graph.ask({ userId: 'ben' }, UPCOMING), 'viewer', 'currentSubscription')).toEqual({
    pendingChange: { price: { id: publicId('price', basicMonth) }, effectiveAt: '2026-04-01T09:10:00.000Z' },
    upcomingInvoice: {
      lines: [
        {
          description: 'Basic',
          amount: { decimal: '3.20' },
          periodStart: '2026-04-01T09:10:00.000Z',
          periodEnd: '2026-05-01T09:10:00.000Z',
        },
      ],
      discountTotal: { decimal: '0.00' },
      taxTotal: { decimal: '0.80' },
      total: { decimal: '2.80' },
      chargeAt: '2026-04-01T09:10:00.000Z',
    },
  });
  await pool.query('update subscription set cancel_at_period_end = true, pending_price_id = null where id = $1', [id]);
  expect(at(await graph.ask({ userId: 'ben' }, UPCOMING), 'viewer', 'currentSubscription')).toEqual({
    pendingChange: null,
    upcomingInvoice: null,
  });
});

test('in a pause what waits takes effect at its end, and the next invoice is of a period from then on', async () => {
  await graph.rows.customer('cem');
  await graph.rows.subscription('cem', BASIC, {
    status: 'paused',
    resumes_at: '2026-06-10T00:00:00Z',
    pending_price_id: plusMonth,
    entitled_until: '2026-04-01T09:10:00Z',
  });
  const told = at(await graph.ask({ userId: 'cem' }, UPCOMING), 'viewer', 'currentSubscription');
  expect(told).toMatchObject({
    pendingChange: { price: { id: publicId('price', plusMonth) }, effectiveAt: '2026-06-10T00:00:00.000Z' },
    upcomingInvoice: { total: { decimal: '8.00' }, chargeAt: '2026-06-10T00:00:00.000Z' },
  });
});
