/**
 * Live updates under load, all changes written by another process than the gateways, so that each travels by the outbox, the relay and a
 * notification. Three rounds: calm (how long does a change take), rough (clients that are cut off at random: is everything seen once and in
 * order), and wide (ten streams for each client of the other rounds on one gateway: what does a stream cost, and does one that does not read
 * hold up others).
 */
import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Seeded } from '../src/chaos/seeded.js';
import { eachAtMost } from '../src/platform/repeat.js';
import { quantile, type Bench, type Figure, type Finding } from './bench.js';
import { accountOf, addCustomers, ChangeWriter, haveAll, LiveClient, type Account, type ClientHabits } from './live-load.js';
import { startProduct, type RunningProduct } from './running-product.js';

const CHANGES_PER_CLIENT = 10;
const CHANGES_PER_SECOND = 500;
const WIDE_FACTOR = 10;
const WRITERS = 8;
const CONNECTING_AT_ONCE = 50;
const P99_LIMIT_MS = 250;
const STREAM_LIMIT_KIB = 30;
const STALL_LIMIT = 1.5;
/** Changes for the client that does not read, in each of the others'. */
const STALLED_SHARE = 0.2;
const ROUGH: ClientHabits = { cutShare: 0.2, longestPauseMs: 400 };
/** Files that this process and the product need besides the sockets. */
const OTHER_FILES = 500;
const SETTLE_MS = 10_000;

/** The bench. */
export const live: Bench = {
  name: 'live',
  size: { of: 'clients', usual: 1_000 },
  question: `Live updates at ${CHANGES_PER_SECOND} changes/s through two gateways: how late, is anything lost when clients are cut off, what does a stream cost?`,
  run: async (clients, tell) => {
    await requireFiles(clients * WIDE_FACTOR + OTHER_FILES);
    tell('Starting the product and a second gateway.');
    const product = await startProduct({});
    try {
      const second = await product.startGateway();
      const writer = await ChangeWriter.open(product.database, WRITERS);
      try {
        return await measure({ product, gateways: [product.url, second], writer, size: clients, tell });
      } finally {
        await writer.close();
      }
    } finally {
      await product.stop();
    }
  },
};

interface Round {
  product: RunningProduct;
  gateways: readonly URL[];
  writer: ChangeWriter;
  size: number;
  tell: (line: string) => void;
}

async function measure(round: Round): Promise<Finding> {
  const { size, tell, product } = round;
  const changes = size * CHANGES_PER_CLIENT;
  tell(`Warming up.`);
  await withClients(round, 'warm', Math.ceil(size / 4), undefined, (clients) => write(round, clients, Math.ceil(changes / 4)));
  tell(`Calm: ${size} clients, ${changes} changes.`);
  const before = await product.cpuMs();
  const calm = await withClients(round, 'calm', size, undefined, (clients) => write(round, clients, changes));
  const after = await product.cpuMs();
  tell(`Rough: ${size} clients that are cut off after one change in ${1 / ROUGH.cutShare}, ${changes} changes.`);
  const rough = await withClients(round, 'rough', size, ROUGH, (clients) => write(round, clients, changes));
  const wide = await measureWide(round);
  const p99 = quantile(calm.delaysMs, 0.99);
  const figures: Figure[] = [
    { what: 'commit to client, p50', value: quantile(calm.delaysMs, 0.5), unit: 'ms' },
    { what: 'commit to client, p99', value: p99, unit: 'ms' },
    { what: 'commit to client, longest', value: quantile(calm.delaysMs, 1), unit: 'ms' },
    { what: 'a change in the gateways', value: ((after.gateway - before.gateway) * 1000) / changes, unit: 'us CPU' },
    { what: 'a change in the worker', value: ((after.worker - before.worker) * 1000) / changes, unit: 'us CPU' },
    { what: 'connections that were cut', value: rough.reconnects, unit: '' },
    { what: 'changes seen again on the wire, dropped by the rule', value: rough.repeatsOnWire, unit: '' },
    { what: 'commit to client while cut off at random, p99', value: quantile(rough.delaysMs, 0.99), unit: 'ms' },
    { what: 'idle streams', value: wide.streams, unit: '' },
    { what: 'an idle stream, resident', value: wide.residentKiB, unit: 'KiB' },
    { what: 'an idle stream, JavaScript heap', value: wide.heapKiB, unit: 'KiB' },
    { what: 'connections/s', value: wide.connectionsPerSecond, unit: '/s' },
    { what: 'commit to client among idle streams, p99', value: wide.p99Ms, unit: 'ms' },
    { what: 'the same while one does not read, p99', value: wide.p99StalledMs, unit: 'ms' },
  ];
  const isWhole = ({ missed, disorders, resets }: Account): boolean => missed === 0 && disorders === 0 && resets === 0;
  return {
    ratios: [{ what: 'p99 with one client that does not read : without', value: wide.p99StalledMs / wide.p99Ms, unit: 'x' }],
    figures,
    bounds: [
      { what: `${calm.expected} calm changes: none missed, none out of order`, holds: isWhole(calm) },
      {
        what: `${rough.expected} rough changes: none missed, none out of order, none twice after the rule`,
        holds: isWhole(rough),
      },
      { what: `commit to client, p99 below ${P99_LIMIT_MS} ms at ${CHANGES_PER_SECOND} changes/s`, holds: p99 < P99_LIMIT_MS },
      { what: `an idle stream below ${STREAM_LIMIT_KIB} KiB`, holds: wide.residentKiB < STREAM_LIMIT_KIB },
      {
        what: `one that does not read: p99 of the others below ${STALL_LIMIT} x`,
        holds: wide.p99StalledMs < STALL_LIMIT * wide.p99Ms,
      },
    ],
  };
}

