import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  confirmChange,
  decideDropPending,
  decidePaidChange,
  decidePendingChange,
  defaultTiming,
  MAX_PAID_CHANGES,
  quoteChange,
  quoteKey,
  QUOTE_HOLDS_MS,
  type ChangeAsked,
  type ChangeFacts,
  type ShownQuote,
} from '../../../src/domain/subscription/change-tier.js';
import { aChange, aCoupon, aLine, aPrice, aTarget } from '../../builders/lifecycle-facts.js';

const now = new Date('2025-02-14T09:00:00.700Z');
const ask = (more: Partial<ChangeAsked> = {}): ChangeAsked => ({ timing: null, expectedVersion: null, now, ...more });
const subscription = (more: Partial<ChangeFacts['subscription']>) => ({ ...aChange().subscription, ...more });

test('an upgrade takes effect at once for the rest of the period, less the unused part of what was paid', () => {
  const quote = quoteChange(aChange(), ask());
  expect(quote).toMatchObject({
    kind: 'now',
    isUpgrade: true,
    prorationAt: new Date('2025-02-14T09:00:00Z'),
    credit: { netMinor: 500n, taxMinor: 0n },
    sums: { totalMinor: 750n, dueMinor: 750n, settlement: 'charge' },
    anchor: null,
  });
});

test('a downgrade waits for the end of the period and costs nothing now', () => {
  const quote = quoteChange(aChange({ current: aPrice({ rank: 3 }) }), ask());
  expect(quote).toEqual({
    kind: 'at_period_end',
    priceId: 'premium',
    isUpgrade: false,
    effectiveAt: new Date('2025-02-28T09:00:00Z'),
  });
});

test('a downgrade at once gives what it does not use to the balance, never to the card', () => {
  const facts = aChange({ current: aPrice({ rank: 3 }), target: aTarget({ amountMinor: 400n }) });
  expect(quoteChange(facts, ask({ timing: 'now' }))).toMatchObject({
    kind: 'now',
    isCreditNote: true,
    credit: { netMinor: 500n },
    sums: { totalMinor: 200n, creditAppliedMinor: 200n, dueMinor: 0n, settlement: 'balance', balanceAfterMinor: 300n },
  });
});

test('a longer interval at the same rank charges a full new period from now, less the unused part of the old', () => {
  const target = aTarget({ rank: 1, intervalUnit: 'year', amountMinor: 100_00n });
  expect(quoteChange(aChange({ target }), ask())).toMatchObject({
    kind: 'now',
    sums: { totalMinor: 95_00n },
    anchor: {
      anchorLocal: '2025-02-14T09:00:00',
      period: { epoch: 1, n: 0, start: new Date('2025-02-14T09:00:00Z'), end: new Date('2026-02-14T09:00:00Z') },
    },
  });
});

test.each([
  ['a higher rank', aTarget(), 'now'],
  ['a higher rank that costs less', aTarget({ amountMinor: 1n }), 'now'],
  ['a lower rank', aTarget({ rank: 0 }), 'period_end'],
  ['a lower rank that costs more', aTarget({ rank: 0, amountMinor: 99_00n }), 'period_end'],
  ['the same rank at a higher price', aTarget({ rank: 1 }), 'now'],
  ['the same rank at a lower price', aTarget({ rank: 1, amountMinor: 1n }), 'period_end'],
  ['the same rank for a year, cheaper by the month', aTarget({ rank: 1, intervalUnit: 'year', amountMinor: 100_00n }), 'now'],
  ['a lower rank for a year', aTarget({ rank: 0, intervalUnit: 'year' }), 'period_end'],
  ['a higher rank for a week', aTarget({ intervalUnit: 'week' }), 'period_end'],
  ['the same rank for three months', aTarget({ rank: 1, intervalCount: 3 }), 'now'],
] as const)('a change to %s takes effect by default: %#', (_, target, timing) => {
  expect(defaultTiming(aPrice(), target)).toBe(timing);
});

test('a change in a trial is at once and for nothing', () => {
  const facts = aChange({ subscription: subscription({ status: 'trialing' }), current: aPrice({ rank: 3 }) });
  expect(quoteChange(facts, ask())).toMatchObject({ kind: 'in_trial', effectiveAt: now });
});

test('a change in a pause waits until the subscription goes on', () => {
  expect(quoteChange(aChange({ subscription: subscription({ status: 'paused' }) }), ask())).toMatchObject({ kind: 'at_resume' });
});

