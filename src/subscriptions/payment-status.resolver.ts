import { Arg, Ctx, ID, Int, Resolver, Root, Subscription } from 'type-graphql';
import { parsePublicId, type IdPrefix } from '../domain/ids.js';
import { Authenticated } from '../resolvers/authorization.js';
import type { GraphContext } from '../resolvers/context.js';
import { badUserInput } from '../resolvers/errors.js';
import { presentSubscription, presentTransaction } from '../resolvers/present-account.js';
import { nextActionOf } from '../resolvers/present-step.js';
import { PaymentStatusUpdate } from '../resolvers/types/payment-status.js';
import { upper } from '../resolvers/words.js';
import type { FeedRow } from '../store/feed.reads.js';
import type { FeedItem, FeedStream } from './feed-stream.js';
import { openStream, tell, type LiveContext, type StreamArguments } from './open-stream.js';

interface PaymentStatusArguments extends StreamArguments {
  transactionId?: string | null;
  subscriptionId?: string | null;
}

/** Live updates of payments. */
@Resolver()
export class PaymentStatusResolver {
  @Authenticated()
  @Subscription(() => PaymentStatusUpdate, {
    description: 'Changes of payment status of the signed-in user, in order, resumable; narrowed by the arguments.',
    subscribe: ({ args, context }) => openPaymentStream(args as PaymentStatusArguments, context as LiveContext),
  })
  async paymentStatusChanged(
    @Root() item: FeedItem,
    @Ctx() context: LiveContext,
    @Arg('transactionId', () => ID, { nullable: true, description: 'Only this payment.' }) _transactionId?: string | null,
    @Arg('subscriptionId', () => ID, { nullable: true, description: 'Only payments of this subscription.' }) _subscriptionId?:
      | string
      | null,
    @Arg('after', () => String, {
      nullable: true,
      description: 'Cursor of the last update handled; updates after it are sent first. Leave out to start from now.',
    })
    _after?: string | null,
    @Arg('streamKey', () => String, {
      nullable: true,
      description: 'Random for every subscribe call; keeps routers from merging this stream with another (see graph.md).',
    })
    _streamKey?: string | null,
    @Arg('heartbeatSeconds', () => Int, {
      nullable: true,
      defaultValue: 0,
      description: 'Send an update of type HEARTBEAT when nothing else was sent for so long; 15 to 300; 0 for none.',
    })
    _heartbeatSeconds?: number | null,
  ): Promise<PaymentStatusUpdate> {
    const { userId, told } = tell(item, context);
    const nothing = { transaction: null, subscription: null, nextAction: null, status: null, previousStatus: null };
    return item.type === 'CHANGE' && item.row.change === 'payment_status'
      ? { ...told, ...(await presentChange(item.row, userId, context)) }
      : { ...told, ...nothing };
  }
}

/** What changed, read now and for this user alone: the objects may be further than the change tells. */
async function presentChange(
  row: FeedRow & { change: 'payment_status' },
  userId: string,
  context: GraphContext,
): Promise<Pick<PaymentStatusUpdate, 'transaction' | 'subscription' | 'nextAction' | 'status' | 'previousStatus'>> {
  const [transactionRow, subscriptionRow] = await Promise.all([
    context.reads.transactionOf(userId, row.subjectId),
    row.subscriptionId === null ? null : context.reads.subscriptionOf(userId, row.subscriptionId),
  ]);
  const transaction = transactionRow && presentTransaction(transactionRow);
  return {
    transaction,
    subscription: subscriptionRow && presentSubscription(subscriptionRow),
    nextAction: transaction && (await nextActionOf(transaction, context)),
    status: row.status && upper(row.status),
    previousStatus: row.previousStatus && upper(row.previousStatus),
  };
}

/** @throws GraphQLError as openStream does, and BAD_USER_INPUT for an id of a wrong form */
function openPaymentStream(args: PaymentStatusArguments, context: LiveContext): FeedStream {
  const transactionId = idOrNull('txn', 'transactionId', args.transactionId);
  const subscriptionId = idOrNull('sub', 'subscriptionId', args.subscriptionId);
  return openStream(
    args,
    context,
    (row) =>
      row.change === 'payment_status' &&
      (transactionId === null || row.subjectId === transactionId) &&
      (subscriptionId === null || row.subscriptionId === subscriptionId),
  );
}

/** Another user's id simply never matches; an id of a wrong form cannot match and is refused. */
function idOrNull(kind: IdPrefix, name: string, text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const id = parsePublicId(kind, text);
  if (id === null) throw badUserInput(`${name} is not the id of such an object.`);
  return id;
}
