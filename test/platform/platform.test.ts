import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { readSandboxTime, SandboxClock, SystemClock, writeSandboxTime } from '../../src/platform/clock.js';
import { listenByManyDoors, listenOn, requireFreePort } from '../../src/platform/http-listen.js';
import { insideTransaction, isInsideTransaction } from '../../src/platform/inside-transaction.js';
import { canonicalJson, keyBucket, sha256 } from '../../src/platform/json.js';
import { createLogger } from '../../src/platform/log.js';
import { createMetrics } from '../../src/platform/metrics.js';
import { SystemRandom } from '../../src/platform/random.js';
import { Shutdown } from '../../src/platform/shutdown.js';
import { eventually } from '../support/eventually.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

let folder: string;
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'platform-'));
  database = await testDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

test('the bucket of a key is the same here and in the database', async () => {
  const keys = [
    ...fc.sample(fc.string({ unit: 'grapheme' }), 200).map((key) => key.replaceAll('\0', '')),
    'ana',
    'cus_1',
    'ключ',
    '🦊',
  ];
  const answer = await database.ownerPool.query<{ bucket: number }>(
    'select key_bucket(k) as bucket from unnest($1::text[]) with ordinality u(k, n) order by n',
    [keys],
  );
  expect(answer.rows.map((row) => row.bucket)).toEqual(keys.map(keyBucket));
});

test('canonical JSON does not depend on the order of fields and is JSON of the same value', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, field]) => [key, shuffled(field)]),
    );
  };
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value));
      expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value));
    }),
  );
});

test.each<[unknown, string]>([
  [{ b: 1n, a: 9_007_199_254_740_993n }, '{"a":9007199254740993,"b":1}'],
  [{ at: new Date(0), none: undefined, list: [null, true, 'ä'] }, '{"at":"1970-01-01T00:00:00.000Z","list":[null,true,"ä"]}'],
  [{ 10: 1, 9: 2, a: { é: 1, z: 2 } }, '{"10":1,"9":2,"a":{"z":2,"é":1}}'],
  [-0, '0'],
])('canonical JSON of case %# is as written', (value, text) => {
  expect(canonicalJson(value)).toBe(text);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1, [undefined], Symbol('x')])(
  'case %# has no canonical JSON',
  (value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
  },
);

test('SHA-256 of text and of its bytes is the published test vector', () => {
  const vector = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; // FIPS 180-4, "abc"
  expect(sha256('abc').toString('hex')).toBe(vector);
  expect(sha256(Buffer.from('abc')).toString('hex')).toBe(vector);
});

test('the sandbox clock stands where the file says, follows it, and runs with the machine without one', async () => {
  const clock = new SandboxClock(folder);
  expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(1_000);
  const at = new Date('2030-02-28T12:00:00Z');
  writeSandboxTime(folder, { standsAt: at });
  await eventually(() => expect(clock.now()).toEqual(at));
  expect(new SandboxClock(folder).now()).toEqual(at);
  clock.now().setFullYear(1999); // What a caller does with its copy is its own affair.
  expect(clock.now()).toEqual(at);
  writeSandboxTime(folder, { aheadMs: 0 });
  await eventually(() => expect(clock.now().getTime() - new SystemClock().now().getTime()).toBeGreaterThan(-1_000));
  await eventually(() => expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(1_000));
});

test('the sandbox clock runs ahead of the machine, and one process more than the others', async () => {
  writeSandboxTime(folder, { aheadMs: 3_600_000 });
  const [shared, fast] = [new SandboxClock(folder), new SandboxClock(folder, 20_000)];
  const before = shared.now().getTime();
  expect(Math.abs(before - Date.now() - 3_600_000)).toBeLessThan(1_000);
  expect(Math.abs(fast.now().getTime() - before - 20_000)).toBeLessThan(1_000);
  await eventually(() => expect(shared.now().getTime()).toBeGreaterThan(before));
  writeSandboxTime(folder, { aheadMs: 0 });
});