const troubles: [string, Partial<ChangeFacts>, Partial<ChangeAsked>, string][] = [
  ['an old version', {}, { expectedVersion: 2 }, 'STALE_VERSION'],
  ['an unknown price', { target: null }, {}, 'NOT_FOUND'],
  ['a draft price', { target: aTarget({ status: 'draft' }) }, {}, 'NOT_FOUND'],
  ['a retired price', { target: aTarget({ status: 'retired' }) }, {}, 'NOT_FOR_SALE'],
  ['a price of another country', { target: aTarget({ country: 'IN' }), country: 'BR' }, {}, 'NOT_FOR_SALE'],
  ['a price of another group', { target: aTarget({ tierGroup: 'creators' }) }, {}, 'INVALID_INPUT'],
  ['a price in another currency', { target: aTarget({ currency: 'EUR' }) }, {}, 'NOT_FOR_SALE'],
  ['the price it has', { target: aTarget({ id: 'basic' }) }, {}, 'INVALID_INPUT'],
  ['an ended subscription', { subscription: subscription({ status: 'canceled' }) }, {}, 'INVALID_STATE'],
  ['a first payment not finished', { subscription: subscription({ status: 'incomplete' }) }, {}, 'INVALID_STATE'],
  ['money due', { subscription: subscription({ status: 'past_due' }) }, {}, 'INVALID_STATE'],
  ['a dispute', { subscription: subscription({ hold: 'dispute' }) }, {}, 'INVALID_STATE'],
  ['a cancellation', { subscription: subscription({ cancelAtPeriodEnd: true }) }, {}, 'INVALID_STATE'],
  ['a period that is over', {}, { now: new Date('2025-02-28T09:00:00Z') }, 'INVALID_STATE'],
  [
    'a pause planned, to another interval at once',
    { subscription: subscription({ pauseAtPeriodEnd: true }), target: aTarget({ intervalUnit: 'year' }) },
    {},
    'INVALID_STATE',
  ],
  ['a gift that pays the period', { subscription: subscription({ isPrepaid: true }) }, {}, 'INVALID_STATE'],
  ['another change open', { hasOpenChange: true }, {}, 'INVALID_STATE'],
  ['another change open, at the end of the period', { hasOpenChange: true }, { timing: 'period_end' }, 'INVALID_STATE'],
  ['five changes in the period', { paidChangesCount: MAX_PAID_CHANGES }, {}, 'RATE_LIMITED'],
  ['a payment of the period under way', { lines: [aLine({ isPaid: false })] }, {}, 'INVALID_STATE'],
  ['an amount beyond one payment', { target: aTarget({ amountMinor: 300_000_000n }) }, {}, 'INVALID_INPUT'],
  ['no method', { method: null }, {}, 'PAYMENT_METHOD_UNUSABLE'],
];

test.each(troubles)('changing with %s is refused', (_, facts, asked, code) => {
  expect(quoteChange(aChange(facts), ask(asked))).toMatchObject({ kind: 'refused', code });
});

test('the coupon of the period reduces both what is given back and what is charged', () => {
  const halved = aLine({ netMinor: 750n, discountMinor: 250n });
  const quote = quoteChange(aChange({ lines: [halved], periodCoupon: aCoupon() }), ask());
  expect(quote).toMatchObject({ credit: { netMinor: 375n }, sums: { totalMinor: 563n, discountMinor: 312n } });
});

test('an upgrade within the interval leaves a planned pause as it is', () => {
  expect(quoteChange(aChange({ subscription: subscription({ pauseAtPeriodEnd: true }) }), ask())).toMatchObject({ kind: 'now' });
});

test('a pending change whose price is no longer sold is dropped', () => {
  for (const country of ['ZZ', 'IN'])
    expect(decidePendingChange(aPrice(), aTarget({ country }), now)).toEqual({ kind: 'take_effect' });
  expect(decidePendingChange(aPrice(), aTarget({ validTo: now }), now)).toEqual({ kind: 'drop', reason: 'price_gone' });
  expect(decidePendingChange(aPrice(), null, now)).toEqual({ kind: 'drop', reason: 'price_gone' });
});

test('a change that waits is dropped on request, and where none waits that is said', () => {
  expect(decideDropPending({ status: 'active', hasPendingChange: false, hasOpenChange: true })).toEqual({ kind: 'dropped' });
  expect(decideDropPending({ status: 'active', hasPendingChange: true, hasOpenChange: false })).toEqual({ kind: 'dropped' });
  expect(decideDropPending({ status: 'active', hasPendingChange: false, hasOpenChange: false })).toMatchObject({
    code: 'INVALID_STATE',
  });
  expect(decideDropPending({ status: 'canceled', hasPendingChange: true, hasOpenChange: false })).toMatchObject({
    code: 'INVALID_STATE',
  });
});

