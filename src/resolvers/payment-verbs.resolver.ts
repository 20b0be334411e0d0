import { Arg, Ctx, Directive, Mutation, Resolver } from 'type-graphql';
import type { TransactionId } from '../domain/ids.js';
import { Authenticated, requireActor, RequiresScopes, STAFF } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadPurchase, loadTransaction } from './load-outcome.js';
import { presentSubscription, presentTransaction } from './present-account.js';
import { presentRefusals } from './present-refusal.js';
import { nextActionOf } from './present-step.js';
import { runCommand } from './run-command.js';
import {
  ConfirmPaymentInput,
  ConfirmPaymentPayload,
  PurchaseInput,
  PurchasePayload,
  RefundInput,
  RefundPayload,
} from './types/payment-verbs.js';
import type { Transaction } from './types/transaction.js';
import { lower } from './words.js';

/** What customers do with payments, and what staff pay back. */
@Resolver()
export class PaymentVerbsResolver {
  @Authenticated()
  @Directive('@cost(weight: 50)')
  @Mutation(() => PurchasePayload, { description: 'Buy a product once.' })
  async purchase(
    @Arg('input', () => PurchaseInput, { description: 'What to buy and how to pay.' }) input: PurchaseInput,
    @Ctx() context: GraphContext,
  ): Promise<PurchasePayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const priceId = read.id('price', input.priceId, 'priceId');
    const command = {
      quantity: read.count(input.quantity ?? 1, { least: 1, most: 100 }, 'quantity'),
      paymentMethodId: read.optionalId('pm', input.paymentMethodId, 'paymentMethodId'),
      expectedAmount: read.optionalMoney(input.expectedAmount, 'expectedAmount'),
      returnUrl: input.returnUrl ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (priceId === null || read.refusals.length > 0) {
      const userErrors = await presentRefusals(read.refusals, actor.userId, context);
      return { purchase: null, transaction: null, nextAction: null, userErrors };
    }
    const answer = await runCommand(context, () => context.commands.purchase(actor, { ...command, priceId }));
    const transaction = await loadTransaction(actor.userId, answer.transactionId, context);
    return {
      purchase: await loadPurchase(actor.userId, answer.purchaseId, context),
      transaction,
      nextAction: transaction && (await nextActionOf(transaction, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => ConfirmPaymentPayload, {
    description: 'Tell us that the user has done the step of nextAction; we ask the provider and answer with the new state.',
  })
  async confirmPayment(
    @Arg('input', () => ConfirmPaymentInput, { description: 'Which payment.' }) input: ConfirmPaymentInput,
    @Ctx() context: GraphContext,
  ): Promise<ConfirmPaymentPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const transactionId = read.id('txn', input.transactionId, 'transactionId');
    if (transactionId === null) {
      const userErrors = await presentRefusals(read.refusals, actor.userId, context);
      return { transaction: null, subscription: null, nextAction: null, userErrors };
    }
    const answer = await runCommand(context, () => context.commands.confirmPayment(actor, { transactionId }));
    const transaction = await loadTransaction(actor.userId, answer.transactionId, context);
    const subscriptionId = transaction?.row.subscriptionId ?? null;
    const subscription = subscriptionId === null ? null : await context.reads.subscriptionOf(actor.userId, subscriptionId);
    return {
      transaction,
      subscription: subscription && presentSubscription(subscription),
      nextAction: transaction && (await nextActionOf(transaction, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Directive('@tag(name: "staff")')
  @RequiresScopes(STAFF)
  @Directive('@cost(weight: 50)')
  @Mutation(() => RefundPayload, { description: 'Pay a charge back, wholly or in part.' })
  async refund(
    @Arg('input', () => RefundInput, { description: 'Which charge, how much and why.' }) input: RefundInput,
    @Ctx() context: GraphContext,
  ): Promise<RefundPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const transactionId = read.id('txn', input.transactionId, 'transactionId');
    const command = {
      amount: read.optionalMoney(input.amount, 'amount'),
      reason: lower(input.reason),
      note: read.optionalText(input.note, 'note'),
      endSubscription: input.endSubscription ?? false,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (transactionId === null || read.refusals.length > 0) {
      return { refund: null, original: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.refund(actor, { ...command, transactionId }));
    return {
      refund: await loadAsStaff(answer.refundId, context),
      original: await loadAsStaff(answer.originalId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}

/** A transaction of a customer, for the agent whose refund of it the command has just written to the audit log. */
async function loadAsStaff(id: TransactionId | null, context: GraphContext): Promise<Transaction | null> {
  const row = id && (await context.reads.transactionForStaff(id));
  return row && presentTransaction(row);
}
