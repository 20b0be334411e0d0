import { expect, test } from '@jest/globals';
import type { Coupon } from '../../../src/domain/catalogue/coupon.js';
import {
  checkCatalogue,
  planCoupons,
  planPrices,
  planTaxRates,
  type Catalogue,
  type CataloguePrice,
  type CatalogueTier,
} from '../../../src/domain/catalogue/catalogue.js';
import { aCoupon } from '../../builders/lifecycle-facts.js';

const now = new Date('2026-02-10T00:00:00Z');
const before = new Date('2026-01-01T00:00:00Z');
const after = new Date('2026-03-01T00:00:00Z');
const uuid = (n: number) => `01941f29-7c00-7000-8000-${String(n).padStart(12, '0')}`;

const aPrice = (n: number, more: Partial<CataloguePrice> = {}): CataloguePrice => ({
  id: uuid(n),
  intervalUnit: 'month',
  intervalCount: 1,
  country: 'ZZ',
  currency: 'USD',
  amountMinor: 800n,
  taxBehavior: 'exclusive',
  trialDays: 0,
  acceptedKinds: ['card'],
  validFrom: before,
  validTo: null,
  ...more,
});
const aTier = (more: Partial<CatalogueTier> = {}): CatalogueTier => ({
  id: uuid(1),
  key: 'premium',
  group: 'membership',
  name: 'Premium',
  description: '',
  rank: 2,
  status: 'active',
  features: [{ key: 'longer_posts', limit: 100n }],
  prices: [aPrice(2)],
  ...more,
});
const aCatalogue = (tiers: CatalogueTier[]): Catalogue => ({
  providerAccounts: [{ id: 1, provider: 'stripe', region: 'local', legalEntity: 'Example', activeSince: before }],
  features: [
    { key: 'longer_posts', kind: 'limit', name: 'Longer posts', description: '' },
    { key: 'no_ads', kind: 'boolean', name: 'No ads', description: '' },
  ],
  tiers,
  products: [],
  coupons: [],
  taxRates: [],
});
const basic = (more: Partial<CatalogueTier>) => aTier({ id: uuid(5), key: 'basic', rank: 1, prices: [], features: [], ...more });

test('a sound catalogue has no problems', () => {
  expect(checkCatalogue(aCatalogue([aTier()]))).toEqual([]);
});

test.each<[string, CatalogueTier[], RegExp]>([
  ['an id twice', [aTier({ prices: [aPrice(1)] })], /The id \S+ is there more than once/],
  ['a key twice', [aTier(), basic({ key: 'premium', group: 'other' })], /The tier premium is there more than once/],
  ['a key of a wrong form', [aTier({ key: 'Premium+' })], /Key Premium\+ has a wrong form/],
  ['an id that is no UUIDv7', [aTier({ id: 'premium' })], /Id premium is not a UUIDv7/],
  ['an unknown feature', [aTier({ features: [{ key: 'wings', limit: null }] })], /which is no feature/],
  ['a limit for an on-off feature', [aTier({ features: [{ key: 'no_ads', limit: 3n }] })], /which has none/],
  ['a limit of nothing', [aTier({ features: [{ key: 'longer_posts', limit: 0n }] })], /not positive/],
  ['two tiers of one rank', [aTier(), basic({ rank: 2 })], /have the same rank/],
  [
    'a lower tier with a feature of its own',
    [aTier(), basic({ features: [{ key: 'no_ads', limit: null }] })],
    /premium gives less of no_ads than basic/,
  ],
  [
    'a lower tier with a higher limit',
    [aTier(), basic({ features: [{ key: 'longer_posts', limit: 101n }] })],
    /gives less of longer_posts/,
  ],
  [
    'a lower tier without a limit',
    [aTier(), basic({ features: [{ key: 'longer_posts', limit: null }] })],
    /gives less of longer_posts/,
  ],
  ['a currency that is not sold', [aTier({ prices: [aPrice(2, { currency: 'IQD' })] })], /is in IQD, which is not sold/],
  ['no currency', [aTier({ prices: [aPrice(2, { currency: 'usd' })] })], /is in usd, which is not sold/],
  ['an amount below the smallest charge', [aTier({ prices: [aPrice(2, { amountMinor: 49n })] })], /is less than 0\.50 USD/],
  [
    'an amount above the largest charge',
    [aTier({ prices: [aPrice(2, { amountMinor: 100_000_000n })] })],
    /more than one payment can take/,
  ],
  [
    'an amount between two steps',
    [aTier({ prices: [aPrice(2, { currency: 'KWD', amountMinor: 905n })] })],
    /not a multiple of 0\.010 KWD/,
  ],
  ['a trial of half a day', [aTier({ prices: [aPrice(2, { trialDays: 0.5 })] })], /a trial that is not of 0 to 365 days/],
  ['an end before the start', [aTier({ prices: [aPrice(2, { validTo: before })] })], /ends before it begins/],
  ['no country code', [aTier({ prices: [aPrice(2, { country: 'India' })] })], /no country code/],
  [
    'an unknown kind of method',
    [aTier({ prices: [aPrice(2, { acceptedKinds: ['cash'] })] })],
    /unknown kinds of payment method: cash/,
  ],
  [
    'two prices for the same thing at once',
    [aTier({ prices: [aPrice(2), aPrice(3, { validFrom: now })] })],
    /are on sale at the same time/,
  ],
])('a catalogue with %s is refused', (_, tiers, problem) => {
  expect(checkCatalogue(aCatalogue(tiers)).join('\n')).toMatch(problem);
});

