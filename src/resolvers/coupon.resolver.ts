import { Arg, Ctx, Directive, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { invariant } from '../domain/invariant.js';
import { parsePublicId } from '../domain/ids.js';
import { discountEndsAt } from '../domain/subscription/discount.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadSubscription } from './load-outcome.js';
import { presentCoupon } from './present-catalogue.js';
import { presentInvoicePreview } from './present-invoice-preview.js';
import { presentRefusals } from './present-refusal.js';
import { runCommand } from './run-command.js';
import { ApplyCouponInput, ApplyCouponPayload, Discount } from './types/coupon.js';
import { InvoicePreview } from './types/invoice-preview.js';
import { UserSubscription } from './types/user-subscription.js';

/** Coupons: what a code would give, claiming one, and the one that works on a subscription. */
@Resolver(() => UserSubscription)
export class CouponResolver {
  @Authenticated()
  @Directive('@cost(weight: 10)')
  @Query(() => InvoicePreview, {
    nullable: true,
    description: 'What a code would give the caller on a price; null when it does not apply.',
  })
  async couponPreview(
    @Arg('code', () => String, { description: 'The code as typed.' }) code: string,
    @Arg('priceId', () => ID, { description: 'The price it would be used on.' }) publicPriceId: string,
    @Ctx() context: GraphContext,
  ): Promise<InvoicePreview | null> {
    const actor = requireActor(context);
    const priceId = parsePublicId('price', publicPriceId);
    const preview = priceId && (await context.commands.couponPreview(actor, { code, priceId }));
    return preview && presentInvoicePreview(preview, preview.currency);
  }

  @Authenticated()
  @Mutation(() => ApplyCouponPayload, { description: 'Put a coupon on a running subscription.' })
  async applyCoupon(
    @Arg('input', () => ApplyCouponInput, { description: 'Which code on which subscription.' }) input: ApplyCouponInput,
    @Ctx() context: GraphContext,
  ): Promise<ApplyCouponPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    if (subscriptionId === null)
      return { subscription: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    const { code } = input;
    const answer = await runCommand(context, () => context.commands.applyCoupon(actor, { subscriptionId, code }));
    return {
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @FieldResolver(() => Discount, { nullable: true, description: 'The coupon reducing its price now.' })
  async discount(@Root() { row }: UserSubscription, @Ctx() { reads }: GraphContext): Promise<Discount | null> {
    const discount = await reads.discountOf(row.userId, row.id);
    if (discount === null) return null;
    const coupon = await reads.fromCatalogue((catalogue) => catalogue.coupon(discount.couponId));
    const price = await reads.fromCatalogue((catalogue) => catalogue.price(row.priceId));
    invariant(coupon !== null && price?.intervalUnit != null, 'a coupon at work and the price it works on exist', { id: row.id });
    const { anchorLocal, zone, epoch, periodNumber } = discount;
    const endsAt = discountEndsAt({
      ...discount,
      period: { epoch, n: periodNumber, start: row.periodStart, end: row.periodEnd },
      rule: { anchorLocal, zone, unit: price.intervalUnit, count: price.intervalCount ?? 1 },
    });
    return { coupon: presentCoupon(coupon, price.currency), endsAt };
  }
}
