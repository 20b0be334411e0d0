import pg from 'pg';
import { SteadyClient } from '../platform/steady-client.js';
import { BY_KEY_OPTIONS, type Statement } from './statement.js';

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
      options: `-c role=pay_reader -c timezone=UTC${BY_KEY_OPTIONS}`,
    });
    // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
    this.#pool.on('error', () => undefined);
  }

  /** Runs one statement. int8 comes back as bigint, timestamptz as Date. @throws the driver's error. */
  async query<Params extends readonly unknown[], Row>(asked: Statement<Params, Row>, params: Params): Promise<Row[]> {
    return this.send<Row>(asked, [...params]);
  }

  /** The rows of a key; an empty list for a key without any. @throws the driver's error. */
  rowsOf<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>, key: Key): Promise<Row[]> {
    return new Promise((resolve, reject) => this.#laneOf(asked).load({ key, resolve, reject }));
  }

  /** The first row of a key, null for a key without any. @throws the driver's error. */
  rowOf<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>, key: Key): Promise<Row | null> {
    return new Promise((resolve, reject) => this.#laneOf(asked).load({ key, resolve: ([row]) => resolve(row ?? null), reject }));
  }

  #laneOf<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>): Lane<Key, Row> {
    let lane = this.#lanes.get(asked.name) as Lane<Key, Row> | undefined;
    if (!lane) {
      lane = new Lane((keys) => this.send<Row>(asked, asked.columns(keys).map(arrayText)));
      this.#lanes.set(asked.name, lane);
    }
    return lane;
  }

  /** Whether the database answers. @throws the driver's error. */
  async ping(): Promise<void> {
    await this.#pool.query('select 1');
  }

  /** Waits for running reads and closes every connection. */
  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** Every statement goes through here. @throws the driver's error. */
  protected async send<Row>(asked: { name: string; text: string }, values: unknown[]): Promise<Row[]> {
    const named = this.#usesNamedStatements ? { name: asked.name } : {};
    const answer = await this.#pool.query({ ...named, text: asked.text, values });
    return answer.rows as Row[];
  }
}

/** A key with whom to tell. */
interface Waiting<Key, Row> {
  key: Key;
  resolve(rows: Row[]): void;
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

  load(asked: Waiting<Key, Row>): void {
    this.#waiting.push(asked);
    this.#wake();
  }

  #wake(): void {
    if (this.#isBusy || this.#waiting.length === 0 || this.#inFlightCount >= MAX_IN_FLIGHT) return;
    this.#isBusy = true;
    // setImmediate comes after the sockets of this turn were read: what arrived together travels together, nobody waits on a timer.
    setImmediate(() => void this.#send(this.#waiting.splice(0, KEYS_PER_STATEMENT)));
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

  async #answer(batch: Waiting<Key, Row>[]): Promise<void> {
    const found: (Row[] | undefined)[] = [];
    for (const row of await this.run(batch.map(({ key }) => key))) (found[row.o - 1] ??= []).push(row);
    for (const [at, one] of batch.entries()) one.resolve(found[at] ?? []);
  }
}

/** A list as PostgreSQL reads arrays. The driver does the same at several times the cost, and each key brings an item of each list. */
function arrayText(items: readonly unknown[]): string {
  let text = '';
  let lastDate: Date | null = null;
  let lastText = '';
  for (const item of items) {
    if (item instanceof Date && item !== lastDate) {
      lastDate = item;
      lastText = `"${item.toISOString()}"`;
    }
    if (text !== '') text += ',';
    text +=
      item === null || item === undefined
        ? 'NULL'
        : item === lastDate
          ? lastText
          : typeof item === 'string'
            ? quoted(item)
            : String(item as number | bigint | boolean);
  }
  return `{${text}}`;
}

function quoted(text: string): string {
  return text.includes('"') || text.includes('\\') ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : `"${text}"`;
}

function parserOf(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  if (oid === pg.types.builtins.INT8) return BigInt;
  const usual = pg.types.getTypeParser(oid, format ?? 'text');
  if (oid !== pg.types.builtins.TIMESTAMPTZ) return usual;
  return (text) => utcInstant(text) ?? usual(text);
}

/** An instant as PostgreSQL writes it in a session of UTC; null for other zones, and for years that have not four digits. */
function utcInstant(text: string): Date | null {
  if (text.length < 22 || !text.endsWith('+00') || text.charCodeAt(4) !== DASH || text.startsWith('00')) return null;
  const number = (from: number, to: number): number => {
    let value = 0;
    for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - DIGIT_ZERO;
    return value;
  };
  // The fraction has one to six digits, or is left out.
  const digits = Math.min(Math.max(text.length - 23, 0), 3);
  const milliseconds = number(20, 20 + digits) * 10 ** (3 - digits);
  const [year, month, day] = [number(0, 4), number(5, 7), number(8, 10)];
  return new Date(Date.UTC(year, month - 1, day, number(11, 13), number(14, 16), number(17, 19), milliseconds));
}

const [DASH, DIGIT_ZERO] = [45, 48];
