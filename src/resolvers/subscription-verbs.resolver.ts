import { Arg, Ctx, Directive, Mutation, Resolver } from 'type-graphql';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadSubscription, loadTransaction } from './load-outcome.js';
import { presentRefusals } from './present-refusal.js';
import { nextActionOf } from './present-step.js';
import { runCommand } from './run-command.js';
import {
  CancelSubscriptionInput,
  CancelSubscriptionPayload,
  ResumeSubscriptionInput,
  ResumeSubscriptionPayload,
  SubscribeInput,
  SubscribePayload,
} from './types/subscription-verbs.js';
import { lower } from './words.js';

/** What customers do with subscriptions. */
@Resolver()
export class SubscriptionVerbsResolver {
  @Authenticated()
  @Directive('@cost(weight: 50)')
  @Mutation(() => SubscribePayload, {
    description: 'Start a subscription and, unless it starts with a trial, charge for its first period.',
  })
  async subscribe(
    @Arg('input', () => SubscribeInput, { description: 'What to subscribe to and how to pay.' }) input: SubscribeInput,
    @Ctx() context: GraphContext,
  ): Promise<SubscribePayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const priceId = read.id('price', input.priceId, 'priceId');
    const command = {
      paymentMethodId: read.optionalId('pm', input.paymentMethodId, 'paymentMethodId'),
      coupon: input.coupon ?? null,
      useTrial: input.useTrial ?? false,
      expectedAmount: read.optionalMoney(input.expectedAmount, 'expectedAmount'),
      returnUrl: input.returnUrl ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (priceId === null || read.refusals.length > 0) {
      const userErrors = await presentRefusals(read.refusals, actor.userId, context);
      return { subscription: null, transaction: null, nextAction: null, userErrors };
    }
    const answer = await runCommand(context, () => context.commands.subscribe(actor, { ...command, priceId }));
    const transaction = await loadTransaction(actor.userId, answer.transactionId, context);
    return {
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      transaction,
      nextAction: transaction && (await nextActionOf(transaction, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => CancelSubscriptionPayload, { description: 'End a subscription, by default when the paid period is over.' })
  async cancelSubscription(
    @Arg('input', () => CancelSubscriptionInput, { description: 'Which one and when.' }) input: CancelSubscriptionInput,
    @Ctx() context: GraphContext,
  ): Promise<CancelSubscriptionPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    const command = {
      immediately: input.immediately ?? false,
      reason: input.reason ? lower(input.reason) : null,
      comment: read.optionalText(input.comment, 'comment'),
      expectedVersion: input.expectedVersion ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (subscriptionId === null || read.refusals.length > 0) {
      return { subscription: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.cancelSubscription(actor, { ...command, subscriptionId }));
    return {
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => ResumeSubscriptionPayload, {
    description: 'Take back a cancellation that has not taken effect, or end a pause.',
  })
  async resumeSubscription(
    @Arg('input', () => ResumeSubscriptionInput, { description: 'Which one.' }) input: ResumeSubscriptionInput,
    @Ctx() context: GraphContext,
  ): Promise<ResumeSubscriptionPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    const command = {
      expectedVersion: input.expectedVersion ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (subscriptionId === null || read.refusals.length > 0) {
      const userErrors = await presentRefusals(read.refusals, actor.userId, context);
      return { subscription: null, transaction: null, nextAction: null, userErrors };
    }
    const answer = await runCommand(context, () => context.commands.resumeSubscription(actor, { ...command, subscriptionId }));
    const transaction = await loadTransaction(actor.userId, answer.transactionId, context);
    return {
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      transaction,
      nextAction: transaction && (await nextActionOf(transaction, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}
