/**
 * Load for live updates: changes written as the product writes them, and clients that keep the client's rule (drop what is not above the
 * last number, come back with the last cursor) and count what the rule had to mend and what it could not.
 */
import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import WebSocket from 'ws';
import type { Seeded } from '../src/chaos/seeded.js';
import { makeId } from '../src/domain/ids.js';
import type { DatabaseOptions } from '../src/platform/database-options.js';
import { SystemRandom } from '../src/platform/random.js';
import { openDatabase } from '../src/store/database.js';
import { inTx } from '../src/store/unit-of-work.js';
import { bucketOfUser } from '../src/store/viewer.js';

/** When each change was committed: by user, the change of number n at n - 1, on this process's clock in milliseconds. */
export type Commits = ReadonlyMap<string, readonly number[]>;

/** Writes changes of payments, each in a unit of work of its own that emits it. No row of a transaction stands behind them. */
export class ChangeWriter {
  readonly #committedAtMs = new Map<string, number[]>();
  readonly #random = new SystemRandom();

  private constructor(private readonly source: DataSource) {}

  /** Opens a pool; `close()` it. */
  static async open(database: DatabaseOptions, connections: number): Promise<ChangeWriter> {
    return new ChangeWriter(await openDatabase(database, 'pay_worker', connections));
  }

  get commits(): Commits {
    return this.#committedAtMs;
  }

  /** Commits one change of the user. */
  async write(userId: string): Promise<void> {
    const own = this.#committedAtMs.get(userId) ?? [];
    this.#committedAtMs.set(userId, own);
    const transactor = {
      source: this.source,
      clock: { now: () => new Date() },
      random: this.#random,
      onCommitted: ([told]: { seq: bigint }[]): void => {
        if (told) own[Number(told.seq) - 1] = performance.now();
      },
    };
    await inTx(transactor, { userId, isStaff: false }, async (uow) => {
      const subjectId = makeId('txn', bucketOfUser(userId), uow.now.getTime(), this.#random.bytes(8));
      uow.emit({ change: 'payment_status', userId, subjectId, version: 2, status: 'succeeded', previousStatus: 'pending' });
    });
  }

  async close(): Promise<void> {
    await this.source.destroy();
  }
}

/** Whoever has a feed has a row as a customer. @param pool as the owner of the tables */
export async function addCustomers(pool: pg.Pool, userIds: readonly string[]): Promise<void> {
  await pool.query('insert into customer (bucket, user_id) select * from unnest($1::smallint[], $2::text[])', [
    userIds.map(bucketOfUser),
    userIds,
  ]);
}

const QUERY = `subscription($after: String, $streamKey: String) {
  paymentStatusChanged(after: $after, streamKey: $streamKey) { type sequence cursor status previousStatus transaction { id } } }`;

/** What a client does on its own. */
export interface ClientHabits {
  /** Chance, after each change, of being cut off. */
  cutShare: number;
  /** Longest pause before it comes back, milliseconds. */
  longestPauseMs: number;
}

const FAITHFUL: ClientHabits = { cutShare: 0, longestPauseMs: 100 };

interface Item {
  type: 'READY' | 'CHANGE' | 'HEARTBEAT' | 'RESET' | 'RECONNECT';
  sequence: number;
  cursor: string;
}

/** One user's client, which comes back, each time by any of the gateways, until it is closed. */
export class LiveClient {
  /** When each change was first seen: the change of number n at n - 1, milliseconds. */
  readonly seenAtMs: number[] = [];
  /** Changes that came again and were dropped by the rule. */
  repeatsOnWire = 0;
  /** Changes that came although an earlier one had not: after the rule, a loss. */
  gaps = 0;
  /** Changes that came after a later one on the same connection. */
  disorders = 0;
  resets = 0;
  reconnects = 0;
  /** Codes with which connections were closed, in order. */
  readonly closeCodes: number[] = [];
  socket: WebSocket | null = null;
  #last = 0;
  #cursor: string | null = null;
  #isClosed = false;
  #pause: NodeJS.Timeout | null = null;

  constructor(
    readonly userId: string,
    private readonly options: {
      gateways: readonly URL[];
      token: string;
      random: Seeded;
      habits?: ClientHabits;
    },
  ) {}

  /** Number of the last change seen. */
  get last(): number {
    return this.#last;
  }

  /** Connects; resolves when the stream is there. */
  async start(): Promise<void> {
    await this.#connect();
  }

