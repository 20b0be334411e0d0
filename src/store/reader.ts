import pg from 'pg';
import { SteadyClient } from '../platform/steady-client.js';
import type { Statement } from './statement.js';

/** A query for many keys at once: each parameter is one column of the keys, each row says by `o` (from 1) whose it is. */
export interface KeyedStatement<Key, Row extends { o: number }> {
  readonly name: string;
  readonly text: string;
  columns(keys: readonly Key[]): unknown[][];
  /** Never set; carries the type. */
  readonly types?: { row: Row };
}

/** Names a query for many keys at once. */
export function keyedStatement<Key, Row extends { o: number }>(
  name: string,
  text: string,
  columns: (keys: readonly Key[]) => unknown[][],
): KeyedStatement<Key, Row> {
  return { name, text, columns };
}

/** How the reading connections are made. */
export interface ReaderOptions {
  /** Where the database is and as whom to log in; the login must be a member of pay_reader. */
  connection: pg.ClientConfig;
  /** Most connections at once. */
  maxConnections: number;
  /** Longest time a read may take, milliseconds. */
  statementTimeoutMs: number;
  /** Whether statements stay prepared on the connection; off for poolers that cannot keep them. */
  usesNamedStatements: boolean;
}

/** Most keys that one statement carries; more wait for the next one. */
const KEYS_PER_STATEMENT = 1_000;

/**
 * The reading side of the database: connections of the role pay_reader, which may select and nothing else, and whose row
 * policies let every row through: so each statement for private rows carries the user whose rows are wanted, and filters by it.
 *
 * Keys asked for by several requests at the same time travel in one statement. A key joins only a statement not yet sent,
 * so a request that began after a commit sees what was committed.
 */
export class Reader {
  readonly #pool: pg.Pool;
  readonly #usesNamedStatements: boolean;
  readonly #lanes = new Map<string, unknown>();

  constructor(options: ReaderOptions) {
    this.#usesNamedStatements = options.usesNamedStatements;
    this.#pool = new pg.Pool({
      ...options.connection,
      Client: SteadyClient,
      max: options.maxConnections,
      statement_timeout: options.statementTimeoutMs,
      types: { getTypeParser: parserOf },
      // Part of the connection's start, so that no statement runs as anybody else.
      options: '-c role=pay_reader',
    });
    // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
    this.#pool.on('error', () => undefined);
  }

  /** Runs one statement. int8 comes back as bigint, timestamptz as Date. @throws the driver's error. */
  async query<Params extends readonly unknown[], Row>(asked: Statement<Params, Row>, params: Params): Promise<Row[]> {
    return this.#run<Row>(asked, [...params]);
  }

  /** The rows of each key, in the order of the keys; an empty list for a key without any. @throws the driver's error. */
  rowsOf<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>, keys: readonly Key[]): Promise<Row[][]> {
    let lane = this.#lanes.get(asked.name) as Lane<Key, Row> | undefined;
    if (!lane) {
      lane = new Lane((all) => this.#run<Row>(asked, asked.columns(all)));
      this.#lanes.set(asked.name, lane);
    }
    return lane.load(keys);
  }

  /** Whether the database answers. @throws the driver's error. */
  async ping(): Promise<void> {
    await this.#pool.query('select 1');
  }

  /** Waits for running reads and closes every connection. */
  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #run<Row>(asked: { name: string; text: string }, values: unknown[]): Promise<Row[]> {
    const named = this.#usesNamedStatements ? { name: asked.name } : {};
    const answer = await this.#pool.query({ ...named, text: asked.text, values });
    return answer.rows as Row[];
  }
}

interface Waiting<Key, Row> {
  keys: readonly Key[];
  resolve(rows: Row[][]): void;
  reject(cause: unknown): void;
}

/** Batches of one statement on their way at once, when each of the earlier ones is slow. */
const MAX_IN_FLIGHT = 4;
/** From this age on, milliseconds, a batch is slow: the next one goes beside it, so that one slow row does not hold up everybody. */
const SLOW_MS = 10;

/** The queue of one keyed statement: one batch is on its way, all that is asked meanwhile goes in the next one. */
class Lane<Key, Row extends { o: number }> {
  #waiting: Waiting<Key, Row>[] = [];
  #inFlightCount = 0;
  /** A batch that is not slow yet is on its way, or one is about to go. */
  #isBusy = false;

  constructor(private readonly run: (keys: Key[]) => Promise<Row[]>) {}

  load(keys: readonly Key[]): Promise<Row[][]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ keys, resolve, reject });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#isBusy || this.#waiting.length === 0 || this.#inFlightCount >= MAX_IN_FLIGHT) return;
    this.#isBusy = true;
    // setImmediate comes after the sockets of this turn were read: what arrived together travels together, nobody waits on a timer.
    setImmediate(() => void this.#send(this.#take()));
  }

  async #send(batch: Waiting<Key, Row>[]): Promise<void> {
    this.#inFlightCount += 1;
    let isHoldingUp = true;
    const release = (): void => {
      if (isHoldingUp) this.#isBusy = false;
      isHoldingUp = false;
      this.#wake();
    };
    const slow = setTimeout(release, SLOW_MS);
    await this.#answerAll(batch);
    clearTimeout(slow);
    this.#inFlightCount -= 1;
    release();
  }

  async #answerAll(batch: Waiting<Key, Row>[]): Promise<void> {
    try {
      await this.#answer(batch);
    } catch (cause) {
      // One bad key must fail one request only: each is asked again alone, once.
      if (batch.length === 1) batch[0]?.reject(cause);
      else for (const one of batch) await this.#answer([one]).catch((alone: unknown) => one.reject(alone));
    }
  }

  #take(): Waiting<Key, Row>[] {
    let count = 0;
    let keys = 0;
    for (const { keys: more } of this.#waiting) {
      if (count > 0 && keys + more.length > KEYS_PER_STATEMENT) break;
      count += 1;
      keys += more.length;
    }
    return this.#waiting.splice(0, count);
  }

  async #answer(batch: Waiting<Key, Row>[]): Promise<void> {
    const keys = batch.flatMap((one) => [...one.keys]);
    const found: Row[][] = keys.map(() => []);
    for (const row of await this.run(keys)) found[row.o - 1]?.push(row);
    let start = 0;
    for (const one of batch) {
      one.resolve(found.slice(start, start + one.keys.length));
      start += one.keys.length;
    }
  }
}

function parserOf(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  return oid === pg.types.builtins.INT8 ? BigInt : pg.types.getTypeParser(oid, format ?? 'text');
}
