import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { pgConfig } from '../../src/platform/database-options.js';
import { SystemRandom } from '../../src/platform/random.js';
import { FEED_WAKE_CHANNEL, feedReads, listenForWakes, type FeedReads, type FeedRow } from '../../src/store/feed.reads.js';
import { Reader } from '../../src/store/reader.js';
import { FeedStream, type FeedItem, type FeedRequest } from '../../src/subscriptions/feed-stream.js';
import { FeedHub } from '../../src/subscriptions/hub.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { FeedWriter } from './feed.js';

const DAY_MS = 86_400_000;
let database: TestDatabase;
let reader: Reader;
let reads: FeedReads;
let feed: FeedWriter;
let hub: FeedHub;
let nowMs: number;
const open: FeedStream[] = [];
const clock = { now: () => new Date(nowMs) };

beforeAll(async () => {
  database = await testDatabase();
  reader = new Reader({
    connection: pgConfig(database.options),
    maxConnections: 4,
    statementTimeoutMs: 5_000,
    usesNamedStatements: true,
  });
  reads = feedReads(reader);
  feed = new FeedWriter(database.ownerPool);
});
afterAll(async () => {
  await reader.close();
  await database.drop();
});
beforeEach(() => {
  nowMs = Date.now();
  hub = new FeedHub({ readEnds: (userIds) => reads.readEnds(userIds), lookEveryMs: 20, report: () => undefined });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((stream) => stream.return()));
  await hub.stop();
});

function stream(userId: string, request: Partial<FeedRequest> = {}, from: FeedReads = reads): FeedStream {
  const made = new FeedStream(
    { hub, reads: from, clock, machineClock: clock, report: () => undefined },
    { userId, after: null, wants: () => true, heartbeatMs: null, expiresAt: new Date(nowMs + 3_600_000), ...request },
  );
  open.push(made);
  return made;
}

async function take(from: FeedStream, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value } = await from.next();
    taken.push(value ? told(value) : 'end');
  }
  return taken;
}

const told = (item: FeedItem): string => `${item.type} ${item.sequence}`;

test('a stream without a cursor starts at the end of the feed and sends what happens from then on', async () => {
  await feed.addMany('ana', 2);
  const live = stream('ana');
  expect(await take(live, 1)).toEqual(['READY 2']);
  hub.wake('ana', await feed.add('ana'));
  hub.wake('ana', await feed.add('ana'));
  expect(await take(live, 2)).toEqual(['CHANGE 3', 'CHANGE 4']);
});

test('a stream with a cursor sends what was missed in order, then what happens', async () => {
  await feed.addMany('missed', 5);
  const live = stream('missed', { after: 2n });
  expect(await take(live, 4)).toEqual(['READY 2', 'CHANGE 3', 'CHANGE 4', 'CHANGE 5']);
  hub.wake('missed', await feed.add('missed'));
  expect(await take(live, 1)).toEqual(['CHANGE 6']);
});

test('a user without a feed gets READY at the beginning', async () => {
  expect(await take(stream('nobody'), 1)).toEqual(['READY 0']);
});

test('a change between READY and the first wait is not lost', async () => {
  const live = stream('race');
  expect(await take(live, 1)).toEqual(['READY 0']);
  hub.wake('race', await feed.add('race')); // the consumer has not asked for more yet
  expect(await take(live, 1)).toEqual(['CHANGE 1']);
});

test('a wake-up that never came is made up for by the look at the table', async () => {
  hub.start();
  const live = stream('quiet');
  expect(await take(live, 1)).toEqual(['READY 0']);
  const next = take(live, 1);
  await feed.add('quiet');
  expect(await next).toEqual(['CHANGE 1']);
});

test("another user's changes are never sent", async () => {
  hub.start();
  const live = stream('mine');
  expect(await take(live, 1)).toEqual(['READY 0']);
  hub.wake('theirs', await feed.add('theirs'));
  hub.wake('mine', await feed.add('mine'));
  expect(await take(live, 1)).toEqual(['CHANGE 1']);
});

test('changes that were not asked for move the place all the same', async () => {
  const wanted = feed.transactionId('filter');
  const wants = (row: FeedRow): boolean => row.subjectId === wanted;
  await feed.addMany('filter', 3);
  await feed.add('filter', { subjectId: wanted });
  await feed.addMany('filter', 2);
  const live = stream('filter', { after: 0n, wants, heartbeatMs: 30 });
  expect(await take(live, 3)).toEqual(['READY 0', 'CHANGE 4', 'HEARTBEAT 6']);
});

test('silence is broken by heartbeats', async () => {
  expect(await take(stream('silent', { heartbeatMs: 10 }), 3)).toEqual(['READY 0', 'HEARTBEAT 0', 'HEARTBEAT 0']);
});

test('a cursor more than 1,000 changes behind is answered with RESET', async () => {
  await feed.add('behind');
  await database.ownerPool.query("update customer set feed_seq = 1002 where user_id = 'behind'");
  expect(await take(stream('behind', { after: 1n }), 2)).toEqual(['READY 1', 'RESET 1002']);
});

test('a cursor whose next change is gone is answered with RESET', async () => {
  await feed.addMany('gone', 4);
  await database.ownerPool.query("delete from feed_entry where user_id = 'gone' and seq < 3");
  expect(await take(stream('gone', { after: 1n }), 2)).toEqual(['READY 1', 'RESET 4']);
  await database.ownerPool.query("delete from feed_entry where user_id = 'gone'");
  expect(await take(stream('gone', { after: 1n }), 2)).toEqual(['READY 1', 'RESET 4']);
});

