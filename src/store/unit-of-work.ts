/**
 * A unit of work is one database transaction: facts, ledger, feed and outbox of one change together, or none of them.
 * Order of locks: idempotency key, customer, then that customer's rows, last what customers have in common. `uow.now` is one instant for the whole unit and comes from
 * the process's clock, never from the database.
 */
import { QueryRunnerAlreadyReleasedError, type DataSource, type EntityManager } from 'typeorm';
import { makeId, USER_ID_FORM } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { insideTransaction } from '../platform/inside-transaction.js';
import { keyBucket } from '../platform/json.js';
import type { Turns } from '../platform/turns.js';
import type { Clock } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { BY_KEY, statement, underEntityNames, type Statement } from './statement.js';

/** What changed, in the words of the graph's MonetizationChangeType; the subject is the id of that object. */
export type ChangeWord =
  | 'payment_status'
  | 'subscription'
  | 'invoice'
  | 'payment_method'
  /** What a user may use now; the subject is the subscription, purchase or right that it comes from. */
  | 'entitlements'
  | 'gift';

/** A change of something of a user, told to the user's feed. It names what changed and how it stood then; whoever is told reads it afresh. */
export interface Change {
  change: ChangeWord;
  userId: string;
  subjectId: string;
  /** Of the subject after the change; 0 where it has none. */
  version: number;
  /** null where the subject has none. */
  status: string | null;
  previousStatus: string | null;
}

/** One unit of work. A function that takes one never commits, never opens another, never sleeps, never calls a provider. */
export interface UnitOfWork {
  readonly manager: EntityManager;
  /** The instant of the whole unit (UTC). */
  readonly now: Date;
  /** Runs a named statement; rows of a select, or of `returning`. */
  run<Params extends readonly unknown[], Row>(what: Statement<Params, Row>, params: Params): Promise<Row[]>;
  /** Tells a change to its owner's feed and to the bus, in this same transaction. */
  emit(change: Change): void;
  /** Ends the unit by rolling back; its answer is still returned. For refusals that must leave no trace. */
  abandon(): void;
}

/** What runs a statement at an instant: a unit of work, a statement alone, or a command's own connection. */
export type Runner = Pick<UnitOfWork, 'run' | 'now'>;

/** Whose rows a unit may touch. */
export interface Scope {
  /** The caller; row security shows this user's rows alone, unless staff. */
  userId: string;
  isStaff: boolean;
  /** It takes many rows, each by its key: see KEYED. */
  isBatch?: boolean;
}

/**
 * How statements over many rows are planned: once for each connection, as look-ups by key in the order of the joins as they are written. Left alone the
 * planner makes the plans of a dozen joins anew for each batch, or keeps one from when the tables were small, which reads them as a whole for ever after.
 */
const KEYED = [...BY_KEY, 'join_collapse_limit=1', 'enable_bitmapscan=off'].map((setting) => `; set local ${setting}`).join('');

/** What opens units of work: a pool under one role, the process's clock, and who to tell after a commit. */
export interface Transactor {
  readonly source: DataSource;
  readonly clock: Clock;
  readonly random: Random;
  /** Who gets one of the pool's connections next; left out: whoever came first. */
  readonly turns?: Turns;
  /** Called after the commit with every user that was told something and the last number of the user's feed. */
  onCommitted(changes: { userId: string; seq: bigint }[]): void;
}

/** One change as `write_feed` takes it. */
interface FeedChange extends Omit<Change, 'userId'> {
  /** Id of its row of the outbox. */
  outboxId: string;
}

/**
 * Numbers changes of one user in the order given, without a gap, in the feed and in the outbox; answers with the last number. The
 * customer's row stays locked until the commit, so the order of the numbers is the order of the commits.
 */
const WRITE_FEED = statement<[number, string, string, number, Date], { feed_seq: bigint }>(
  'write_feed',
  `with bumped as (
     update customer set feed_seq = feed_seq + $4 where bucket = $1 and user_id = $2 returning feed_seq)
   , change as (
     select c.*, b.feed_seq - $4 + c.nth as seq from bumped b, rows from (
       json_to_recordset($3::json) as ("outboxId" uuid, change text, "subjectId" uuid, version int, status text, "previousStatus" text)
     ) with ordinality as c ("outboxId", change, "subjectId", version, status, "previousStatus", nth))
   , feed as (
     insert into feed_entry (bucket, user_id, seq, at, change, subject_id, version, status, previous_status)
     select $1, $2, seq, $5, change, "subjectId", version, status, "previousStatus" from change)
   , outbox as (
     insert into outbox_event (bucket, id, user_id, seq, type, data)
     select $1, "outboxId", $2, seq, change, jsonb_build_object('subjectId', "subjectId", 'version', version, 'status', status,
       'previousStatus', "previousStatus") from change)
   select feed_seq from bumped`,
);

/** The connection broke between two statements of a unit, which TypeORM tells as a misuse of its own. Whether the commit was done is not known. */
class ConnectionLost extends Error {
  /** PostgreSQL's code of a failed connection. */
  readonly code = '08006';

  constructor() {
    super('the connection was lost within a unit of work');
    this.name = 'ConnectionLost';
  }
}

/**
 * Another unit of work took meanwhile what this one had decided to take: the last of something, or what a person has once. The unit is
 * rolled back and runs again, so that it decides by what is there now.
 */
