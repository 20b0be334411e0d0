import { Arg, Args, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { USER_ID_FORM } from '../domain/ids.js';
import type { EntitlementRight } from '../store/entitlements.reads.js';
import { Authenticated, requireActor, RequiresScopes, SCOPES, STAFF } from './authorization.js';
import { shownTier } from './catalogue.resolver.js';
import type { GraphContext } from './context.js';
import { Connection, ForwardPageArgs, PageArgs, pageRequest } from './paging.js';
import {
  presentEntitlement,
  presentPaymentMethod,
  presentPurchase,
  presentSubscription,
  presentTransaction,
} from './present-account.js';
import { asAllowed } from './run-command.js';
import { transactionConditions } from './transaction-filter.js';
import { Entitlement } from './types/entitlement.js';
import { PaymentMethod } from './types/payment-method.js';
import { PurchaseConnection } from './types/purchase.js';
import { Tier } from './types/tier.js';
import { TransactionConnection, TransactionFilter } from './types/transaction.js';
import { User } from './types/user.js';
import { SubscriptionStatus, UserSubscription, UserSubscriptionConnection } from './types/user-subscription.js';
import { lower } from './words.js';

/** A user as this caller may see it: open to the user, closed to anybody else. Needs no row: users are not ours. */
export function userAs(id: string, context: GraphContext): User {
  return { __typename: 'User', id, isOpen: context.actor?.userId === id };
}

/** The user whose private object the caller was given: whoever may see the object may see its user's account. */
export function openUser(id: string): User {
  return { __typename: 'User', id, isOpen: true };
}

/** Users, as far as money is concerned. Private fields of a closed user are null, without an error. */
@Resolver(() => User)
export class UserResolver {
  @Directive('@shareable')
  @Query(() => User, {
    nullable: true,
    description: 'The signed-in user; null without a session. Shareable, because other subgraphs may offer it too.',
  })
  viewer(@Ctx() context: GraphContext): User | null {
    return context.actor && userAs(context.actor.userId, context);
  }

  @Directive('@tag(name: "staff")')
  @RequiresScopes(STAFF)
  @Query(() => User, {
    nullable: true,
    description: "A user's account as support sees it. Every call is written to the audit log.",
  })
  async customerAccount(
    @Arg('userId', () => ID, { description: 'The user.' }) userId: string,
    @Ctx() context: GraphContext,
  ): Promise<User | null> {
    const actor = requireActor(context);
    if (!USER_ID_FORM.test(userId)) return null;
    const isOpened = await asAllowed(() => context.commands.openCustomerAccount(actor, userId));
    return isOpened ? openUser(userId) : null;
  }

  @Directive('@cost(weight: 1)')
  @FieldResolver(() => Tier, {
    nullable: true,
    description: 'Tier shown on the profile; null when there is none or the user hides it. Public, safe for feeds.',
  })
  async displayTier(@Root() user: User, @Ctx() context: GraphContext): Promise<Tier | null> {
    const tierId = await context.reads.displayTier(user.id);
    return tierId === null ? null : shownTier(context.reads.catalogue.tier(tierId));
  }

  @Authenticated()
  @Directive(
    '@listSize(slicingArguments: ["first", "last"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => UserSubscriptionConnection, {
    nullable: true,
    description: 'Subscriptions of the user, newest first. The user and staff only.',
  })
  async subscriptions(
    @Root() user: User,
    @Args(() => PageArgs) page: PageArgs,
    @Arg('statuses', () => [SubscriptionStatus], { nullable: true, description: 'Only these states.' })
    statuses: SubscriptionStatus[] | null | undefined,
    @Ctx() context: GraphContext,
  ): Promise<UserSubscriptionConnection | null> {
    if (!user.isOpen) return null;
    const { cursors } = context.reads;
    const words = statuses ? statuses.map(lower) : null;
    const request = pageRequest(page, JSON.stringify(['subscriptions', user.id, words]), cursors);
    return new Connection(await context.reads.subscriptionPage(user.id, request, words), presentSubscription, cursors);
  }

  @Authenticated()
  @FieldResolver(() => UserSubscription, {
    nullable: true,
    description: 'The live subscription of the user, if any: trialing, active, past due or paused. The user and staff only.',
  })
  async currentSubscription(@Root() user: User, @Ctx() context: GraphContext): Promise<UserSubscription | null> {
    const row = user.isOpen ? await context.reads.currentSubscription(user.id) : null;
    return row && presentSubscription(row);
  }

  @Authenticated()
  @Directive('@listSize(assumedSize: 10)')
  @FieldResolver(() => [PaymentMethod], {
    nullable: true,
    description: 'Payment methods on file, default first. The user and staff only.',
  })
  async paymentMethods(@Root() user: User, @Ctx() context: GraphContext): Promise<PaymentMethod[] | null> {
    if (!user.isOpen) return null;
    const rows = await context.reads.paymentMethodsOnFile(user.id);
    return rows.map(presentPaymentMethod).filter((method) => method !== null);
  }

  @Authenticated()
  @Directive(
    '@listSize(slicingArguments: ["first", "last"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => TransactionConnection, {
    nullable: true,
    description: 'Money movements of the user, newest first. The user and staff only.',
  })
  async transactions(
    @Root() user: User,
    @Args(() => PageArgs) page: PageArgs,
    @Arg('filter', () => TransactionFilter, { nullable: true, description: 'Narrow the list.' })
    filter: TransactionFilter | null | undefined,
    @Ctx() context: GraphContext,
  ): Promise<TransactionConnection | null> {
    if (!user.isOpen) return null;
    const { cursors } = context.reads;
    const request = pageRequest(page, JSON.stringify(['transactions', user.id, filter ?? null]), cursors);
    const conditions = transactionConditions(filter ?? {});
    return new Connection(await context.reads.transactionPage(user.id, request, conditions), presentTransaction, cursors);
  }

  @Authenticated()
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => PurchaseConnection, {
    nullable: true,
    description: 'One-time purchases of the user, newest first. The user and staff only.',
  })
  async purchases(
    @Root() user: User,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() context: GraphContext,
  ): Promise<PurchaseConnection | null> {
    if (!user.isOpen) return null;
    const { cursors } = context.reads;
    const request = pageRequest(page, JSON.stringify(['purchases', user.id]), cursors);
    return new Connection(await context.reads.purchasePage(user.id, request), presentPurchase, cursors);
  }

  @Authenticated()
  @Directive('@cost(weight: 1)')
  @FieldResolver(() => Boolean, {
    nullable: true,
    description:
      'Whether the user may use the feature now. Null means unknown (trouble on our side): decide whether to fail open.',
  })
  async hasFeature(
    @Root() user: User,
    @Arg('feature', () => String, { description: 'Machine name of the feature.' }) feature: string,
    @Ctx() context: GraphContext,
  ): Promise<boolean | null> {
    const rights = await rightsOf(user, context);
    return rights && rights.some((right) => right.featureKey === feature);
  }

  @Authenticated()
  @Directive('@listSize(assumedSize: 30)')
  @FieldResolver(() => [String], {
    nullable: true,
    description: 'Machine names of all features the user may use now; no arguments, so that other subgraphs can require it.',
  })
  async featureKeys(@Root() user: User, @Ctx() context: GraphContext): Promise<string[] | null> {
    const rights = await rightsOf(user, context);
    return rights && rights.map((right) => right.featureKey);
  }

  @Authenticated()
  @Directive('@listSize(assumedSize: 30)')
  @FieldResolver(() => [Entitlement], { nullable: true, description: 'What the user may use now, why and until when.' })
  async entitlements(@Root() user: User, @Ctx() context: GraphContext): Promise<Entitlement[] | null> {
    const rights = await rightsOf(user, context);
    return rights && rights.map((right) => presentEntitlement(right, user));
  }
}

/** Rights are shown to the user, to staff who opened the account, and to services with the scope for it. */
async function rightsOf(user: User, context: GraphContext): Promise<EntitlementRight[] | null> {
  const isService = context.actor?.scopes.has(SCOPES.entitlements) ?? false;
  return user.isOpen || isService ? context.reads.rights(user.id) : null;
}