test('time by which the sandbox clock was moved ahead has passed for whoever measures time, moved back it has not', () => {
  writeSandboxTime(folder, { aheadMs: 0 });
  const clock = new SandboxClock(folder);
  const start = clock.monotonicMs();
  writeSandboxTime(folder, { aheadMs: 70_000 });
  const held = clock.monotonicMs();
  expect(held - start).toBeGreaterThanOrEqual(70_000);
  expect(held - start).toBeLessThan(75_000);
  writeSandboxTime(folder, { aheadMs: 10_000 });
  const back = clock.monotonicMs();
  expect(back - held).toBeGreaterThanOrEqual(0);
  expect(back - held).toBeLessThan(5_000);
  writeSandboxTime(folder, { standsAt: new Date(Date.now() + 3_600_000) });
  expect(clock.monotonicMs() - back).toBeGreaterThan(3_500_000);
  writeSandboxTime(folder, { aheadMs: 0 });
});

test('a process that was held up while the sandbox clock was moved knows the new time before it does anything else', () => {
  writeSandboxTime(folder, { aheadMs: 0 });
  const clock = new SandboxClock(folder);
  writeSandboxTime(folder, { aheadMs: 90_000 });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250); // Nothing of this process runs meanwhile.
  expect(clock.now().getTime() - Date.now()).toBeGreaterThan(89_000);
  writeSandboxTime(folder, { aheadMs: 0 });
});

test.each(['', '{', '{"now":"yesterday"}', '{"now":5}', '[]'])(
  'a clock file with %j lets the clock go with the machine',
  (text) => {
    writeFileSync(path.join(folder, 'clock.json'), text);
    expect(readSandboxTime(folder)).toEqual({ aheadMs: 0 });
  },
);

test('what is awaited inside a transaction knows it, and what runs beside it does not', async () => {
  const look = async (): Promise<boolean> => {
    await turn();
    return isInsideTransaction();
  };
  expect(await Promise.all([insideTransaction.run(look), look()])).toEqual([true, false]);
  expect(isInsideTransaction()).toBe(false);
});

test('parts stop in reverse order, once, and one that fails does not keep the others', async () => {
  const told: string[] = [];
  const shutdown = new Shutdown((line) => told.push(line));
  for (const name of ['database', 'broken', 'server']) {
    shutdown.add(name, async () => {
      told.push(name);
      if (name === 'broken') throw new Error('stuck');
    });
  }
  await Promise.all([shutdown.stop(), shutdown.stop()]);
  expect(told).toEqual(['server', 'broken', 'broken failed to stop: Error: stuck', 'database']);
  expect(shutdown.isStopping).toBe(true);
});

test('a taken port is told in one line that names the setting, at the check and at listening', async () => {
  const other = net.createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const address = { host: '127.0.0.1', port, setting: 'USERS_PORT' };
  const line = `Port ${port} on 127.0.0.1 is taken by another program: stop it, or set USERS_PORT to a free port.`;
  await expect(requireFreePort(address)).rejects.toThrow(line);
  const server = {
    listen: (options: { host: string; port: number }) =>
      new Promise<string>((resolve, reject) => {
        const own = net.createServer().once('error', reject);
        own.listen(options, () => own.close(() => resolve(`http://${options.host}:${options.port}`)));
      }),
  };
  await expect(listenOn(server, address)).rejects.toThrow(line);
  await new Promise((resolve) => other.close(resolve));
  await requireFreePort(address);
  expect(await listenOn(server, address)).toBe(`http://127.0.0.1:${port}`);
  await expect(requireFreePort({ ...address, host: '203.0.113.7' })).rejects.toThrow(
    'HOST 203.0.113.7 is not an address of this machine.',
  );
});

