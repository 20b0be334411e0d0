import { Arg, Ctx, FieldResolver, Int, Resolver, Root, Subscription } from 'type-graphql';
import { Authenticated } from '../resolvers/authorization.js';
import type { GraphContext } from '../resolvers/context.js';
import { presentInvoice } from '../resolvers/invoice.resolver.js';
import { presentPaymentMethod, presentSubscription, presentTransaction } from '../resolvers/present-account.js';
import { Invoice } from '../resolvers/types/invoice.js';
import { MonetizationChangeType, MonetizationUpdate } from '../resolvers/types/monetization-update.js';
import { PaymentMethod } from '../resolvers/types/payment-method.js';
import { Transaction } from '../resolvers/types/transaction.js';
import { UserSubscription } from '../resolvers/types/user-subscription.js';
import { upper } from '../resolvers/words.js';
import type { FeedItem } from './feed-stream.js';
import { openStream, tell, type LiveContext, type StreamArguments } from './open-stream.js';

interface UpdateArguments extends StreamArguments {
  types?: readonly MonetizationChangeType[] | null;
}

/** Live updates of everything. What an item is about is read when the item is sent, and only where it is asked for. */
@Resolver(() => MonetizationUpdate)
export class MonetizationUpdatesResolver {
  @Authenticated()
  @Subscription(() => MonetizationUpdate, {
    description: "Everything about the signed-in user's money that changes, in order, resumable.",
    subscribe: ({ args, context }) => {
      const { types, ...stream } = args as UpdateArguments;
      const wanted = types ? new Set(types) : null;
      return openStream(stream, context as LiveContext, ({ change }) => wanted === null || wanted.has(upper(change)));
    },
  })
  monetizationUpdates(
    @Root() item: FeedItem,
    @Ctx() context: LiveContext,
    @Arg('types', () => [MonetizationChangeType], { nullable: true, description: 'Only these types of change; default is all.' })
    _types?: MonetizationChangeType[] | null,
    @Arg('after', () => String, {
      nullable: true,
      description: 'Cursor of the last update handled. Leave out to start from now.',
    })
    _after?: string | null,
    @Arg('streamKey', () => String, {
      nullable: true,
      description: 'Random for every subscribe call; keeps routers from merging this stream with another.',
    })
    _streamKey?: string | null,
    @Arg('heartbeatSeconds', () => Int, {
      nullable: true,
      defaultValue: 0,
      description: 'Send an update of type HEARTBEAT when nothing else was sent for so long; 15 to 300; 0 for none.',
    })
    _heartbeatSeconds?: number | null,
  ): MonetizationUpdate {
    const { userId, told } = tell(item, context);
    const row = item.type === 'CHANGE' ? item.row : null;
    return { ...told, userId, row, change: row && upper(row.change) };
  }

  @FieldResolver(() => UserSubscription, { nullable: true, description: 'The subscription concerned, as it is now.' })
  async subscription(
    @Root() { userId, row }: MonetizationUpdate,
    @Ctx() { reads }: GraphContext,
  ): Promise<UserSubscription | null> {
    const subscription = row?.subscriptionId ? await reads.subscriptionOf(userId, row.subscriptionId) : null;
    return subscription && presentSubscription(subscription);
  }

  @FieldResolver(() => Transaction, { nullable: true, description: 'The payment concerned, as it is now.' })
  async transaction(@Root() { userId, row }: MonetizationUpdate, @Ctx() { reads }: GraphContext): Promise<Transaction | null> {
    const transaction = row?.change === 'payment_status' ? await reads.transactionOf(userId, row.subjectId) : null;
    return transaction && presentTransaction(transaction);
  }

  @FieldResolver(() => Invoice, { nullable: true, description: 'The invoice concerned, as it is now.' })
  async invoice(@Root() { userId, row }: MonetizationUpdate, @Ctx() { reads }: GraphContext): Promise<Invoice | null> {
    const invoice = row?.change === 'invoice' ? await reads.invoiceOf(userId, row.subjectId) : null;
    return invoice && presentInvoice(invoice);
  }

  @FieldResolver(() => PaymentMethod, { nullable: true, description: 'The payment method concerned, as it is now.' })
  async paymentMethod(
    @Root() { userId, row }: MonetizationUpdate,
    @Ctx() { reads }: GraphContext,
  ): Promise<PaymentMethod | null> {
    const method = row?.change === 'payment_method' ? await reads.paymentMethodOf(userId, row.subjectId) : null;
    return method && presentPaymentMethod(method);
  }

  @FieldResolver(() => [String], {
    nullable: true,
    description: 'Features the user has after the change; null unless they changed.',
  })
  async featureKeys(@Root() { userId, row }: MonetizationUpdate, @Ctx() { reads }: GraphContext): Promise<string[] | null> {
    if (row?.change !== 'entitlements') return null;
    // Asked for together with those of every other stream that is told something now.
    return (await reads.rights(userId)).map(({ featureKey }) => featureKey);
  }
}