const confirm = (shown: ShownQuote, facts: ChangeFacts, at: Date) =>
  confirmChange(shown, facts, { now: at, expectedVersion: null, digestOf: (key) => key });

/** The quote of a change as the customer was shown it. */
function shownQuote(facts: ChangeFacts): ShownQuote {
  const quote = quoteChange(facts, ask());
  if (quote.kind === 'refused') throw new Error(quote.message);
  return { subscriptionVersion: facts.subscription.version, timing: null, quotedAt: now, digest: quoteKey(quote) };
}

const later = new Date(now.getTime() + 5 * 60_000);

test.each<[string, Partial<ChangeFacts>]>([
  ['the subscription', { subscription: subscription({ version: 4 }) }],
  ['the price', { target: aTarget({ amountMinor: 26_00n }) }],
  ['the coupon', { periodCoupon: aCoupon() }],
  ['the tax', { ratePpm: 10_000 }],
  ['the balance', { balanceMinor: 1n }],
])('a quote is off when %s has moved since', (_, moved) => {
  expect(confirm(shownQuote(aChange()), aChange(moved), later)).toMatchObject({ kind: 'refused', code: 'PRICE_CHANGED' });
});

test('a quote for one price confirms no other, though neither costs anything now', () => {
  for (const status of ['active', 'trialing', 'paused'] as const) {
    const facts = aChange({ subscription: subscription({ status }), current: aPrice({ rank: 9 }) });
    const other = { ...facts, target: aTarget({ id: 'another' }) };
    expect(confirm(shownQuote(facts), facts, later).kind).not.toBe('refused');
    expect(confirm(shownQuote(facts), other, later)).toMatchObject({ kind: 'refused', code: 'PRICE_CHANGED' });
  }
});

test('a quote confirms nothing for a client that knows another version', () => {
  const shown = shownQuote(aChange());
  const asked = { now: later, expectedVersion: 2, digestOf: (key: string) => key };
  expect(confirmChange(shown, aChange(), asked)).toMatchObject({ code: 'STALE_VERSION' });
});

const paid = {
  subscription: { status: 'active' as const, epoch: 1, periodEnd: new Date('2025-02-28T09:00:00Z') },
  invoice: { epoch: 1, periodEnd: new Date('2025-02-28T09:00:00Z') },
  old: aLine({ creditedNetMinor: 400n }),
  credit: { netMinor: 500n, taxMinor: 0n },
};

test('a change that is paid takes effect in the period it was paid for, or opens the next epoch', () => {
  expect(decidePaidChange(paid)).toEqual({ kind: 'take_effect', opensPeriod: false });
  const year = { epoch: 2, periodEnd: new Date('2026-02-14T09:00:00Z') };
  expect(decidePaidChange({ ...paid, invoice: year })).toEqual({ kind: 'take_effect', opensPeriod: true });
  expect(decidePaidChange({ ...paid, old: null, credit: { netMinor: 0n, taxMinor: 0n } }).kind).toBe('take_effect');
});

test.each([
  ['that ended meanwhile', { subscription: { ...paid.subscription, status: 'canceled' as const } }],
  ['in whose period it was not paid', { invoice: { epoch: 1, periodEnd: new Date('2025-03-28T09:00:00Z') } }],
  ['whose old line was refunded meanwhile', { old: aLine({ creditedNetMinor: 501n }) }],
])('a change of a subscription %s is given back though it is paid', (_, more) => {
  expect(decidePaidChange({ ...paid, ...more })).toEqual({ kind: 'give_back' });
});

test('a quote holds ten minutes and charges the amounts of the second it was made', () => {
  const shown = shownQuote(aChange());
  expect(confirm(shown, aChange(), later)).toEqual(quoteChange(aChange(), ask()));
  const over = new Date(now.getTime() + QUOTE_HOLDS_MS);
  expect(confirm(shown, aChange(), over)).toMatchObject({ code: 'PRICE_CHANGED' });
  expect(confirm(shown, aChange(), new Date(now.getTime() - 1))).toMatchObject({ code: 'PRICE_CHANGED' });
});

test('a quote does not carry a change over the end of its period', () => {
  const late = new Date('2025-02-28T08:55:00Z');
  const quote = quoteChange(aChange(), ask({ now: late }));
  if (quote.kind === 'refused') throw new Error(quote.message);
  const shown = { subscriptionVersion: 3, timing: null, quotedAt: late, digest: quoteKey(quote) };
  expect(confirm(shown, aChange(), new Date('2025-02-28T09:00:00Z'))).toMatchObject({ code: 'INVALID_STATE' });
});

