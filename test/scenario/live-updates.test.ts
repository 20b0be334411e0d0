import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { accountOf, addCustomers, ChangeWriter, haveAll, LiveClient } from '../../bench/live-load.js';
import { Seeded } from '../../src/chaos/seeded.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { CALLBACK_PATH, LIVE_MODES, makeRouter, type LiveMode } from '../../src/graphql/supergraph.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { eventually } from '../support/eventually.js';
import { startProduct, type Product } from '../support/product.js';

/** How long the router of these tests waits for a sign of life of a delivery. */
const SILENCE_MS = 1_000;
/** Before a client comes back, as clients do: the router has nothing to give while the gateway is away. */
const COME_BACK_MS = 50;

/** Clients that are cut off, and changes meanwhile. */
const CLIENTS = 50;
const CHANGES = 400;

let product: Product;
let writer: ChangeWriter;
const routers = new Map<LiveMode, { url: string; stop(): Promise<void> }>();
const followers: Follower[] = [];

beforeAll(async () => {
  const port = await freePort();
  product = await startProduct({
    withSecondGateway: true,
    settings: { SUBSCRIPTION_CALLBACK_ALLOWLIST: `http://127.0.0.1:${port}${CALLBACK_PATH}` },
  });
  writer = await ChangeWriter.open(product.db.options, 4);
  const subgraph = { name: 'monetization', sdl: buildGraphSchema().sdl, url: `${product.url}/graphql`, hasLiveUpdates: true };
  for (const liveMode of LIVE_MODES) {
    const own = liveMode === 'http-callback' ? port : await freePort();
    const url = `http://127.0.0.1:${own}`;
    const router = makeRouter({ subgraphs: [subgraph], secret: null, liveMode, url, callbackSilenceMs: SILENCE_MS });
    await once(router.server.listen(own, '127.0.0.1'), 'listening');
    routers.set(liveMode, { url, stop: () => router.stop() });
  }
});
afterEach(() => {
  for (const follower of followers.splice(0)) follower.leave();
});
afterAll(async () => {
  for (const router of routers.values()) await router.stop();
  await writer.close();
  await product.stop();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Item {
  type: string;
  sequence: number;
  cursor: string;
}

/** A client of the router, which keeps the client's rule and comes back with its last cursor whenever its stream ends. */
class Follower {
  /** Numbers of changes, as the rule leaves them. */
  readonly changes: number[] = [];
  readonly signals: string[] = [];
  /** Why streams ended. */
  readonly ends: string[] = [];
  #cursor: string | null = null;
  readonly #left = new AbortController();

  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {
    followers.push(this);
    void this.#run();
  }

  leave(): void {
    this.#left.abort();
  }

  async #run(): Promise<void> {
    while (!this.#left.signal.aborted) {
      await this.#follow().then(
        () => this.ends.push('end'),
        (error: unknown) => this.ends.push(String(error)),
      );
      await new Promise((resolve) => setTimeout(resolve, COME_BACK_MS).unref());
    }
  }

  async #follow(): Promise<void> {
    const query = `subscription($after: String, $streamKey: String) {
      paymentStatusChanged(after: $after, streamKey: $streamKey) { type sequence cursor } }`;
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${this.token}` },
      body: JSON.stringify({ query, variables: { after: this.#cursor, streamKey: `${this.ends.length}` } }),
      signal: this.#left.signal,
    });
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk as Uint8Array);
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.+)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (!data) continue;
        const answer = JSON.parse(data) as { data?: { paymentStatusChanged: Item } | null };
        if (!answer.data) throw new Error(data);
        this.#take(answer.data.paymentStatusChanged);
      }
    }
  }

  #take(item: Item): void {
    if (item.type !== 'CHANGE') this.signals.push(item.type);
    else if (item.sequence > (this.changes.at(-1) ?? 0)) {
      this.changes.push(item.sequence);
      this.#cursor = item.cursor;
      return;
    }
    this.#cursor ??= item.cursor;
  }
}

test('a subgraph that is killed under live streams, whatever carries them, costs no change and repeats none', async () => {
  const streams: { userId: string; follower: Follower }[] = [];
  for (const mode of LIVE_MODES) {
    const userId = `killed-${mode}`;
    await addCustomers(product.db.ownerPool, [userId]);
    streams.push({ userId, follower: new Follower(routers.get(mode)?.url ?? '', await product.token(userId)) });
  }
  const write = async (count: number): Promise<void> => {
    for (const { userId } of streams) for (let written = 0; written < count; written += 1) await writer.write(userId);
  };
  const haveSeen = (count: number): void => {
    const expected = Array.from({ length: count }, (_, index) => index + 1);
    expect(streams.map(({ follower }) => follower.changes)).toEqual(streams.map(() => expected));
  };
  const haveBeenTold = (signal: string): void => {
    for (const { follower } of streams) expect(follower.signals).toContain(signal);
  };
  await eventually(() => haveBeenTold('READY'));
  await write(3);
  await eventually(() => haveSeen(3));

  await product.kill('gateway');
  await write(2); // nobody is there to tell
  await product.start('gateway');
  await write(2);
  await eventually(() => haveSeen(7), 30_000);

  // A second end, of streams that were resumed: this time the gateway takes its leave.
  await write(1);
  await product.kill('gateway', 'SIGTERM');
  await eventually(() => haveBeenTold('RECONNECT'));
  await product.start('gateway');
  await write(1);
  await eventually(() => haveSeen(9), 30_000);
});

test('a delivery by callback that is idle for many intervals lives, since it shows that it does', async () => {
  const userId = 'idle-callback';
  await addCustomers(product.db.ownerPool, [userId]);
  const follower = new Follower(routers.get('http-callback')?.url ?? '', await product.token(userId));
  await eventually(() => expect(follower.signals).toContain('READY'));
  const checks = async (): Promise<number> => {
    const metrics = await (await fetch(`${product.url}/metrics`)).text();
    return Number(/^graphql_callbacks_total\{action="check",outcome="taken".*\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
  };
  const before = await checks();
  await eventually(async () => expect(await checks()).toBeGreaterThanOrEqual(before + 5));
  expect(follower.ends).toEqual([]);
  await writer.write(userId);
  await eventually(() => expect(follower.changes).toEqual([1]));
});

// `npm run bench -- live` has a thousand of them, and ten thousand changes.
test('clients that are cut off at random and come back by either of two gateways see each change once and in order', async () => {
  const userIds = Array.from({ length: CLIENTS }, (_, index) => `storm-${index}`);
  await addCustomers(product.db.ownerPool, userIds);
  const random = new Seeded('live storm');
  const gateways = [new URL(product.url), new URL(product.secondUrl)];
  const habits = { cutShare: 0.3, longestPauseMs: 100 };
  const clients: LiveClient[] = [];
  for (const userId of userIds) {
    clients.push(new LiveClient(userId, { gateways, token: await product.token(userId), random, habits }));
  }
  try {
    await eachAtMost(clients, 20, (client) => client.start());
    const users = Array.from({ length: CHANGES }, () => userIds[Math.floor(random.fraction() * CLIENTS)] ?? '');
    await eachAtMost(users, 4, (userId) => writer.write(userId));
    await eventually(() => expect(haveAll(clients, writer.commits)).toBe(true), 20_000);
  } finally {
    for (const client of clients) client.close();
  }
  const { expected, missed, disorders, resets, reconnects } = accountOf(clients, writer.commits);
  expect({ expected, missed, disorders, resets }).toEqual({ expected: CHANGES, missed: 0, disorders: 0, resets: 0 });
  expect(reconnects).toBeGreaterThan(CHANGES / 10);
});
