import { Arg, Args, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { invariant } from '../domain/invariant.js';
import { parsePublicId } from '../domain/ids.js';
import { Authenticated, requireActor } from './authorization.js';
import { requireTier } from './catalogue.resolver.js';
import type { GraphContext } from './context.js';
import { Connection, ForwardPageArgs, pageRequest } from './paging.js';
import { presentPaymentMethod, presentSubscription, presentTransaction } from './present-account.js';
import { presentTierPrice } from './present-catalogue.js';
import { transactionConditions } from './transaction-filter.js';
import { PaymentMethod } from './types/payment-method.js';
import { Tier, TierPrice } from './types/tier.js';
import { Transaction, TransactionConnection } from './types/transaction.js';
import { User } from './types/user.js';
import { UserSubscription } from './types/user-subscription.js';
import { openUser, userAs } from './user.resolver.js';

/** Subscriptions, and the entry point to one. */
@Resolver(() => UserSubscription)
export class UserSubscriptionResolver {
  @Authenticated()
  @Query(() => UserSubscription, {
    nullable: true,
    description: "A subscription by id; null when it does not exist or is not the caller's.",
  })
  async userSubscription(
    @Arg('id', () => ID, { description: 'Opaque id.' }) id: string,
    @Ctx() context: GraphContext,
  ): Promise<UserSubscription | null> {
    return ownSubscription(requireActor(context).userId, id, context);
  }

  @FieldResolver(() => User, { description: 'Who enjoys it.' })
  user(@Root() { row }: UserSubscription): User {
    return openUser(row.userId);
  }

  @FieldResolver(() => User, { description: 'Who pays; differs from user for gifts.' })
  payer(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): User {
    return row.payerId === null || row.payerId === row.userId ? openUser(row.userId) : userAs(row.payerId, context);
  }

  @FieldResolver(() => Tier, { description: 'The tier enjoyed now.' })
  tier(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<Tier> {
    return requireTier(row.tierId, context);
  }

  @FieldResolver(() => TierPrice, { description: 'The price paid for each period.' })
  async price(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<TierPrice> {
    const { reads, clock } = context;
    const price = await reads.fromCatalogue((catalogue) => catalogue.price(row.priceId));
    invariant(price !== null, 'the price of a subscription exists', { priceId: row.priceId });
    return presentTierPrice(price, reads.catalogue, clock.now());
  }

  @FieldResolver(() => PaymentMethod, {
    nullable: true,
    description: 'What renewals charge; null where the default method is used or none is needed.',
  })
  async paymentMethod(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<PaymentMethod | null> {
    const method = row.paymentMethodId === null ? null : await context.reads.paymentMethodOf(row.userId, row.paymentMethodId);
    return method && presentPaymentMethod(method);
  }

  @FieldResolver(() => Transaction, { nullable: true, description: 'The most recent payment tried for it.' })
  async latestTransaction(@Root() { row }: UserSubscription, @Ctx() context: GraphContext): Promise<Transaction | null> {
    const charge = await context.reads.latestChargeFor(row.userId, row.id);
    return charge && presentTransaction(charge);
  }

  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => TransactionConnection, {
    nullable: true,
    description: 'Money movements of this subscription, newest first.',
  })
  async transactions(
    @Root() { id, row }: UserSubscription,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() context: GraphContext,
  ): Promise<TransactionConnection | null> {
    const { reads } = context;
    const request = pageRequest(page, JSON.stringify(['subscription transactions', row.userId, id]), reads.cursors);
    const found = await reads.transactionPage(row.userId, request, transactionConditions({ subscriptionId: id }));
    return new Connection(found, presentTransaction, reads.cursors);
  }
}

/** The user's own subscription by its public id; null for any other id, whatever its form. */
export async function ownSubscription(userId: string, publicId: string, context: GraphContext): Promise<UserSubscription | null> {
  const id = parsePublicId('sub', publicId);
  const row = id && (await context.reads.subscriptionOf(userId, id));
  return row && presentSubscription(row);
}
