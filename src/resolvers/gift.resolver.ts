import { FieldResolver, Resolver, Root, Arg, Args, Ctx, Directive, Mutation } from 'type-graphql';
import { publicId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { parseGiftCode } from '../domain/subscription/gift-code.js';
import { MAX_GIFT_PERIODS } from '../domain/subscription/gift.js';
import type { GiftRow } from '../store/gifts.reads.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadSubscription, loadTransaction } from './load-outcome.js';
import { Connection, ForwardPageArgs, pageRequest } from './paging.js';
import { presentSubscription, presentTransaction } from './present-account.js';
import { presentTierPrice } from './present-catalogue.js';
import { presentRefusals } from './present-refusal.js';
import { nextActionOf } from './present-step.js';
import { runCommand } from './run-command.js';
import {
  ClaimGiftInput,
  ClaimGiftPayload,
  Gift,
  GiftConnection,
  GiftSubscriptionInput,
  GiftSubscriptionPayload,
} from './types/gift.js';
import { TierPrice } from './types/tier.js';
import { Transaction } from './types/transaction.js';
import { User } from './types/user.js';
import { UserSubscription } from './types/user-subscription.js';
import { openUser, userAs } from './user.resolver.js';
import { upper } from './words.js';

/** A gift as the graph shows it to one of its two users. */
export function presentGift(row: GiftRow, viewerId: string): Gift {
  const { periods, claimBy } = row;
  return { __typename: 'Gift', row, viewerId, id: publicId('gift', row.id), periods, status: upper(row.status), claimBy };
}

/** Gifts: each is shown to its giver and its recipient, and to either what is theirs to know. */
@Resolver(() => Gift)
export class GiftResolver {
  @FieldResolver(() => User, {
    nullable: true,
    description: 'Who pays; null towards the receiver when given anonymously.',
  })
  giver(@Root() { row, viewerId }: Gift, @Ctx() context: GraphContext): User | null {
    if (viewerId === row.giverId) return openUser(row.giverId);
    return row.isAnonymous ? null : userAs(row.giverId, context);
  }

  @FieldResolver(() => User, {
    nullable: true,
    description: 'Who receives; null until it is claimed, for gifts by code.',
  })
  recipient(@Root() { row, viewerId }: Gift, @Ctx() context: GraphContext): User | null {
    if (row.recipientId === null) return null;
    return viewerId === row.recipientId ? openUser(row.recipientId) : userAs(row.recipientId, context);
  }

  @FieldResolver(() => TierPrice, { description: 'What is given.' })
  async price(@Root() { row }: Gift, @Ctx() context: GraphContext): Promise<TierPrice> {
    const { reads, clock } = context;
    const price = await reads.fromCatalogue((catalogue) => catalogue.price(row.priceId));
    invariant(price !== null, 'the price of a gift exists', { priceId: row.priceId });
    return presentTierPrice(price, reads.catalogue, clock.now());
  }

  @FieldResolver(() => Transaction, { nullable: true, description: 'The payment; the giver and staff only.' })
  async transaction(@Root() { row, viewerId }: Gift, @Ctx() context: GraphContext): Promise<Transaction | null> {
    const charge = viewerId === row.giverId ? await context.reads.giftChargeOf(row.giverId, row.id) : null;
    return charge && presentTransaction(charge);
  }

  @FieldResolver(() => UserSubscription, { nullable: true, description: 'The subscription it became, once claimed.' })
  async subscription(@Root() { row, viewerId }: Gift, @Ctx() context: GraphContext): Promise<UserSubscription | null> {
    // It is its user's own: the giver sees that the gift is in use, and no more.
    if (row.subscriptionId === null || viewerId !== row.recipientId) return null;
    const subscription = await context.reads.subscriptionOf(viewerId, row.subscriptionId);
    return subscription && presentSubscription(subscription);
  }

  @Authenticated()
  @Directive('@cost(weight: 50)')
  @Mutation(() => GiftSubscriptionPayload, {
    description: 'Pay a membership for someone else, by user or as a code to hand over.',
  })
  async giftSubscription(
    @Arg('input', () => GiftSubscriptionInput, { description: 'What, for whom and how to pay.' }) input: GiftSubscriptionInput,
    @Ctx() context: GraphContext,
  ): Promise<GiftSubscriptionPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const priceId = read.id('price', input.priceId, 'priceId');
    const command = {
      periods: read.count(input.periods ?? 1, { least: 1, most: MAX_GIFT_PERIODS }, 'periods'),
      recipientId: read.optionalUserId(input.recipientId, 'recipientId'),
      isAnonymous: input.anonymous ?? false,
      paymentMethodId: read.optionalId('pm', input.paymentMethodId, 'paymentMethodId'),
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (priceId === null || read.refusals.length > 0) {
      const userErrors = await presentRefusals(read.refusals, actor.userId, context);
      return { gift: null, claimCode: null, nextAction: null, userErrors };
    }
    const answer = await runCommand(context, () => context.commands.giftSubscription(actor, { ...command, priceId }));
    const transaction = await loadTransaction(actor.userId, answer.transactionId, context);
    return {
      gift: await ownGift(actor.userId, answer.giftId, context),
      claimCode: answer.claimCode,
      nextAction: transaction && (await nextActionOf(transaction, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => ClaimGiftPayload, { description: 'Take a gift.' })
  async claimGift(
    @Arg('input', () => ClaimGiftInput, { description: 'Which one.' }) input: ClaimGiftInput,
    @Ctx() context: GraphContext,
  ): Promise<ClaimGiftPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const claim = readClaim(input, read);
    if (claim === null || read.refusals.length > 0) {
      return { gift: null, subscription: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.claimGift(actor, claim));
    return {
      gift: await ownGift(actor.userId, answer.giftId, context),
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}

/** Lists of gifts on users. */
@Resolver(() => User)
export class UserGiftsResolver {
  @Authenticated()
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => GiftConnection, {
    nullable: true,
    description: 'Gifts the user has bought for others or has been given. The user and staff only.',
  })
  async gifts(
    @Root() user: User,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() context: GraphContext,
  ): Promise<GiftConnection | null> {
    if (!user.isOpen) return null;
    const { cursors } = context.reads;
    const request = pageRequest(page, JSON.stringify(['gifts', user.id]), cursors);
    return new Connection(await context.reads.giftPage(user.id, request), (row) => presentGift(row, user.id), cursors);
  }
}

/** The gift, as this user may see it. */
export async function ownGift(userId: string, id: string | null, context: GraphContext): Promise<Gift | null> {
  const row = id && (await context.reads.giftOf(userId, id));
  return row ? presentGift(row, userId) : null;
}

/** Which gift is claimed, and by what right; null, and a refusal, unless just one of the two was given and is well-formed. */
function readClaim(input: ClaimGiftInput, read: InputReader) {
  const { giftId = null, claimCode = null } = input;
  if ((giftId === null) === (claimCode === null)) {
    read.refusals.push({ code: 'INVALID_INPUT', message: 'Give giftId or claimCode, and not both.', field: ['input'] });
    return null;
  }
  if (giftId !== null) {
    const id = read.id('gift', giftId, 'giftId');
    return id && { giftId: id, secret: null };
  }
  const code = claimCode === null ? null : parseGiftCode(claimCode);
  if (code === null) read.refusals.push({ code: 'NOT_FOUND', message: 'There is no such gift.', field: ['input', 'claimCode'] });
  return code;
}