describe('a server with many doors', () => {
  const makeServer = (): { server: net.Server; listen: (options: net.ListenOptions) => Promise<string> } => {
    const server = net.createServer();
    const listen = (options: net.ListenOptions): Promise<string> =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(options, () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
      });
    return { server, listen };
  };
  const close = async (server: net.Server, closeDoors: () => void): Promise<void> => {
    closeDoors();
    await new Promise((resolve) => server.close(resolve));
  };

  test('takes the connections of a rush in a few turns of its loop, where one door lets one in for each turn', async () => {
    const app = makeServer();
    const taken: net.Socket[] = [];
    app.server.on('connection', (socket) => taken.push(socket));
    const { url, closeDoors } = await listenByManyDoors(app, { host: '127.0.0.1', port: 0, setting: 'PORT' });
    const clients = Array.from({ length: 100 }, () => net.connect(Number(new URL(url).port), '127.0.0.1'));
    let turnCount = 0;
    for (; taken.length < clients.length && turnCount < 1_000; turnCount += 1) await turn();
    expect(taken).toHaveLength(clients.length);
    if (process.platform === 'linux') expect(turnCount).toBeLessThan(clients.length / 2);
    for (const socket of [...clients, ...taken]) socket.destroy();
    await close(app.server, closeDoors);
  });

  test('shares its port with no other program, and leaves it free when it is closed', async () => {
    const app = makeServer();
    const { url, closeDoors } = await listenByManyDoors(app, { host: '127.0.0.1', port: 0, setting: 'PORT' });
    const address = { host: '127.0.0.1', port: Number(new URL(url).port), setting: 'PORT' };
    await expect(listenByManyDoors(makeServer(), address)).rejects.toThrow(`Port ${address.port} on 127.0.0.1 is taken`);
    await close(app.server, closeDoors);
    const next = makeServer();
    const again = await listenByManyDoors(next, address);
    expect(again.url).toBe(url);
    await close(next.server, again.closeDoors);
  });
});

function logged(write: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  let line = '';
  write(
    createLogger({
      level: 'info',
      service: 'gateway',
      region: 'local',
      redactText: (text) => text.replaceAll(/\d{16}/g, '[card]'),
      destination: { write: (text: string) => void (line += text) },
    }),
  );
  expect(line.endsWith('\n')).toBe(true);
  return JSON.parse(line) as Record<string, unknown>;
}

test('a log line is one JSON object with time, level, process and cell', () => {
  expect(logged((logger) => logger.info({ amount: 499n }, 'charged\nonce'))).toMatchObject({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    service: 'gateway',
    region: 'local',
    amount: 499,
    msg: 'charged\nonce',
  });
});

test('no header, token or client secret reaches a log, at whatever depth it is looked for', () => {
  const text = JSON.stringify(
    logged((logger) =>
      logger.info({
        authorization: 'hush-0',
        headers: { authorization: 'hush-1', cookie: 'hush-2', 'x-router-authorization': 'hush-3', 'stripe-signature': 'hush-4' },
        request: { headers: { authorization: 'hush-5', 'set-cookie': 'hush-6' } },
        nextAction: { clientSecret: 'hush-7' },
        token: 'hush-8',
      }),
    ),
  );
  expect(text).not.toContain('hush');
});

test('the text redactor runs over message, fields and errors, and the line stays JSON', () => {
  const line = logged((logger) =>
    logger.info(
      { n: 4_242_424_242_424_242, deep: { note: 'x 4242424242424242 y' }, err: new Error('card 4242424242424242') },
      'of 4242424242424242',
    ),
  );
  expect(JSON.stringify(line)).not.toContain('4242424242424242');
  expect(line).toMatchObject({ n: '[card]', deep: { note: 'x [card] y' }, msg: 'of [card]' });
});

test('metrics carry the cell and the process', async () => {
  const text = await createMetrics({ region: 'eu', service: 'worker' }).metrics();
  expect(text).toMatch(/^process_cpu_seconds_total\{region="eu",service="worker"\} /m);
});

test('randomness has the asked length and range', () => {
  const random = new SystemRandom();
  expect(random.bytes(10)).toHaveLength(10);
  expect(random.fraction()).toBeGreaterThanOrEqual(0);
  expect(random.fraction()).toBeLessThan(1);
});
