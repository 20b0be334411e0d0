import { expect, test } from '@jest/globals';
import type { PriceId } from '../../../src/domain/ids.js';
import { quotePurchase, type PurchaseFacts } from '../../../src/domain/catalogue/purchase.js';
import {
  ANY_COUNTRY,
  isOnSale,
  priceAt,
  refuseMethod,
  refuseUnsold,
  type MethodFacts,
  type PriceKey,
} from '../../../src/domain/catalogue/price.js';

const now = new Date('2026-02-10T00:00:00Z');
const before = new Date('2026-01-01T00:00:00Z');
const aPrice = (id: string, more: Partial<PriceKey> = {}): PriceKey => ({
  id: id as PriceId,
  subjectId: 'premium',
  intervalUnit: 'month',
  intervalCount: 1,
  country: 'ZZ',
  currency: 'USD',
  validFrom: before,
  validTo: null,
  ...more,
});

test('a price is on sale from its first instant up to its last, which is out', () => {
  expect(isOnSale({ validFrom: now, validTo: null }, now)).toBe(true);
  expect(isOnSale({ validFrom: before, validTo: now }, now)).toBe(false);
  expect(isOnSale({ validFrom: new Date(now.getTime() + 1), validTo: null }, now)).toBe(false);
});

test('the price of the country wins over the one for any country, and no price is ever converted', () => {
  const prices = [aPrice('any'), aPrice('india', { country: 'IN' }), aPrice('old', { country: 'BR', validTo: before })];
  const wanted = (country: string, currency = 'USD') =>
    priceAt(prices, { ...aPrice('wanted'), country, currency }, now)?.id ?? null;
  expect(wanted('IN')).toBe('india');
  expect(wanted('BR')).toBe('any');
  expect(wanted('IN', 'EUR')).toBeNull();
});

const onSale = { country: ANY_COUNTRY, acceptedKinds: ['card'], validFrom: before, validTo: null, status: 'active' as const };

test('a draft is not told from what does not exist, and a retired tier is not sold', () => {
  const toAnybody = { country: null, now };
  expect(refuseUnsold({ ...onSale, status: 'draft' }, toAnybody)?.code).toBe('NOT_FOUND');
  expect(refuseUnsold({ ...onSale, status: 'retired' }, toAnybody)?.code).toBe('NOT_FOR_SALE');
  expect(refuseUnsold({ ...onSale, validTo: now }, toAnybody)?.code).toBe('NOT_FOR_SALE');
  expect(refuseUnsold(onSale, toAnybody)).toBeNull();
});

test.each<{ sold: string; lives: string | null; code: string | null }>`
  sold    | lives   | code
  ${'ZZ'} | ${'IN'} | ${null}
  ${'IN'} | ${'IN'} | ${null}
  ${'IN'} | ${null} | ${null}
  ${'IN'} | ${'BR'} | ${'NOT_FOR_SALE'}
`('a price of $sold for who lives in $lives: $code', ({ sold, lives, code }) => {
  expect(refuseUnsold({ ...onSale, country: sold }, { country: lives, now })?.code ?? null).toBe(code);
});

test.each<{ method: MethodFacts | null; isAsked: boolean; code: string | null }>`
  method                                              | isAsked  | code
  ${{ kind: 'card', status: 'active' }}               | ${true}  | ${null}
  ${{ kind: 'card', status: 'expired' }}              | ${true}  | ${'PAYMENT_METHOD_UNUSABLE'}
  ${{ kind: 'card', status: 'pending_verification' }} | ${true}  | ${'PAYMENT_METHOD_UNUSABLE'}
  ${{ kind: 'bank_account', status: 'active' }}       | ${true}  | ${'PAYMENT_METHOD_UNUSABLE'}
  ${{ kind: 'card', status: 'removed' }}              | ${true}  | ${'NOT_FOUND'}
  ${null}                                             | ${true}  | ${'NOT_FOUND'}
  ${null}                                             | ${false} | ${'PAYMENT_METHOD_UNUSABLE'}
`('paying with $method, named: $isAsked, gives $code', ({ method, isAsked, code }) => {
  expect(refuseMethod(method, isAsked, ['card'])?.code ?? null).toBe(code);
});

const wish: PurchaseFacts = {
  price: {
    id: 'sticker',
    taxBehavior: 'exclusive',
    amount: { minor: 500n, currency: 'USD' },
    country: ANY_COUNTRY,
    status: 'active',
    acceptedKinds: ['card'],
    validFrom: before,
    validTo: null,
  },
  quantity: 3,
  country: null,
  ratePpm: 0,
  balanceMinor: 0n,
  expectedAmount: { minor: 1_500n, currency: 'USD' },
  method: { kind: 'card', status: 'active' },
  isMethodAsked: true,
  now,
};

test('three pieces cost three times the price', () => {
  expect(quotePurchase(wish)).toMatchObject({ kind: 'approved', sums: { totalMinor: 1_500n, dueMinor: 1_500n } });
});

test('tax comes on top of all pieces together, and the balance pays first, without any method where it pays all (T3, P7, V2)', () => {
  const taxed = { ...wish, ratePpm: 190_000, expectedAmount: null };
  expect(quotePurchase(taxed)).toMatchObject({ sums: { netMinor: 1_500n, taxMinor: 285n, dueMinor: 1_785n } });
  expect(quotePurchase({ ...taxed, balanceMinor: 1_000n })).toMatchObject({
    sums: { creditAppliedMinor: 1_000n, dueMinor: 785n },
  });
  const paid = quotePurchase({ ...taxed, balanceMinor: 2_000n, method: null, isMethodAsked: false });
  expect(paid).toMatchObject({ kind: 'approved', sums: { settlement: 'balance', dueMinor: 0n } });
});

test.each<[string, Partial<PurchaseFacts>, string]>([
  ['no piece', { quantity: 0 }, 'INVALID_INPUT'],
  ['101 pieces', { quantity: 101 }, 'INVALID_INPUT'],
  ['half a piece', { quantity: 0.5 }, 'INVALID_INPUT'],
  [
    'more than a payment can take',
    { quantity: 100, price: { ...wish.price, amount: { minor: 1_000_000n, currency: 'USD' } } as PurchaseFacts['price'] },
    'INVALID_INPUT',
  ],
  ['an unknown price', { price: null }, 'NOT_FOUND'],
  [
    'the price of another country',
    { price: { ...wish.price, country: 'IN' } as PurchaseFacts['price'], country: 'BR' },
    'NOT_FOR_SALE',
  ],
  ['the price of one piece', { expectedAmount: { minor: 500n, currency: 'USD' } }, 'PRICE_CHANGED'],
  ['a removed card', { method: { kind: 'card', status: 'removed' } }, 'NOT_FOUND'],
])('buying with %s is refused', (_, more, code) => {
  expect(quotePurchase({ ...wish, ...more })).toMatchObject({ kind: 'refused', code });
});
