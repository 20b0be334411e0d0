/** What was paid for is given: a period opens, a tier changes, a product is handed over. One way for each kind of invoice. */
import type { PriceId, TierId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isService, type LineCredit } from '../domain/invoice/line.js';
import { decidePaidChange } from '../domain/subscription/change-tier.js';
import { coveringLine } from '../domain/subscription/proration.js';
import { renewed } from '../domain/subscription/renewal.js';
import { entitledUntilFor, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import { anchorLocalOf, type OpenedPeriod } from '../domain/time/periods.js';
import { useCouponPeriod } from '../store/coupons.store.js';
import { requireFirstLine, type InvoiceRow } from '../store/invoices.store.js';
import { changeSubscription, loadSubscription, loadTierPrice, type SubscriptionRow } from '../store/subscriptions.store.js';
import { creditLine, listLines } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { deliverGift } from './deliver-gift.js';
import { deliverPurchase } from './deliver-purchase.js';
import { openPeriod } from './open-period.js';
import { readLines } from './period-lines.js';

/**
 * Gives what a paid invoice is for. The customer's lock is held.
 * @returns whether it was given: not where nobody wants it any more, and its payment must go back
 */
export async function deliver(uow: UnitOfWork, cashier: Cashier, invoice: InvoiceRow, cause: string): Promise<boolean> {
  switch (invoice.kind) {
    case 'period':
      return deliverPeriod(uow, invoice, cause);
    case 'change':
      return deliverChange(uow, invoice, cause);
    case 'purchase':
      invariant(invoice.purchaseId !== null, 'an invoice of a purchase has it', { id: invoice.id });
      await deliverPurchase(uow, cashier, { id: invoice.purchaseId, userId: invoice.userId });
      return true;
    case 'gift':
      invariant(invoice.giftId !== null, 'an invoice of a gift has it', { id: invoice.id });
      return deliverGift(uow, invoice.giftId);
    default:
      invariant(false, 'there is something that an invoice is for', { id: invoice.id, kind: invoice.kind });
  }
}

/** The first period of a subscription, or its next. */
async function deliverPeriod(uow: UnitOfWork, invoice: InvoiceRow, cause: string): Promise<boolean> {
  const subscription = await requireSubscription(uow, invoice);
  if (subscription.status === 'incomplete') {
    await changeSubscription(uow, subscription, {
      kind: 'activated',
      cause,
      set: {
        status: 'active',
        entitledUntil: entitledUntilFor({ status: 'active', periodEnd: subscription.periodEnd, endsAtPeriodEnd: false }),
        nextActionAt: subscription.periodEnd,
      },
    });
    return true;
  }
  const { priceId, couponId } = await requireFirstLine(uow, invoice.id);
  return openPeriod(uow, subscription, { period: periodOf(invoice), priceId, couponId }, cause);
}

/** Another tier: the price moves, what was given back of the old line is kept with it, and a longer interval opens its first period. */
async function deliverChange(uow: UnitOfWork, invoice: InvoiceRow, cause: string): Promise<boolean> {
  const subscription = await requireSubscription(uow, invoice);
  const { epoch, periodStart, periodEnd } = invoice;
  invariant(epoch !== null && periodStart !== null && periodEnd !== null, 'a change is for some time', { id: invoice.id });
  const own = await listLines(uow, invoice.id);
  const service = own.find((line) => isService({ netMinor: line.amount, taxMinor: line.tax }));
  const given = own.find((line) => line !== service);
  const credit: LineCredit = given === undefined ? NOTHING : { netMinor: -given.amount, taxMinor: -given.tax };
  // In the order of invoicing all that came before this one covers what is given back.
  const lines = (await readLines(uow, subscription)).filter((line) => line.invoiceId !== invoice.id);
  const old = given === undefined ? null : coveringLine(lines, periodStart);
  const decision = decidePaidChange({
    subscription: {
      // Column check: one of these words.
      status: subscription.status as SubscriptionStatus,
      epoch: subscription.epoch,
      periodEnd: subscription.periodEnd,
    },
    invoice: { epoch, periodEnd },
    old,
    credit,
  });
  if (decision.kind === 'give_back') return false;
  if (old !== null) await creditLine(uow, old, credit);
  const target = service?.priceId ? await loadTierPrice(uow, service.priceId as PriceId) : null;
  invariant(target !== null, 'a change is to the price of a tier', { id: invoice.id });
  await changeSubscription(uow, subscription, {
    kind: 'tier_changed',
    cause,
    set: {
      tierId: target.tier.id as TierId,
      priceId: target.price.id as PriceId,
      pendingPriceId: null,
      ...(decision.opensPeriod ? openedBy(subscription, { epoch, n: 0, start: periodStart, end: periodEnd }) : {}),
    },
    data: { fromPriceId: subscription.priceId, toPriceId: target.price.id, invoiceId: invoice.id },
  });
  // The period that a change opened was invoiced: one less of the coupon that it was invoiced with (rules V10).
  if (decision.opensPeriod && service?.couponId) await useCouponPeriod(uow, subscription.id, service.couponId);
  return true;
}

const NOTHING: LineCredit = { netMinor: 0n, taxMinor: 0n };

/** The first period after a change of interval: a new anchor at its start (rules B5). */
function openedBy(subscription: SubscriptionRow, period: OpenedPeriod): Partial<SubscriptionRow> {
  return {
    ...renewed(period),
    anchorLocal: anchorLocalOf(period.start, subscription.zone),
    entitledUntil: entitledUntilFor({
      status: 'active',
      periodEnd: period.end,
      endsAtPeriodEnd: subscription.cancelAtPeriodEnd,
    }),
  };
}

async function requireSubscription(uow: UnitOfWork, invoice: InvoiceRow): Promise<SubscriptionRow> {
  const subscription = invoice.subscriptionId === null ? null : await loadSubscription(uow, invoice.subscriptionId);
  invariant(subscription !== null, 'an invoice of a subscription has it', { id: invoice.id });
  return subscription;
}

/** The period that an invoice is for. */
function periodOf(invoice: InvoiceRow): OpenedPeriod {
  const { epoch, periodNumber, periodStart, periodEnd } = invoice;
  invariant(epoch !== null && periodNumber !== null && periodStart !== null && periodEnd !== null, 'a period has its bounds', {
    id: invoice.id,
  });
  return { epoch, n: periodNumber, start: periodStart, end: periodEnd };
}