/** Connects clients, each of a user of its own, lets `work` run, waits until all is seen and gives the account. */
async function withClients(
  { product, gateways, writer }: Round,
  name: string,
  count: number,
  habits: ClientHabits | undefined,
  work: (clients: readonly LiveClient[]) => Promise<void>,
): Promise<Account> {
  const clients = await makeClients(product, gateways, name, count, habits);
  try {
    await eachAtMost(clients, CONNECTING_AT_ONCE, (client) => client.start());
    await work(clients);
    await untilSeen(clients, writer);
    return accountOf(clients, writer.commits);
  } finally {
    for (const client of clients) client.close();
  }
}

async function makeClients(
  product: RunningProduct,
  gateways: readonly URL[],
  name: string,
  count: number,
  habits?: ClientHabits,
): Promise<LiveClient[]> {
  const userIds = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  await addCustomers(product.pool, userIds);
  const random = new Seeded(name);
  const clients: LiveClient[] = [];
  for (const userId of userIds) {
    const token = await product.token(userId);
    clients.push(new LiveClient(userId, { gateways, token, random, ...(habits && { habits }) }));
  }
  return clients;
}

/** Writes so many changes at the rate of the bench, each for the next client; `besides`, now and then, for one more user. */
async function write(
  { writer }: Pick<Round, 'writer'>,
  clients: readonly LiveClient[],
  count: number,
  besides?: LiveClient,
): Promise<void> {
  const startedAt = performance.now();
  const random = new Seeded('stalled');
  const users = Array.from({ length: count }, (_, index) => clients[index % clients.length]?.userId ?? '');
  const moments = users.map((userId, index) => ({ userId, atMs: startedAt + (index * 1000) / CHANGES_PER_SECOND }));
  await eachAtMost(moments, WRITERS, async ({ userId, atMs }) => {
    const waitMs = atMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
    await writer.write(userId);
    if (besides && random.chance(STALLED_SHARE)) await writer.write(besides.userId);
  });
}

/** @throws Error when it takes too long: then something is lost */
async function untilSeen(clients: readonly LiveClient[], writer: ChangeWriter): Promise<void> {
  const limitMs = 60_000;
  const giveUpAt = performance.now() + limitMs;
  while (!haveAll(clients, writer.commits)) {
    if (performance.now() > giveUpAt) return;
    await pause(20);
  }
}

interface Wide {
  streams: number;
  residentKiB: number;
  heapKiB: number;
  connectionsPerSecond: number;
  p99Ms: number;
  p99StalledMs: number;
}

async function measureWide(round: Round): Promise<Wide> {
  const { product, writer, size, tell } = round;
  const streams = size * WIDE_FACTOR;
  const changes = size * CHANGES_PER_CLIENT;
  tell(
    `Wide: ${streams} clients on one gateway, which has just started: what it had left over from earlier rounds would hide what they cost.`,
  );
  const gateway = await product.startGateway();
  const clients = await makeClients(product, [gateway], 'wide', streams);
  try {
    const before = await memoryOf(gateway);
    const startedAt = performance.now();
    await eachAtMost(clients, CONNECTING_AT_ONCE, (client) => client.start());
    const connectionsPerSecond = (streams / (performance.now() - startedAt)) * 1000;
    await pause(SETTLE_MS);
    const after = await memoryOf(gateway);
    tell(`${changes} changes among them.`);
    await write(round, clients, changes);
    await untilSeen(clients, writer);
    const calm = accountOf(clients, writer.commits);
    const [stalled, ...others] = clients;
    if (!stalled) throw new Error('no clients');
    tell('The same while one does not read.');
    stalled.socket?.pause();
    const seen = others.map((client) => client.last);
    await write(round, others, changes, stalled);
    await untilSeen(others, writer);
    const delaysMs = others.flatMap((client, index) =>
      client.seenAtMs.slice(seen[index]).map((at, n) => at - (writer.commits.get(client.userId)?.[n + (seen[index] ?? 0)] ?? at)),
    );
    return {
      streams,
      residentKiB: (after.resident - before.resident) / 1024 / streams,
      heapKiB: (after.heap - before.heap) / 1024 / streams,
      connectionsPerSecond,
      p99Ms: quantile(calm.delaysMs, 0.99),
      p99StalledMs: quantile(delaysMs, 0.99),
    };
  } finally {
    for (const client of clients) client.close();
  }
}

/** Bytes of a gateway, as it tells them itself. */
async function memoryOf(gateway: URL): Promise<{ resident: number; heap: number }> {
  const text = await (await fetch(new URL('/metrics', gateway))).text();
  const of = (name: string): number => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
  return { resident: of('process_resident_memory_bytes'), heap: of('nodejs_heap_size_used_bytes') };
}

/** @throws Error that says what to do when this shell lets a process open too few files (Linux; not asked elsewhere) */
async function requireFiles(count: number): Promise<void> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? count);
  if (limit < count)
    throw new Error(`This shell allows ${limit} open files, the bench needs ${count}: run \`ulimit -n ${count}\` first.`);
}
