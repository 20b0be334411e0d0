import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId } from '../../src/domain/ids.js';
import { composeInvoice } from '../../src/domain/invoice/invoice.js';
import type { Commands } from '../../src/usecases/contract.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
const PRICE = publicId('price', CATALOGUE.prices.plusMonth);
const QUARTER = '01950000-0000-7000-8000-000000000031';
const FIVE = '01950000-0000-7000-8000-000000000032';
const line = {
  priceId: CATALOGUE.prices.plusMonth,
  description: 'Plus',
  start: new Date('2026-03-10T12:00:00Z'),
  end: new Date('2026-04-10T12:00:00Z'),
  netMinor: 504n,
  discountMinor: 200n,
  taxMinor: 96n,
  ratePpm: 190_000,
  taxBehavior: 'inclusive' as const,
  isProration: false,
};

let graph: TestGraph;
beforeAll(async () => {
  graph = await startGraph();
  await graph.database.ownerPool.query(`
    insert into coupon (id, code, percent_off_bps, amounts_off, duration_periods, interval_units, redeem_by) values
      ('${QUARTER}', 'QUARTER', 2500, null, 3, '{month}', '2027-01-01T00:00:00Z'),
      ('${FIVE}', 'FIVE', null, '{"USD": 500, "EUR": 450}', null, '{month,year}', null)`);
  await graph.catalogue.reload();
  await graph.rows.customer('ana');
  await graph.rows.customer('ben');
});
afterAll(() => graph.stop());

const DISCOUNT = `query ($id: ID!) { userSubscription(id: $id) {
  trialEndsAt discount { endsAt coupon { code percentOffBasisPoints amountOff { decimal currency } durationPeriods redeemBy } } } }`;

test('a subscription shows the coupon at work on it, in its own currency, and until when it works', async () => {
  const id = await graph.rows.subscription('ana', PLUS);
  const shown = async () => at(await graph.ask(ANA, DISCOUNT, { id: publicId('sub', id) }), 'userSubscription');
  expect(await shown()).toEqual({ trialEndsAt: null, discount: null });
  const redemption = await graph.rows.redemption('ana', QUARTER, id, { periods_left: 2 });
  expect(await shown()).toEqual({
    trialEndsAt: null,
    discount: {
      endsAt: '2026-06-01T09:10:00.000Z',
      coupon: {
        code: 'QUARTER',
        percentOffBasisPoints: 2_500,
        amountOff: null,
        durationPeriods: 3,
        redeemBy: '2027-01-01T00:00:00.000Z',
      },
    },
  });
  await graph.database.ownerPool.query(`update coupon_redemption set ended_at = now() where id = $1`, [redemption]);
  await graph.rows.redemption('ana', FIVE, id, { periods_left: null });
  expect(await shown()).toMatchObject({
    discount: { endsAt: null, coupon: { percentOffBasisPoints: null, amountOff: { decimal: '5.00', currency: 'USD' } } },
  });
  await graph.database.ownerPool.query(`update subscription set status = 'canceled' where id = $1`, [id]);
  expect(await shown()).toEqual({ trialEndsAt: null, discount: null });
});

test('a subscription in its trial says when that ends', async () => {
  const id = await graph.rows.subscription('ben', PLUS, { status: 'trialing', trial_ends_at: '2026-04-01T09:10:00Z' });
  const answer = await graph.ask({ userId: 'ben' }, DISCOUNT, { id: publicId('sub', id) });
  expect(at(answer, 'userSubscription', 'trialEndsAt')).toBe('2026-04-01T09:10:00.000Z');
});

test('a coupon is an object by its id, a fixed one in the first of its currencies', async () => {
  const NODE = 'query ($id: ID!) { monetizationNode(id: $id) { __typename id ... on Coupon { code amountOff { currency } } } }';
  const id = publicId('cpn', FIVE);
  expect(at(await graph.ask(ANA, NODE, { id }), 'monetizationNode')).toEqual({
    __typename: 'Coupon',
    id,
    code: 'FIVE',
    amountOff: { currency: 'EUR' },
  });
  const unknown = publicId('cpn', '01950000-0000-7000-8000-000000000033');
  expect(at(await graph.ask(ANA, NODE, { id: unknown }), 'monetizationNode')).toBeNull();
});

test('a preview shows lines that add up to the subtotal, and as total what a payment would collect', async () => {
  const PREVIEW = `query ($code: String!, $priceId: ID!) { couponPreview(code: $code, priceId: $priceId) {
    lines { description amount { decimal } periodStart periodEnd isProration }
    subtotal { decimal } discountTotal { decimal } taxTotal { decimal } total { decimal currency } chargeAt } }`;
  const commands: Partial<Commands> = {
    couponPreview: async (_, { code }) =>
      code !== 'quarter'
        ? null
        : {
            lines: [{ ...line, covers: { start: line.start, end: line.end } }],
            sums: composeInvoice([line], 'USD', 100n),
            chargeAt: line.start,
            currency: 'USD',
          },
  };
  const ask = (code: string, priceId: string) => graph.ask(ANA, PREVIEW, { code, priceId }, commands);
  expect(at(await ask('quarter', PRICE), 'couponPreview')).toEqual({
    lines: [
      {
        description: 'Plus',
        amount: { decimal: '7.04' },
        periodStart: '2026-03-10T12:00:00.000Z',
        periodEnd: '2026-04-10T12:00:00.000Z',
        isProration: false,
      },
    ],
    subtotal: { decimal: '7.04' },
    discountTotal: { decimal: '2.00' },
    taxTotal: { decimal: '0.96' },
    total: { decimal: '5.00', currency: 'USD' },
    chargeAt: '2026-03-10T12:00:00.000Z',
  });
  expect(at(await ask('other', PRICE), 'couponPreview')).toBeNull();
  expect(at(await ask('quarter', 'no price'), 'couponPreview')).toBeNull();
});

test('a coupon is put on the subscription that is named, and a wrong id is refused before the verb is run', async () => {
  const id = await graph.rows.subscription('ana', PLUS);
  const APPLY = `mutation ($input: ApplyCouponInput!) { applyCoupon(input: $input) {
    subscription { id } userErrors { code field } } }`;
  const seen: unknown[] = [];
  const commands: Partial<Commands> = {
    applyCoupon: async (actor, command) => {
      seen.push(actor.userId, command);
      return { subscriptionId: command.subscriptionId, refusals: [], isReplay: false };
    },
  };
  const ask = (subscriptionId: string) => graph.ask(ANA, APPLY, { input: { subscriptionId, code: 'quarter' } }, commands);
  expect(at(await ask(publicId('sub', id)), 'applyCoupon')).toEqual({
    subscription: { id: publicId('sub', id) },
    userErrors: [],
  });
  expect(seen).toEqual(['ana', { subscriptionId: id, code: 'quarter' }]);
  expect(at(await ask('no subscription'), 'applyCoupon')).toEqual({
    subscription: null,
    userErrors: [{ code: 'NOT_FOUND', field: ['input', 'subscriptionId'] }],
  });
  expect(seen).toHaveLength(2);
});