test('a cursor whose next change is older than 7 days is answered with RESET, and the stream goes on live', async () => {
  await feed.add('old', { at: new Date(nowMs - 8 * DAY_MS) });
  await feed.add('old');
  const live = stream('old', { after: 0n });
  expect(await take(live, 2)).toEqual(['READY 0', 'RESET 2']);
  hub.wake('old', await feed.add('old'));
  expect(await take(live, 1)).toEqual(['CHANGE 3']);
});

test('a cursor beyond the end of the feed is answered with RESET', async () => {
  await feed.add('future');
  expect(await take(stream('future', { after: 9n }), 2)).toEqual(['READY 9', 'RESET 1']);
});

test('a stream says RECONNECT and ends before its token expires', async () => {
  const live = stream('expiring', { expiresAt: new Date(nowMs + 5_020) });
  expect(await take(live, 1)).toEqual(['READY 0']);
  const rest = take(live, 2);
  await feed.add('expiring');
  nowMs += 20;
  expect(await rest).toEqual(['RECONNECT 0', 'end']);
});

test('every stream says RECONNECT and ends when the process drains', async () => {
  const live = stream('draining');
  expect(await take(live, 1)).toEqual(['READY 0']);
  const rest = take(live, 2);
  const drained = hub.drain({ spreadMs: 0, limitMs: 5_000, random: new SystemRandom() });
  expect(await rest).toEqual(['RECONNECT 0', 'end']);
  await drained;
  expect(hub.openStreams).toBe(0);
});

test('users are sent away one after the other, and whoever is still here is served', async () => {
  const [first, second] = [stream('goes-first'), stream('goes-second')];
  expect(await take(first, 1)).toEqual(['READY 0']);
  expect(await take(second, 1)).toEqual(['READY 0']);
  const drained = hub.drain({ spreadMs: 4_000, limitMs: 5_000, random: { fraction: () => 0 } });
  expect(await take(first, 2)).toEqual(['RECONNECT 0', 'end']);
  hub.wake('goes-second', await feed.add('goes-second'));
  expect(await take(second, 3)).toEqual(['CHANGE 1', 'RECONNECT 1', 'end']);
  expect(await take(stream('comes-late'), 3)).toEqual(['READY 0', 'RECONNECT 0', 'end']);
  await drained;
});

test('a stream that is left while it waits ends at once and is forgotten', async () => {
  const live = stream('leaver');
  expect(await take(live, 1)).toEqual(['READY 0']);
  const next = live.next();
  expect(hub.openStreamsOf('leaver')).toBe(1);
  await live.return();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(hub.openStreamsOf('leaver')).toBe(0);
});

test('a stream outlives a table that cannot be read for a while', async () => {
  let isBroken = false;
  const shaky: FeedReads = {
    ...reads,
    listAfter: (...asked) => (isBroken ? Promise.reject(new Error('away')) : reads.listAfter(...asked)),
  };
  const live = stream('shaky', {}, shaky);
  expect(await take(live, 1)).toEqual(['READY 0']);
  isBroken = true;
  const next = take(live, 1);
  hub.wake('shaky', await feed.add('shaky'));
  isBroken = false;
  expect(await next).toEqual(['CHANGE 1']);
});

test('a resume at every place gives every later change once and in order', async () => {
  await feed.addMany('resume', 250);
  for (const after of [0n, 1n, 99n, 100n, 101n, 200n, 249n, 250n]) {
    const items = await take(stream('resume', { after }), 251 - Number(after));
    expect(items.slice(1)).toEqual(
      Array.from({ length: 250 - Number(after) }, (_, index) => `CHANGE ${Number(after) + index + 1}`),
    );
  }
});

test('wake-ups travel between processes by notification, and survive the loss of their connection', async () => {
  let connections = 0;
  const errors: unknown[] = [];
  const connected = new Map<number, () => void>();
  const untilConnected = (count: number): Promise<void> =>
    connections >= count ? Promise.resolve() : new Promise((resolve) => connected.set(count, resolve));
  const listener = listenForWakes({
    connection: { ...pgConfig(database.options), application_name: 'wakes' },
    onWake: ({ userId, sequence }) => hub.wake(userId, sequence),
    onCatalogue: () => undefined,
    onConnected: () => {
      connections += 1;
      hub.wakeEverybody();
      connected.get(connections)?.();
    },
    report: (error) => errors.push(error),
    retryMs: 10,
  });
  try {
    await untilConnected(1);
    const live = stream('far');
    expect(await take(live, 1)).toEqual(['READY 0']);
    const first = take(live, 1);
    const sequence = await feed.add('far');
    for (const junk of ['', 'no', '{}', '[1]', '[["far"]]', '[["far","x"]]'])
      await database.ownerPool.query('select pg_notify($1, $2)', [FEED_WAKE_CHANNEL, junk]);
    await database.ownerPool.query('select pg_notify($1, $2)', [
      FEED_WAKE_CHANNEL,
      JSON.stringify([
        ['far', Number(sequence)],
        ['x', 1],
      ]),
    ]);
    expect(await first).toEqual(['CHANGE 1']);
    const second = take(live, 1);
    await database.ownerPool.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'wakes'");
    await feed.add('far'); // nobody is told
    await untilConnected(2);
    expect(await second).toEqual(['CHANGE 2']);
    expect(errors).not.toHaveLength(0);
  } finally {
    await listener.stop();
  }
});
