/** The facts of a change of tier, read under the customer's lock: for its preview as for itself, so that the two cannot differ. */
import type { PriceId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isService } from '../domain/invoice/line.js';
import type { ChangeFacts } from '../domain/subscription/change-tier.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { customerRateAt, type TaxRate } from '../domain/tax/tax.js';
import { loadCouponById, loadRunningCoupon } from '../store/coupons.store.js';
import { loadCredit } from '../store/credit.store.js';
import type { CustomerRow } from '../store/customers.store.js';
import type { PaymentMethodRow } from '../store/payment-methods.store.js';
import { loadTierPrice, type PriceRow, type SubscriptionRow, type TierRow } from '../store/subscriptions.store.js';
import { listTaxRates } from '../store/tax.store.js';
import { loadOpenChange } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { rankedPrice, targetPrice } from './billed-price.js';
import { chargedMethod } from './subscribe.js';
import { couponOfPeriod, readLines, type StandingLine } from './period-lines.js';

/** What is known of a change: the facts of its decision, and the rows behind them that are written by. */
export interface ChangeRead {
  facts: ChangeFacts;
  lines: StandingLine[];
  /** null as in the facts. */
  target: { price: PriceRow; tier: TierRow } | null;
  method: PaymentMethodRow | null;
  /** Rates of the customer's country, past and to come. */
  taxRates: readonly TaxRate[];
}

/** Reads what a change to a price looks at. The customer's lock is held. */
export async function readChange(
  uow: UnitOfWork,
  customer: CustomerRow,
  subscription: SubscriptionRow,
  targetPriceId: PriceId,
): Promise<ChangeRead> {
  // Ids of rows are ids of their kind.
  const current = await loadTierPrice(uow, subscription.priceId as PriceId);
  const target = await loadTierPrice(uow, targetPriceId);
  invariant(current !== null, 'a subscription has its price', { id: subscription.id });
  const { currency } = current.price;
  const lines = await readLines(uow, subscription);
  const couponId = couponOfPeriod(lines);
  const taxRates = customer.country === null ? [] : await listTaxRates(uow, [customer.country]);
  const method = await chargedMethod(uow, subscription, customer.defaultPaymentMethodId);
  const facts: ChangeFacts = {
    subscription: {
      // Column checks: one of these words.
      status: subscription.status as SubscriptionStatus,
      hold: subscription.hold as 'none' | 'dispute' | 'fraud',
      version: subscription.version,
      cancelAtPeriodEnd: subscription.cancelAtPeriodEnd,
      pauseAtPeriodEnd: subscription.pauseAtPeriodEnd,
      isPrepaid: subscription.giftId !== null && lines.length === 0,
      zone: subscription.zone,
      epoch: subscription.epoch,
      periodStart: subscription.periodStart,
      periodEnd: subscription.periodEnd,
    },
    current: rankedPrice(current),
    target: target && targetPrice(target),
    lines,
    periodCoupon: couponId === null ? null : await loadCouponById(uow, couponId),
    running: await loadRunningCoupon(uow, subscription.id),
    country: customer.country,
    ratePpm: customerRateAt(taxRates, customer.country, uow.now),
    balanceMinor: await loadCredit(uow, subscription.userId, currency),
    hasOpenChange: (await loadOpenChange(uow, subscription.id)) !== null,
    paidChangesCount: lines.filter((line) => line.kind === 'change' && line.isPaid && line.isProration && isService(line)).length,
    method: method && { kind: method.kind, status: method.status as 'active' },
    isMethodAsked: false,
  };
  return { facts, lines, target, method, taxRates };
}
