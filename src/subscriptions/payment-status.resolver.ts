import { Arg, Ctx, ID, Int, Resolver, Root, Subscription } from 'type-graphql';
import { parsePublicId, type IdPrefix } from '../domain/ids.js';
import type { Clock } from '../ports/clock.js';
import { Authenticated, requireActor } from '../resolvers/authorization.js';
import type { GraphContext } from '../resolvers/context.js';
import { badUserInput, cursorInvalid, tooMany } from '../resolvers/errors.js';
import { presentSubscription, presentTransaction } from '../resolvers/present-account.js';
import { nextActionOf } from '../resolvers/present-step.js';
import { PaymentStatusUpdate } from '../resolvers/types/payment-status.js';
import { upper } from '../resolvers/words.js';
import type { FeedReads, FeedRow } from '../store/feed.reads.js';
import type { FeedCursors } from './feed-cursor.js';
import { FeedStream, type FeedItem } from './feed-stream.js';
import type { FeedHub } from './hub.js';

/** What a live stream needs besides what every resolver is given. */
export interface LiveSource {
  readonly hub: FeedHub;
  readonly reads: FeedReads;
  readonly cursors: FeedCursors;
  /** When the caller's token expires, on the machine's clock. */
  readonly expiresAt: Date;
  readonly machineClock: Clock;
  /** Told when the feed could not be read for a while. */
  readonly report: (error: unknown) => void;
  /** Counts an item by its type. */
  readonly countSent: (type: string) => void;
}

/** The context of subscriptions. */
export interface LiveContext extends GraphContext {
  readonly live: LiveSource;
}

interface PaymentStatusArguments {
  transactionId?: string | null;
  subscriptionId?: string | null;
  after?: string | null;
  heartbeatSeconds: number;
}

/** Streams of one user at once, on all its connections to this process. */
const STREAMS_PER_USER = 10;
/** Bounds of heartbeatSeconds; 0 is none. */
const HEARTBEAT_SECONDS = { least: 15, most: 300 };

/** Live updates of payments. */
@Resolver()
export class PaymentStatusResolver {
  @Authenticated()
  @Subscription(() => PaymentStatusUpdate, {
    description: 'Changes of payment status of the signed-in user, in order, resumable; narrowed by the arguments.',
    subscribe: ({ args, context }) => openStream(args as PaymentStatusArguments, context as LiveContext),
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
    const { userId } = requireActor(context);
    context.live.countSent(item.type);
    const { type, sequence, occurredAt } = item;
    const told = { cursor: context.live.cursors.write(userId, sequence), sequence, type, occurredAt };
    const nothing = { transaction: null, subscription: null, nextAction: null, status: null, previousStatus: null };
    return item.type === 'CHANGE' ? { ...told, ...(await presentChange(item.row, userId, context)) } : { ...told, ...nothing };
  }
}

/** What changed, read now and for this user alone: the objects may be further than the change tells. */
async function presentChange(
  row: FeedRow,
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

/** @throws GraphQLError UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_INVALID, OPERATION_TOO_COMPLEX */
function openStream(args: PaymentStatusArguments, context: LiveContext): FeedStream {
  const { userId } = requireActor(context);
  const { hub, reads, cursors, expiresAt, machineClock, report } = context.live;
  const transactionId = idOrNull('txn', 'transactionId', args.transactionId);
  const subscriptionId = idOrNull('sub', 'subscriptionId', args.subscriptionId);
  const open = hub.openStreamsOf(userId);
  if (open >= STREAMS_PER_USER) throw tooMany('streams', open + 1, STREAMS_PER_USER);
  return new FeedStream(
    { hub, reads, clock: context.clock, machineClock, report },
    {
      userId,
      after: placeAfter(cursors, userId, args.after),
      wants: (row) =>
        row.change === 'payment_status' &&
        (transactionId === null || row.subjectId === transactionId) &&
        (subscriptionId === null || row.subscriptionId === subscriptionId),
      heartbeatMs: heartbeatOf(args.heartbeatSeconds),
      expiresAt,
    },
  );
}

function placeAfter(cursors: FeedCursors, userId: string, after: string | null | undefined): bigint | null {
  if (after === null || after === undefined) return null;
  const place = cursors.read(userId, after);
  if (place === null) throw cursorInvalid();
  return place;
}

/** Another user's id simply never matches; an id of a wrong form cannot match and is refused. */
function idOrNull(kind: IdPrefix, name: string, text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const id = parsePublicId(kind, text);
  if (id === null) throw badUserInput(`${name} is not the id of such an object.`);
  return id;
}

function heartbeatOf(seconds: number | null | undefined): number | null {
  if (!seconds) return null;
  const { least, most } = HEARTBEAT_SECONDS;
  if (seconds < least || seconds > most) throw badUserInput(`heartbeatSeconds is 0, or ${least} to ${most}.`);
  return seconds * 1000;
}
