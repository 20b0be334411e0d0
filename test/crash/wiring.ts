/** Hooks between a cashier and what is around it: its statements, its commits, its calls to the provider. */
import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import pg from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import type { PaymentProvider } from '../../src/ports/provider.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import type { World } from '../support/world.js';

/** A door that is shut until somebody opens it; whoever arrives is counted and waits. */
export class Gate {
  readonly opened: Promise<void>;
  readonly #open: () => void;
  #arrived = 0;
  #awaited: { count: number; met: () => void }[] = [];

  constructor() {
    let open = (): void => undefined;
    this.opened = new Promise((resolve) => {
      open = resolve;
    });
    this.#open = open;
  }

  open(): void {
    this.#open();
  }

  /** Arrives, and goes on when the gate is opened. */
  async pass(): Promise<void> {
    this.#arrived++;
    for (const { count, met } of this.#awaited) if (this.#arrived >= count) met();
    await this.opened;
  }

  /** Resolves when so many have arrived. */
  async reached(count = 1): Promise<void> {
    if (this.#arrived >= count) return;
    await new Promise<void>((met) => void this.#awaited.push({ count, met }));
  }
}

/** A gate that opens by itself for the last of so many. */
export function barrier(count: number): Gate {
  const gate = new Gate();
  void gate.reached(count).then(() => gate.open());
  return gate;
}

interface DatabaseHooks {
  /** Sees each statement before it is run; what it gives back is run instead. */
  statement?: (text: string) => string | Promise<string>;
  /** Runs around each commit. */
  commit?: (write: () => Promise<void>) => Promise<void>;
}

/** The same cashier, whose statements and commits go through hooks. */
export function withDatabaseHooks(cashier: Cashier, { statement, commit }: DatabaseHooks): Cashier {
  const hooked = (runner: QueryRunner): QueryRunner => {
    const query = runner.query.bind(runner);
    // TypeORM's own overloads: whatever the parameters, the statement's text is the first.
    if (statement) runner.query = async (text: string, ...rest: []) => query(await statement(text), ...rest);
    const write = runner.commitTransaction.bind(runner);
    if (commit) runner.commitTransaction = () => commit(write);
    return runner;
  };
  const source = new Proxy(cashier.tx.source, {
    get(target: DataSource, name) {
      return name === 'createQueryRunner' ? () => hooked(target.createQueryRunner()) : (Reflect.get(target, name) as unknown);
    },
  });
  return { ...cashier, tx: { ...cashier.tx, source } };
}

/** The same statement without the customer's lock, as if nobody had taken it. */
export function withoutCustomerLock(text: string): string {
  return /\bfrom customer\b/.test(text) ? text.replace(/ for update$/, '') : text;
}

/** Members of the port that call nobody. */
const LOCAL = new Set(['isMethodToken', 'objectKindOf', 'openEvent']);

/** The same cashier, each of whose provider calls goes through `around` by its name. */
export function withCalls(cashier: Cashier, around: (name: string, call: () => Promise<unknown>) => Promise<unknown>): Cashier {
  const provider = new Proxy(cashier.provider, {
    get(target: PaymentProvider, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function' || typeof name !== 'string' || LOCAL.has(name)) return member;
      return (...args: unknown[]) => around(name, async () => Reflect.apply(member, target, args) as unknown);
    },
  });
  return { ...cashier, provider };
}

/** The same cashier, and the names of the provider calls it makes, as it makes them. */
export function recorded(cashier: Cashier): { cashier: Cashier; calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    cashier: withCalls(cashier, (name, call) => {
      calls.push(name);
      return call();
    }),
  };
}

/** How a statement ended: SQLSTATE and constraint of its refusal, or that it was written. Nothing of it stays. */
export async function refusalOf(world: World, text: string, params: unknown[] = []): Promise<[string, string]> {
  const client = await world.db.ownerPool.connect();
  try {
    await client.query('begin');
    await client.query(text, params);
    return ['written', ''];
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return [error.code ?? '', error.constraint ?? ''];
  } finally {
    await client.query('rollback');
    client.release();
  }
}

/** A request as it came by. */
interface Passed {
  method: string;
  path: string;
  idempotencyKey: string | undefined;
}

/** The network between an adapter and the stand-in, which remembers requests and can change an answer. */
export class Wire {
  readonly passed: Passed[] = [];
  /** Changes the body of each answer. */
  rewrite: (body: string) => string = (body) => body;
  readonly #server: http.Server;

  constructor(toPort: number) {
    this.#server = http.createServer((request, response) => {
      this.#carry(toPort, request, response).catch(() => response.destroy());
    });
  }

  /** @returns the address to use instead of the stand-in's */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #carry(port: number, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await buffer(request);
    const { method = '', url = '', headers } = request;
    const key = headers['idempotency-key'];
    this.passed.push({ method, path: url, idempotencyKey: typeof key === 'string' ? key : undefined });
    const onward = http.request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
    const answered = once(onward, 'response');
    onward.end(body);
    const [answer] = (await answered) as [http.IncomingMessage];
    const text = this.rewrite((await buffer(answer)).toString());
    response.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }
}