export class TakenMeanwhile extends Error {
  /** PostgreSQL's code of a serialization failure, which this is. */
  readonly code = '40001';

  constructor(what: string) {
    super(`taken meanwhile: ${what}`);
    this.name = 'TakenMeanwhile';
  }
}

/** Failures after which the whole unit may simply run again: serialization failure, deadlock. */
const REPEATABLE = new Set(['40001', '40P01']);
const ATTEMPTS = 4;

/**
 * Runs `work` in one transaction and commits; any exception rolls back. Repeats after a deadlock or serialization failure, so `work`
 * must have no effect outside the database.
 */
export async function inTx<T>(transactor: Transactor, scope: Scope, work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
  return inTurn(transactor, 'finishes', () => repeatedly(transactor, scope, work));
}

/**
 * The same for a unit that begins something new: it lets all others go first.
 * @throws Overloaded when there was no connection for it in time
 */
export async function beginInTx<T>(transactor: Transactor, scope: Scope, work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
  return inTurn(transactor, 'begins', () => repeatedly(transactor, scope, work));
}

function inTurn<T>({ turns }: Transactor, kind: 'begins' | 'finishes', work: () => Promise<T>): Promise<T> {
  return turns === undefined ? work() : turns.run(kind, work);
}

async function repeatedly<T>(transactor: Transactor, scope: Scope, work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
  invariant(USER_ID_FORM.test(scope.userId), 'the user of a unit of work has the form of a user id');
  for (let attempt = 1; ; attempt++) {
    try {
      return await insideTransaction.run(() => once(transactor, scope, work));
    } catch (error) {
      if (attempt >= ATTEMPTS || !REPEATABLE.has(sqlState(error) ?? '')) throw error;
    }
  }
}

/** The SQLSTATE of a driver's error, wherever TypeORM put it; null for anything else. */
export function sqlState(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'driverError' in error ? sqlState(error.driverError) : null;
}

async function once<T>(transactor: Transactor, scope: Scope, work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
  const runner = transactor.source.createQueryRunner();
  const changes: Change[] = [];
  let isAbandoned = false;
  const now = transactor.clock.now();
  const uow: UnitOfWork = {
    manager: runner.manager,
    now,
    run: async (what, params) => rowsOf(what, await runner.query(what.text, [...params])),
    emit: (change) => void changes.push(change),
    abandon: () => {
      isAbandoned = true;
    },
  };
  try {
    const role = scope.isStaff ? 'staff' : 'user';
    await runner.query(
      `start transaction; set local app.user_id = '${scope.userId}'; set local app.role = '${role}'${scope.isBatch ? KEYED : ''}`,
    );
    // One round trip instead of two: TypeORM ends what it takes for a transaction of its own.
    Object.assign(runner, { isTransactionActive: true });
    const answer = await work(uow);
    if (isAbandoned) {
      await runner.rollbackTransaction();
      return answer;
    }
    const told = await writeFeed(uow, transactor.random, changes);
    await runner.commitTransaction();
    if (told.length > 0) transactor.onCommitted(told);
    return answer;
  } catch (error) {
    // A connection that is gone can not roll back; the server has done it already.
    // TypeORM lets go of a runner whose connection breaks, and calls the next statement a misuse of its own.
    if (runner.isReleased || error instanceof QueryRunnerAlreadyReleasedError) throw new ConnectionLost();
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
    throw error;
  } finally {
    await runner.release();
  }
}

/**
 * Statements that are a unit of work each: what one locks is free as soon as the server is done with it, however late this process, which may have
 * no turn of the processor for long, hears of it. For rows that all workers want and that are nobody's: no user is set whose rows could be seen.
 */
export function alone(transactor: Transactor): Runner {
  return {
    now: transactor.clock.now(),
    run: (what, params) =>
      inTurn(transactor, 'finishes', async () => rowsOf(what, await transactor.source.query(what.text, [...params]))),
  };
}

function rowsOf<Params extends readonly unknown[], Row>(what: Statement<Params, Row>, answer: unknown): Row[] {
  // TypeORM gives [rows, count] for what updates or deletes, however it begins, and rows for the rest; only this function knows.
  const rows: unknown = Array.isArray(answer) && Array.isArray(answer[0]) ? answer[0] : answer;
  invariant(Array.isArray(rows), 'a statement answers with rows', { statement: what.name });
  return what.isOfEntity ? (rows.map(underEntityNames) as Row[]) : rows;
}

/** Numbers the changes of each user and writes feed and outbox rows; the last writes of a unit. */
async function writeFeed(uow: UnitOfWork, random: Random, changes: Change[]): Promise<{ userId: string; seq: bigint }[]> {
  const told: { userId: string; seq: bigint }[] = [];
  for (const [userId, own] of Map.groupBy(changes, (change) => change.userId)) {
    const bucket = keyBucket(userId);
    const rows = own.map(({ change, subjectId, version, status, previousStatus }): FeedChange => {
      const outboxId = makeId('whe', bucket, uow.now.getTime(), random.bytes(8));
      return { outboxId, change, subjectId, version, status, previousStatus };
    });
    const [customer] = await uow.run(WRITE_FEED, [bucket, userId, JSON.stringify(rows), own.length, uow.now]);
    invariant(customer !== undefined, 'whoever is told something has a customer row', { userId });
    told.push({ userId, seq: customer.feed_seq });
  }
  return told;
}