const changes = fc.record({
  amounts: fc.tuple(fc.bigInt(0n, 50_000n), fc.bigInt(0n, 50_000n)),
  ranks: fc.tuple(fc.nat(3), fc.nat(3)),
  unit: fc.constantFrom('week' as const, 'month' as const, 'year' as const),
  count: fc.integer({ min: 1, max: 3 }),
  behaviors: fc.tuple(
    fc.constantFrom('inclusive' as const, 'exclusive' as const),
    fc.constantFrom('inclusive' as const, 'exclusive' as const),
  ),
  rates: fc.tuple(fc.constantFrom(0, 70_000, 200_000), fc.constantFrom(0, 70_000, 200_000)),
  status: fc.constantFrom('active' as const, 'active' as const, 'active' as const, 'trialing' as const, 'paused' as const),
  timing: fc.constantFrom('now' as const, 'period_end' as const, null),
  second: fc.integer({ min: 0, max: 2_419_199 }),
  waited: fc.integer({ min: 0, max: QUOTE_HOLDS_MS - 1 }),
  balance: fc.bigInt(-49n, 5_000n),
  coupon: fc.constantFrom(
    null,
    aCoupon(),
    aCoupon({ percentOffBps: 10_000 }),
    aCoupon({ percentOffBps: null, amountsOff: { USD: 300n } }),
  ),
});

test('of ten thousand changes each costs what its preview said, and obeys the laws of money (V5, P4)', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(changes, (c) => {
      const periodStart = new Date('2025-01-31T09:00:00Z');
      const at = new Date(periodStart.getTime() + c.second * 1_000);
      const [rate, newRate] = c.rates;
      const net = c.behaviors[0] === 'exclusive' ? c.amounts[0] : (c.amounts[0] * 1_000_000n) / BigInt(1_000_000 + rate);
      const tax = c.behaviors[0] === 'exclusive' ? (c.amounts[0] * BigInt(rate)) / 1_000_000n : c.amounts[0] - net;
      const paid = aLine({ netMinor: net, taxMinor: tax, ratePpm: rate, taxBehavior: c.behaviors[0] });
      const facts = aChange({
        subscription: subscription({ status: c.status }),
        current: aPrice({ rank: c.ranks[0], amountMinor: c.amounts[0], taxBehavior: c.behaviors[0] }),
        target: aTarget({
          rank: c.ranks[1],
          amountMinor: c.amounts[1],
          intervalUnit: c.unit,
          intervalCount: c.count,
          taxBehavior: c.behaviors[1],
        }),
        lines: [paid],
        periodCoupon: c.coupon,
        running: c.coupon && { coupon: c.coupon, periodsLeft: null },
        ratePpm: newRate,
        balanceMinor: c.balance,
      });
      const preview = quoteChange(facts, { timing: c.timing, expectedVersion: 3, now: at });
      if (preview.kind === 'refused') throw new Error(preview.message);
      seen.add(preview.kind);
      const shown = { subscriptionVersion: 3, timing: c.timing, quotedAt: at, digest: quoteKey(preview) };
      const charged = confirm(shown, facts, new Date(Math.min(at.getTime() + c.waited, Date.parse('2025-02-28T08:59:59Z'))));
      expect(charged).toEqual(preview);
      if (preview.kind !== 'now') return;
      const { sums, credit, lines, isCreditNote } = preview;
      if (isCreditNote) seen.add('credit note');
      seen.add(sums.settlement);
      const least = [sums.netMinor, sums.taxMinor, sums.totalMinor, sums.dueMinor, sums.creditAppliedMinor, sums.discountMinor];
      expect([...least, credit.netMinor, credit.taxMinor].filter((amount) => amount < 0n)).toEqual([]);
      expect(credit.netMinor <= net && credit.taxMinor <= tax).toBe(true);
      expect(lines.reduce((all, line) => all + line.netMinor + line.taxMinor, 0n)).toBe(sums.totalMinor);
      // Nothing is made or lost: what is owed is paid by card, by the balance, or waits in it.
      const note = isCreditNote ? credit.netMinor + credit.taxMinor : 0n;
      expect(sums.balanceAfterMinor - c.balance).toBe(note + sums.dueMinor - sums.totalMinor);
      expect(sums.dueMinor === 0n || sums.dueMinor >= 50n).toBe(true);
    }),
    { numRuns: 10_000 },
  );
  expect([...seen].sort()).toEqual(
    ['at_period_end', 'at_resume', 'balance', 'carried', 'charge', 'credit note', 'in_trial', 'nothing', 'now'].sort(),
  );
});
