import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import type { RunningCoupon } from '../domain/catalogue/coupon.js';
import { invariant } from '../domain/invariant.js';
import type { RankedPrice, TargetPrice } from '../domain/subscription/change-tier.js';
import { upcomingInvoiceTaxed } from '../domain/subscription/upcoming.js';
import type { SubscriptionPlanRow } from '../store/subscription-plans.reads.js';
import type { GraphContext } from './context.js';
import { presentTierPrice } from './present-catalogue.js';
import { presentUpcoming } from './present-upcoming.js';
import { InvoicePreview } from './types/invoice-preview.js';
import { PendingTierChange } from './types/tier-change.js';
import { UserSubscription } from './types/user-subscription.js';

/** How a subscription goes on, as far as it is known today. */
@Resolver(() => UserSubscription)
export class SubscriptionPlansResolver {
  @FieldResolver(() => PendingTierChange, {
    nullable: true,
    description: 'A change that takes effect at the end of the period.',
  })
  async pendingChange(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<PendingTierChange | null> {
    const { reads, clock } = context;
    const plan = await reads.planOf(row.userId, row.id);
    const { pendingPriceId } = plan ?? {};
    if (!plan || !pendingPriceId) return null;
    const price = await reads.fromCatalogue((catalogue) => catalogue.price(pendingPriceId));
    invariant(price !== null, 'a price that is waited for exists', { pendingPriceId });
    return { price: presentTierPrice(price, reads.catalogue, clock.now()), effectiveAt: effectiveAt(plan, clock.now()) };
  }

  @FieldResolver(() => InvoicePreview, {
    nullable: true,
    description: 'What the next renewal will cost; null when it will not renew.',
  })
  async upcomingInvoice(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<InvoicePreview | null> {
    const plan = await context.reads.planOf(row.userId, row.id);
    if (!plan) return null;
    const current = await priceOf(plan, plan.priceId, context);
    const next = upcomingInvoiceTaxed(
      {
        ...plan,
        current,
        pending: plan.pendingPriceId === null ? null : await priceOf(plan, plan.pendingPriceId, context),
        period: { epoch: plan.epoch, n: plan.periodNumber, start: plan.periodStart, end: plan.periodEnd },
        running: await runningOf(plan, context),
        balanceMinor: plan.balance,
      },
      { country: plan.country, rates: plan.taxRates },
    );
    return next && presentUpcoming(next, context);
  }
}

/** A change waits for the end of the period, in a pause for its end; one without an end may be over at any time. */
function effectiveAt({ status, resumesAt, periodEnd }: SubscriptionPlanRow, now: Date): Date {
  return status === 'paused' ? (resumesAt ?? now) : periodEnd;
}

async function priceOf(plan: SubscriptionPlanRow, id: string, { reads }: GraphContext): Promise<RankedPrice & TargetPrice> {
  const found = await reads.fromCatalogue((catalogue) => {
    const price = catalogue.price(id);
    const tier = catalogue.tier(price?.tierId ?? '');
    return price && tier && { price, tier };
  });
  invariant(found !== null && found.price.intervalUnit !== null, "the price of a subscription is a tier's", { id });
  const { price, tier } = found;
  return {
    id: price.id,
    amountMinor: price.amount,
    currency: price.currency,
    intervalUnit: found.price.intervalUnit,
    intervalCount: price.intervalCount ?? 1,
    taxBehavior: price.taxBehavior,
    tierGroup: plan.tierGroup,
    rank: tier.rank,
    country: price.country,
    status: tier.status,
    acceptedKinds: price.acceptedKinds,
    validFrom: price.validFrom,
    validTo: price.validTo,
  };
}

async function runningOf({ couponId, periodsLeft }: SubscriptionPlanRow, { reads }: GraphContext): Promise<RunningCoupon | null> {
  if (couponId === null) return null;
  const coupon = await reads.fromCatalogue((catalogue) => catalogue.coupon(couponId));
  invariant(coupon !== null, 'a coupon at work exists', { couponId });
  return { coupon, periodsLeft };
}
