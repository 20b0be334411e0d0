import type { Coupon } from '../../src/domain/catalogue/coupon.js';
import type { InvoiceLine, PastLine } from '../../src/domain/invoice/line.js';
import type { ChangeFacts, RankedPrice, TargetPrice } from '../../src/domain/subscription/change-tier.js';
import type { DueFacts } from '../../src/domain/subscription/due.js';
import type { PauseFacts } from '../../src/domain/subscription/pause.js';

/** A monthly price of the lowest tier, 10.00 USD, unless told otherwise. */
export function aPrice(more: Partial<RankedPrice> = {}): RankedPrice {
  return {
    id: 'basic',
    amountMinor: 10_00n,
    currency: 'USD',
    intervalUnit: 'month',
    intervalCount: 1,
    taxBehavior: 'exclusive',
    tierGroup: 'membership',
    rank: 1,
    ...more,
  };
}

/** A monthly price of a higher tier on sale, 25.00 USD, unless told otherwise. */
export function aTarget(more: Partial<TargetPrice> = {}): TargetPrice {
  return {
    ...aPrice({ id: 'premium', amountMinor: 25_00n, rank: 2 }),
    country: 'ZZ',
    status: 'active',
    acceptedKinds: ['card'],
    validFrom: new Date(0),
    validTo: null,
    ...more,
  };
}

/** A line that was paid, and of which nothing went back. */
export function aPaidLine(line: InvoiceLine, more: Partial<PastLine> = {}): PastLine {
  return { ...line, isPaid: true, creditedNetMinor: 0n, creditedTaxMinor: 0n, ...more };
}

/** A line of 10.00 USD for the 28 days of rules.md's vectors, exclusive of a tax of 0. */
export function aLine(more: Partial<PastLine> = {}): PastLine {
  return {
    priceId: 'basic',
    start: new Date('2025-01-31T09:00:00Z'),
    end: new Date('2025-02-28T09:00:00Z'),
    netMinor: 10_00n,
    discountMinor: 0n,
    taxMinor: 0n,
    ratePpm: 0,
    taxBehavior: 'exclusive',
    isProration: false,
    isPaid: true,
    creditedNetMinor: 0n,
    creditedTaxMinor: 0n,
    ...more,
  };
}

/** A coupon of a quarter off for ever, for monthly prices, unless told otherwise. */
export function aCoupon(more: Partial<Coupon> = {}): Coupon {
  return {
    id: 'quarter-off',
    code: 'QUARTER',
    percentOffBps: 2_500,
    amountsOff: null,
    durationPeriods: null,
    intervalUnits: ['month'],
    redeemBy: null,
    maxRedemptions: null,
    ...more,
  };
}

/** An active monthly subscription, paid for 28 days, that wants the higher tier. */
export function aChange(more: Partial<ChangeFacts> = {}): ChangeFacts {
  return {
    subscription: {
      status: 'active',
      hold: 'none',
      version: 3,
      cancelAtPeriodEnd: false,
      pauseAtPeriodEnd: false,
      isPrepaid: false,
      zone: 'UTC',
      epoch: 0,
      periodStart: new Date('2025-01-31T09:00:00Z'),
      periodEnd: new Date('2025-02-28T09:00:00Z'),
    },
    current: aPrice(),
    target: aTarget(),
    lines: [aLine()],
    periodCoupon: null,
    running: null,
    country: null,
    ratePpm: 0,
    balanceMinor: 0n,
    hasOpenChange: false,
    paidChangesCount: 0,
    method: { kind: 'card', status: 'active' },
    isMethodAsked: false,
    ...more,
  };
}

/** An active monthly subscription, without any flag, paid to the first of March. */
export function aPauseable(more: Partial<PauseFacts> = {}): PauseFacts {
  return {
    status: 'active',
    hold: 'none',
    version: 3,
    cancelAtPeriodEnd: false,
    pauseAtPeriodEnd: false,
    hasPendingChange: false,
    isGift: false,
    periodEnd: new Date('2026-03-01T00:00:00Z'),
    hasMethod: true,
    zone: 'UTC',
    epoch: 0,
    interval: { unit: 'month', count: 1 },
    pauses: [],
    ...more,
  };
}

/** An active subscription at the end of whose period nothing but its renewal is due. */
export function aDue(more: Partial<DueFacts> = {}): DueFacts {
  return {
    status: 'active',
    hold: 'none',
    renewedBy: 'us',
    periodStart: new Date('2026-02-01T00:00:00Z'),
    periodEnd: new Date('2026-03-01T00:00:00Z'),
    cancelAtPeriodEnd: false,
    pauseAtPeriodEnd: false,
    hasPendingChange: false,
    hasOpenChange: false,
    resumesAt: null,
    pauseEndsAt: null,
    prepaidPeriods: 0,
    isGift: false,
    isOptedIn: false,
    ...more,
  };
}
