/** What every live stream of a user's feed has in common: who may open one, from where, and how its items are told. */
import type { Clock } from '../ports/clock.js';
import { requireActor } from '../resolvers/authorization.js';
import type { GraphContext } from '../resolvers/context.js';
import { badUserInput, cursorInvalid, tooMany } from '../resolvers/errors.js';
import type { StreamItemType } from '../resolvers/types/payment-status.js';
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

/** Arguments that every stream takes. */
export interface StreamArguments {
  after?: string | null;
  heartbeatSeconds?: number | null;
}

/** Streams of one user at once, on all its connections to this process. */
const STREAMS_PER_USER = 10;
/** Bounds of heartbeatSeconds; 0 is none. */
const HEARTBEAT_SECONDS = { least: 15, most: 300 };

/**
 * Opens a stream of the caller's own changes; those that are not wanted move its place all the same.
 * @throws GraphQLError UNAUTHENTICATED, BAD_USER_INPUT, CURSOR_INVALID, OPERATION_TOO_COMPLEX
 */
export function openStream(args: StreamArguments, context: LiveContext, wants: (row: FeedRow) => boolean): FeedStream {
  const { userId } = requireActor(context);
  const { hub, reads, cursors, expiresAt, machineClock, report } = context.live;
  const open = hub.openStreamsOf(userId);
  if (open >= STREAMS_PER_USER) throw tooMany('streams', open + 1, STREAMS_PER_USER);
  return new FeedStream(
    { hub, reads, clock: context.clock, machineClock, report },
    { userId, after: placeAfter(cursors, userId, args.after), wants, heartbeatMs: heartbeatOf(args.heartbeatSeconds), expiresAt },
  );
}

/** What every item says, whatever it is about; counts it as sent. */
export function tell(
  item: FeedItem,
  context: LiveContext,
): { userId: string; told: { cursor: string; sequence: bigint; type: StreamItemType; occurredAt: Date } } {
  const { userId } = requireActor(context);
  const { cursors, countSent } = context.live;
  const { type, sequence, occurredAt } = item;
  countSent(type);
  return { userId, told: { cursor: cursors.write(userId, sequence), sequence, type, occurredAt } };
}

function placeAfter(cursors: FeedCursors, userId: string, after: string | null | undefined): bigint | null {
  if (after === null || after === undefined) return null;
  const place = cursors.read(userId, after);
  if (place === null) throw cursorInvalid();
  return place;
}

function heartbeatOf(seconds: number | null | undefined): number | null {
  if (!seconds) return null;
  const { least, most } = HEARTBEAT_SECONDS;
  if (seconds < least || seconds > most) throw badUserInput(`heartbeatSeconds is 0, or ${least} to ${most}.`);
  return seconds * 1000;
}