  /** Leaves for good. */
  close(): void {
    this.#isClosed = true;
    if (this.#pause) clearTimeout(this.#pause);
    this.socket?.terminate();
  }

  /** @returns when READY has come, or the connection has gone */
  #connect(): Promise<void> {
    const { gateways, token, random } = this.options;
    const gateway = gateways[Math.floor(random.fraction() * gateways.length)] ?? gateways[0];
    if (!gateway) throw new Error('no gateway');
    const socket = new WebSocket(new URL('/graphql', gateway.href.replace('http', 'ws')), 'graphql-transport-ws', {
      perMessageDeflate: false,
    });
    this.socket = socket;
    let lastHere = -1;
    return new Promise((resolve) => {
      const send = (message: object): void => socket.send(JSON.stringify(message));
      socket.on('open', () => send({ type: 'connection_init', payload: { token } }));
      socket.on('error', () => undefined); // its close follows
      socket.on('close', (code) => {
        resolve();
        this.closeCodes.push(code);
        if (!this.#isClosed && this.socket === socket) this.#comeBack();
      });
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as {
          type: string;
          payload?: { data?: { paymentStatusChanged: Item } | null };
        };
        if (message.type === 'connection_ack') {
          const variables = { after: this.#cursor, streamKey: `${this.userId}-${this.reconnects}` };
          send({ id: '1', type: 'subscribe', payload: { query: QUERY, variables } });
        } else if (message.type === 'next' && message.payload?.data) {
          const item = message.payload.data.paymentStatusChanged;
          if (item.type === 'READY') resolve();
          if (item.type === 'CHANGE' && item.sequence <= lastHere) this.disorders += 1;
          lastHere = Math.max(lastHere, item.sequence);
          this.#take(item);
        } else if (message.type === 'complete' || message.type === 'error') socket.close();
      });
    });
  }

  #take(item: Item): void {
    const { random, habits = FAITHFUL } = this.options;
    if (item.type === 'RESET') this.resets += 1;
    if (item.type !== 'CHANGE') {
      this.#cursor ??= item.cursor;
      return;
    }
    if (item.sequence <= this.#last) {
      this.repeatsOnWire += 1;
      return;
    }
    if (item.sequence !== this.#last + 1) this.gaps += 1;
    this.#last = item.sequence;
    this.#cursor = item.cursor;
    this.seenAtMs[item.sequence - 1] = performance.now();
    if (!random.chance(habits.cutShare)) return;
    // Half of the cuts come between the two ends of one client's request to leave, the others from nowhere.
    if (random.chance(0.5)) this.socket?.close();
    else this.socket?.terminate();
  }

  #comeBack(): void {
    const { random, habits = FAITHFUL } = this.options;
    this.reconnects += 1;
    this.#pause = setTimeout(() => void this.#connect(), random.fraction() * habits.longestPauseMs);
  }
}

/** What all clients together saw of what was committed. */
export interface Account {
  /** Changes times their clients: what was to be seen. */
  expected: number;
  missed: number;
  repeatsOnWire: number;
  /** After the client's rule; it can only be a gap that was filled later. */
  disorders: number;
  reconnects: number;
  resets: number;
  /** From the commit to the first sight of each change, milliseconds. */
  delaysMs: number[];
}

/** Compares clients with commits. */
export function accountOf(clients: readonly LiveClient[], commits: Commits): Account {
  const account: Account = { expected: 0, missed: 0, repeatsOnWire: 0, disorders: 0, reconnects: 0, resets: 0, delaysMs: [] };
  for (const client of clients) {
    for (const [index, committedAtMs] of (commits.get(client.userId) ?? []).entries()) {
      account.expected += 1;
      const seenAtMs = client.seenAtMs[index];
      if (seenAtMs === undefined) account.missed += 1;
      else account.delaysMs.push(Math.max(0, seenAtMs - committedAtMs));
    }
    account.missed += client.gaps;
    account.repeatsOnWire += client.repeatsOnWire;
    account.disorders += client.disorders;
    account.reconnects += client.reconnects;
    account.resets += client.resets;
  }
  return account;
}

/** Whether every client has seen all that was committed for its user. */
export function haveAll(clients: readonly LiveClient[], commits: Commits): boolean {
  return clients.every((client) => client.last >= (commits.get(client.userId)?.length ?? 0));
}
