import { residenceNow } from '../domain/customer/residence.js';
import { invariant } from '../domain/invariant.js';
import { QUOTE_HOLDS_MS, quoteChange, quoteKey, type ChangeQuote } from '../domain/subscription/change-tier.js';
import { afterChange, upcomingInvoiceTaxed, type UpcomingInvoice } from '../domain/subscription/upcoming.js';
import { lockExistingCustomer, type CustomerRow } from '../store/customers.store.js';
import { loadSubscription, type SubscriptionRow } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { own, type Cashier } from './cashier.js';
import type { Actor, PreviewTierChangeQuery, TierChangePreview } from './contract.js';
import { digestOf } from './quotes.js';
import { readChange, type ChangeRead } from './read-change.js';

/**
 * What a change of tier would cost now, by the function that the change itself is decided by, with the id of that quote. null when there is
 * no such subscription of the caller, and when the change would be refused: changeTier says why.
 */
export const previewTierChange =
  (cashier: Cashier) =>
  async (actor: Actor, query: PreviewTierChangeQuery): Promise<TierChangePreview | null> => {
    const { userId } = actor;
    return inTx(cashier.tx, own(userId), async (uow) => {
      const customer = await lockExistingCustomer(uow, userId);
      const subscription = await loadSubscription(uow, query.subscriptionId);
      if (customer === null || subscription?.userId !== userId) return null;
      Object.assign(customer, residenceNow(customer, actor.residence)); // As the change itself will keep it.
      const read = await readChange(uow, customer, subscription, query.newPriceId);
      const { facts, target } = read;
      const quote = quoteChange(facts, { timing: query.timing, expectedVersion: null, now: uow.now });
      if (quote.kind === 'refused' || target === null) return null;
      const { currency } = target.price;
      return {
        isUpgrade: quote.isUpgrade,
        effectiveAt: effectiveAt(quote, subscription, uow.now),
        dueNow: { minor: quote.kind === 'now' ? quote.sums.dueMinor : 0n, currency },
        credit: { minor: quote.kind === 'now' ? quote.credit.netMinor + quote.credit.taxMinor : 0n, currency },
        next: nextInvoice(uow, customer, subscription, read, quote),
        quoteId: cashier.quotes.seal(userId, {
          subscriptionId: query.subscriptionId,
          priceId: query.newPriceId,
          subscriptionVersion: subscription.version,
          timing: query.timing,
          quotedAt: uow.now,
          digest: digestOf(quoteKey(quote)),
        }),
        expiresAt: new Date(uow.now.getTime() + QUOTE_HOLDS_MS),
      };
    });
  };

type MadeQuote = Exclude<ChangeQuote, { kind: 'refused' }>;

/** A pause without an end may be over at any time: the soonest is now. */
function effectiveAt(quote: MadeQuote, { resumesAt }: SubscriptionRow, now: Date): Date {
  if (quote.kind === 'now') return quote.prorationAt;
  return quote.kind === 'at_resume' ? (resumesAt ?? now) : quote.effectiveAt;
}

/** The next regular invoice once the change has been made. */
function nextInvoice(
  uow: UnitOfWork,
  customer: CustomerRow,
  subscription: SubscriptionRow,
  { facts, taxRates }: ChangeRead,
  quote: MadeQuote,
): UpcomingInvoice {
  const { target } = facts;
  invariant(target !== null, 'a quote is for a price that is there', { id: subscription.id });
  const before = {
    status: facts.subscription.status,
    cancelAtPeriodEnd: subscription.cancelAtPeriodEnd,
    pauseAtPeriodEnd: subscription.pauseAtPeriodEnd,
    resumesAt: subscription.resumesAt,
    prepaidPeriods: subscription.prepaidPeriods,
    // A gift that is used up renews only where its recipient wants that; what a change is asked for is to go on.
    isGift: false,
    isOptedIn: true,
    hasMethod: true,
    current: facts.current,
    pending: null,
    period: {
      epoch: subscription.epoch,
      n: subscription.periodNumber,
      start: subscription.periodStart,
      end: subscription.periodEnd,
    },
    anchorLocal: subscription.anchorLocal,
    zone: subscription.zone,
    running: facts.running,
    balanceMinor: facts.balanceMinor,
  };
  const after = afterChange(before, quote, target, uow.now);
  const next = upcomingInvoiceTaxed(after, { country: customer.country, rates: taxRates });
  invariant(next !== null, 'what goes on is invoiced again', { id: subscription.id });
  return next;
}