test('a price may follow another, and a country may have its own', () => {
  const prices = [aPrice(2, { validTo: now }), aPrice(3, { validFrom: now }), aPrice(4, { country: 'IN' })];
  expect(checkCatalogue(aCatalogue([aTier({ prices })]))).toEqual([]);
});

const priced = (price: CataloguePrice, subjectId = uuid(1)) => ({ subjectId, price });

test('what is new is added, what is gone ends now, and what has ended already is left alone', () => {
  const published = [
    aPrice(2),
    aPrice(3, { validTo: before }),
    aPrice(4, { validFrom: after }),
    aPrice(5, { validTo: after }),
  ].map((p) => priced(p));
  expect(planPrices(published, [priced(aPrice(6))], now)).toEqual({
    added: [priced(aPrice(6))],
    ended: [
      { id: uuid(2), validTo: now },
      { id: uuid(4), validTo: after },
      { id: uuid(5), validTo: now },
    ],
    problems: [],
  });
});

test('the end of a price may be set and moved until it has come', () => {
  expect(planPrices([priced(aPrice(2))], [priced(aPrice(2, { validTo: after }))], now).ended).toEqual([
    { id: uuid(2), validTo: after },
  ]);
  expect(planPrices([priced(aPrice(2, { validTo: after }))], [priced(aPrice(2))], now).ended).toEqual([
    { id: uuid(2), validTo: null },
  ]);
  expect(planPrices([priced(aPrice(2, { validTo: before }))], [priced(aPrice(2))], now).problems).toHaveLength(1);
});

test.each<[string, Partial<CataloguePrice>]>([
  ['amount', { amountMinor: 801n }],
  ['currency', { currency: 'EUR' }],
  ['interval', { intervalUnit: 'year' }],
  ['country', { country: 'IN' }],
  ['tax behaviour', { taxBehavior: 'inclusive' }],
  ['days of trial', { trialDays: 7 }],
  ['kinds of payment method', { acceptedKinds: ['card', 'paypal'] }],
  ['start', { validFrom: now }],
])('a published price may not change its %s', (field, more) => {
  const { problems } = planPrices([priced(aPrice(2))], [priced(aPrice(2, more))], now);
  expect(problems).toEqual([`Price ${uuid(2)} is published and may not change its ${field}: make a new price instead.`]);
});

test('a published price stays with its tier', () => {
  const { problems } = planPrices([priced(aPrice(2))], [priced(aPrice(2), uuid(9))], now);
  expect(problems[0]).toContain('tier or product');
});

const quarter = (more: Partial<Coupon> = {}): Coupon => aCoupon({ id: uuid(20), ...more });
const vat = { country: 'DE', region: null, taxCode: 'digital', validFrom: '2026-01-01', ratePpm: 190_000 };

