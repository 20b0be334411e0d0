import { Arg, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { parsePublicId } from '../domain/ids.js';
import { failureOf, refundFailure } from '../domain/payment/decline.js';
import { refundableAmount } from '../domain/refund/refundable.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import {
  presentPaymentMethod,
  presentPurchase,
  presentSubscription,
  presentTransaction,
  presentTransactionEvent,
} from './present-account.js';
import { presentMoney } from './present-money.js';
import { nextActionOf } from './present-step.js';
import { Money } from './types/money.js';
import { NextAction } from './types/next-action.js';
import { PaymentFailure } from './types/payment-failure.js';
import { PaymentMethod } from './types/payment-method.js';
import { Purchase } from './types/purchase.js';
import { Transaction, TransactionStatusEvent } from './types/transaction.js';
import { User } from './types/user.js';
import { UserSubscription } from './types/user-subscription.js';
import { openUser } from './user.resolver.js';

/** Transactions, and the entry point to one. */
@Resolver(() => Transaction)
export class TransactionResolver {
  @Authenticated()
  @Query(() => Transaction, {
    nullable: true,
    description: "A transaction by id; null when it does not exist or is not the caller's.",
  })
  async transaction(
    @Arg('id', () => ID, { description: 'Opaque id.' }) id: string,
    @Ctx() context: GraphContext,
  ): Promise<Transaction | null> {
    return ownTransaction(requireActor(context).userId, id, context);
  }

  @FieldResolver(() => User, { description: 'The user charged or paid back.' })
  user(@Root() { row }: Transaction): User {
    return openUser(row.userId);
  }

  @FieldResolver(() => PaymentMethod, { nullable: true, description: 'Payment method used, as it was then.' })
  async paymentMethod(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<PaymentMethod | null> {
    const method = row.paymentMethodId === null ? null : await context.reads.paymentMethodOf(row.userId, row.paymentMethodId);
    return method && presentPaymentMethod(method);
  }

  @FieldResolver(() => UserSubscription, { nullable: true, description: 'The subscription it is for.' })
  async subscription(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<UserSubscription | null> {
    const subscription = row.subscriptionId === null ? null : await context.reads.subscriptionOf(row.userId, row.subscriptionId);
    return subscription && presentSubscription(subscription);
  }

  @FieldResolver(() => Purchase, { nullable: true, description: 'The purchase it is for.' })
  async purchase(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<Purchase | null> {
    const purchase = row.purchaseId === null ? null : await context.reads.purchaseOf(row.userId, row.purchaseId);
    return purchase && presentPurchase(purchase);
  }

  @FieldResolver(() => Transaction, { nullable: true, description: 'For a refund or dispute: the charge it reverses.' })
  async original(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<Transaction | null> {
    const charge = row.originalId === null ? null : await context.reads.transactionOf(row.userId, row.originalId);
    return charge && presentTransaction(charge);
  }

  @Directive('@listSize(assumedSize: 5)')
  @FieldResolver(() => [Transaction], { description: 'For a charge: refunds and disputes against it, oldest first.' })
  async reversals(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<Transaction[]> {
    if (row.kind !== 'charge') return [];
    return (await context.reads.reversalsOf(row.userId, row.id)).map(presentTransaction);
  }

  @FieldResolver(() => Money, { nullable: true, description: 'What is left to refund.' })
  async refundableAmount(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<Money | null> {
    if (row.kind !== 'charge') return null;
    // Only a charge that succeeded has anything left; its attempt then says the same.
    const against = row.status === 'succeeded' ? await context.reads.reversalFactsOf(row.userId, row.id) : [];
    const left = refundableAmount({
      status: row.status === 'succeeded' ? 'succeeded' : 'created',
      amountMinor: row.amount,
      refunds: against.filter((fact) => fact.source === 'refund'),
      disputes: against.filter((fact) => fact.source === 'dispute'),
      notedMinor: against.find((fact) => fact.source === 'note')?.amountMinor ?? 0n,
    });
    return presentMoney(left, row.currency);
  }

  @FieldResolver(() => PaymentFailure, { nullable: true, description: 'Why it failed; null unless status is FAILED.' })
  async failure(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<PaymentFailure | null> {
    if (row.status !== 'failed') return null;
    if (row.kind !== 'charge') return refundFailure();
    const attempt = await context.reads.attemptOf(row.userId, row.id);
    const reader = context.actor?.userId === row.userId ? 'owner' : 'staff';
    const status = attempt?.status;
    return failureOf({
      codes: attempt && { code: null, ...attempt },
      attemptStatus: status === 'not_executed' || status === 'canceled' || status === 'late_failed' ? status : 'declined',
      reader,
      isFirstPayment: attempt?.isFirstPayment ?? true,
    });
  }

  @FieldResolver(() => NextAction, {
    nullable: true,
    description: 'What the user must do; null unless status is REQUIRES_ACTION, and for anyone but the owner.',
  })
  nextAction(@Root() transaction: Transaction, @Ctx() context: GraphContext): Promise<NextAction | null> {
    return nextActionOf(transaction, context);
  }

  @Directive('@listSize(assumedSize: 8)')
  @FieldResolver(() => [TransactionStatusEvent], { description: 'Every change of status so far, oldest first.' })
  async statusHistory(@Root() { row }: Transaction, @Ctx() context: GraphContext): Promise<TransactionStatusEvent[]> {
    return (await context.reads.eventsOf(row.userId, row.id)).map(presentTransactionEvent);
  }
}

/** The user's own transaction by its public id; null for any other id, whatever its form. */
export async function ownTransaction(userId: string, publicId: string, context: GraphContext): Promise<Transaction | null> {
  const id = parsePublicId('txn', publicId);
  const row = id && (await context.reads.transactionOf(userId, id));
  return row && presentTransaction(row);
}