test('sound coupons and tax rates have no problems', () => {
  const coupons = [
    quarter(),
    quarter({ id: uuid(21), code: 'FIVE-OFF', percentOffBps: null, amountsOff: { USD: 500n, KWD: 10n }, maxRedemptions: 1 }),
  ];
  const taxRates = [vat, { ...vat, validFrom: '2027-01-01' }, { ...vat, region: 'BY' }];
  expect(checkCatalogue({ ...aCatalogue([aTier()]), coupons, taxRates })).toEqual([]);
});

test.each<[string, Coupon[], RegExp]>([
  ['a code twice', [quarter(), quarter({ id: uuid(21) })], /The coupon QUARTER is there more than once/],
  ['the id of a price', [quarter({ id: uuid(2) })], /The id \S+ is there more than once/],
  ['a code in small letters', [quarter({ code: 'quarter' })], /Coupon quarter has a code of a wrong form/],
  ['nothing to take off', [quarter({ percentOffBps: null })], /neither or both/],
  ['two things to take off', [quarter({ amountsOff: { USD: 1n } })], /neither or both/],
  ['more than all to take off', [quarter({ percentOffBps: 10_001 })], /not from 1 to 10000/],
  ['a currency that is not sold', [quarter({ percentOffBps: null, amountsOff: { IQD: 1n } })], /IQD, which is not sold/],
  ['an amount between two steps', [quarter({ percentOffBps: null, amountsOff: { KWD: 5n } })], /no possible amount of KWD/],
  ['no interval', [quarter({ intervalUnits: [] })], /no or unknown intervals/],
  ['no period', [quarter({ durationPeriods: 0 })], /works for no period/],
  ['nobody to claim it', [quarter({ maxRedemptions: 0 })], /claimed by nobody/],
])('a coupon with %s is refused', (_, coupons, problem) => {
  expect(checkCatalogue({ ...aCatalogue([aTier()]), coupons }).join('\n')).toMatch(problem);
});

test('a tax rate needs a country, is no more than the whole, and is told once for a day', () => {
  const taxRates = [{ ...vat, country: 'Germany' }, { ...vat, ratePpm: 1_000_001 }, vat];
  expect(checkCatalogue({ ...aCatalogue([aTier()]), taxRates })).toEqual([
    'The tax rate DE digital from 2026-01-01 is there more than once.',
    'Tax rate Germany digital from 2026-01-01 has no country code.',
    'Tax rate DE digital from 2026-01-01 is not from 0 to a million parts per million.',
  ]);
});

test('a coupon that left the file can be claimed no more, and nothing of a published one changes but its end', () => {
  expect(planCoupons([quarter()], [], now)).toEqual({ added: [], ended: [{ id: uuid(20), redeemBy: now }], problems: [] });
  expect(planCoupons([quarter({ redeemBy: before })], [], now).ended).toEqual([]);
  expect(planCoupons([quarter()], [quarter({ redeemBy: after })], now).ended).toEqual([{ id: uuid(20), redeemBy: after }]);
  expect(planCoupons([quarter()], [quarter()], now)).toEqual({ added: [], ended: [], problems: [] });
  expect(planCoupons([quarter()], [quarter({ percentOffBps: 5_000 })], now).problems).toEqual([
    'Coupon QUARTER is published and may change nothing but its end: make a new coupon instead.',
  ]);
  expect(planCoupons([quarter()], [quarter({ id: uuid(21) })], now).problems).toEqual([
    "The code QUARTER was another coupon's: it stays so.",
  ]);
});

test('a tax rate stays as it was told, and another follows it from a later day', () => {
  const later = { ...vat, validFrom: '2027-01-01', ratePpm: 160_000 };
  expect(planTaxRates([vat], [vat, later])).toEqual({ added: [later], problems: [] });
  expect(planTaxRates([vat], [])).toEqual({ added: [], problems: [] });
  expect(planTaxRates([vat], [{ ...vat, ratePpm: 200_000 }]).problems).toEqual([
    'Tax rate DE digital from 2026-01-01 is published as 190000: add one from a later day instead.',
  ]);
});
