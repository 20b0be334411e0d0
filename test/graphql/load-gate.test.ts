import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { boundAfter, type LoadBounds } from '../../src/graphql/load-gate.js';
import { addOpsRoutes } from '../../src/http/ops-routes.js';
import { eventually } from '../support/eventually.js';
import { startSmallServer, type SmallServer } from './small-graph.js';

const BOUNDS: LoadBounds = { least: 8, burst: 64, most: 2_000, calmMs: 5, lateMs: 12 };
const after = (bound: number, sample: { delayMs: number; peak?: number; hasRefused?: boolean; wasLate?: boolean }): number =>
  boundAfter(bound, { peak: bound, hasRefused: false, wasLate: true, ...sample }, BOUNDS);

describe('the bound of operations at once', () => {
  test('shrinks to half of what was inside while the loop is late', () => {
    expect(after(100, { delayMs: 12.1 })).toBe(50);
    expect(after(2_000, { delayMs: 500, peak: 50 })).toBe(25);
  });

  test('stays after one late interval: a pause is no overload', () => {
    expect(after(100, { delayMs: 500, wasLate: false })).toBe(100);
    expect(after(100, { delayMs: 500, wasLate: false, hasRefused: true })).toBe(100);
  });

  test('never falls below the least, so that a recovery is seen', () => {
    expect(after(9, { delayMs: 500 })).toBe(8);
    expect(after(64, { delayMs: 500, peak: 9 })).toBe(8);
  });

  test('stays or comes back while the loop is late with next to nothing inside: something else keeps it', () => {
    expect(after(64, { delayMs: 500, peak: 8 })).toBe(64);
    expect(after(64, { delayMs: 500, peak: 0 })).toBe(64);
    expect(after(8, { delayMs: 500, peak: 3 })).toBe(10);
    expect(after(40, { delayMs: 9, peak: 8 })).toBe(50);
  });

  test('stays between late and in time, so that it does not swing', () => {
    for (const delayMs of [5.1, 9, 12]) expect(after(40, { delayMs, hasRefused: true })).toBe(40);
  });

  test('tries a tenth more while it refuses and the loop is in time', () => {
    expect(after(40, { delayMs: 5, hasRefused: true })).toBe(44);
    expect(after(8, { delayMs: 0, hasRefused: true })).toBe(9);
  });

  test('comes back to a burst in less than a second and a half once nothing is refused', () => {
    let bound = 8;
    let intervals = 0;
    for (; bound < 64; intervals += 1) bound = after(bound, { delayMs: 0, peak: 1 });
    expect(intervals * 50).toBeLessThan(1_500);
  });

  test('makes room for operations that only wait, up to the most', () => {
    expect(after(64, { delayMs: 0, peak: 60 })).toBe(80);
    expect(after(1_900, { delayMs: 0, peak: 1_900 })).toBe(2_000);
    expect(after(2_000, { delayMs: 0, peak: 1_999, hasRefused: true })).toBe(2_000);
  });

  test('goes back to a burst when what waited is gone', () => {
    expect(after(1_000, { delayMs: 0, peak: 3 })).toBe(64);
  });
});

describe('a server that has more to do than it can', () => {
  /** Room for one; the loop is never called late, so the bound stays. */
  const ROOM_FOR_ONE: LoadBounds = { least: 1, burst: 1, most: 1, calmMs: Infinity, lateMs: Infinity };
  let server: SmallServer;
  afterEach(() => server.stop(0));

  const start = (): Promise<SmallServer> => {
    const registry = new Registry();
    return startSmallServer({
      registry,
      settings: { hasLoadShedding: true },
      loadBounds: ROOM_FOR_ONE,
      addRoutes: (app) => addOpsRoutes(app, { checks: {}, isDraining: () => false, registry }),
    });
  };
  const insideCount = async (): Promise<number> =>
    (await server.registry.getSingleMetric('graphql_in_flight')?.get())?.values[0]?.value ?? -1;
  const isFull = (): Promise<void> => eventually(async () => expect(await insideCount()).toBe(1));

  test('answers 503 with the time to come back, before the body is read', async () => {
    server = await start();
    const inside = server.post({ query: '{ slow }' });
    await isFull();
    const refused = await server.post('{"query": "this is never read', {
      origin: 'https://app.example',
      'x-request-id': 'my-request',
    });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(refused.headers.get('cache-control')).toBe('no-store');
    expect(refused.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(await refused.json()).toEqual({
      errors: [
        {
          message: expect.stringContaining('nothing was begun'),
          extensions: { code: 'SERVICE_UNAVAILABLE', retryAfterMs: expect.any(Number), requestId: 'my-request' },
        },
      ],
    });
    server.release();
    expect((await inside).status).toBe(200);
  });

  test('never touches what is inside: a mutation under way is answered', async () => {
    server = await start();
    const inside = server.post({ query: 'mutation { slow }' });
    await isFull();
    const refused = await Promise.all(Array.from({ length: 50 }, () => server.post({ query: 'mutation { slow }' })));
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 503));
    server.release();
    expect(await (await inside).json()).toEqual({ data: { slow: 'done' } });
    expect(server.slowRuns()).toBe(1);
    expect(await server.registry.getSingleMetricAsString('graphql_overload_refused_total')).toMatch(/ 50$/m);
  });

  test('serves health and metrics, and lets browsers ask whether they may ask', async () => {
    server = await start();
    const inside = server.post({ query: '{ slow }' });
    await isFull();
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('graphql_in_flight 1');
    expect((await fetch(`${server.url}/graphql`, { method: 'OPTIONS' })).status).toBe(204);
    server.release();
    await inside;
  });

  test('refuses a new WebSocket too', async () => {
    server = await start();
    const inside = server.post({ query: '{ slow }' });
    await isFull();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    expect(
      await new Promise((resolve) => socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode))),
    ).toBe(503);
    server.release();
    await inside;
  });

  test('serves again as soon as there is room, and tells that it refused', async () => {
    server = await start();
    const inside = server.post({ query: '{ slow }' });
    await isFull();
    await server.post({ query: '{ whoami }' });
    expect(server.isOverloaded()).toBe(true);
    server.release();
    await inside;
    expect((await server.post({ query: '{ whoami }' })).status).toBe(200);
    await eventually(() => expect(server.isOverloaded()).toBe(false));
  });

  test('lets nobody in twice for one place, however many bodies arrive at once', async () => {
    server = await start();
    const asked = Array.from({ length: 20 }, () => server.post({ query: '{ slow }' }));
    await isFull();
    await eventually(async () =>
      expect(await server.registry.getSingleMetricAsString('graphql_overload_refused_total')).toMatch(/ 19$/m),
    );
    server.release();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(server.slowRuns()).toBe(1);
  });

  test('counts an open stream of events no longer once it has begun', async () => {
    server = await start();
    const stream = await server.post(
      { query: 'subscription { beats }' },
      { authorization: 'Bearer ana', accept: 'text/event-stream' },
    );
    expect(stream.status).toBe(200);
    expect(await insideCount()).toBe(0);
    expect((await server.post({ query: '{ whoami }' })).status).toBe(200);
    await stream.body?.cancel();
  });
});

test('a loop that is kept busy makes the bound shrink, and gives it back when it is free', async () => {
  const server = await startSmallServer({
    settings: { hasLoadShedding: true },
    loadBounds: { ...BOUNDS, calmMs: 25, lateMs: 29 },
  });
  const bound = async (): Promise<number> =>
    (await server.registry.getSingleMetric('graphql_in_flight_bound')?.get())?.values[0]?.value ?? -1;
  expect(await bound()).toBe(64);
  // One more than the least: with fewer inside it is not they who keep the loop.
  const inside = Array.from({ length: 9 }, () => server.post({ query: '{ slow }' }));
  await eventually(async () => expect(await server.registry.getSingleMetricAsString('graphql_in_flight')).toMatch(/ 9$/m));
  let shrunk = await bound();
  for (let turns = 0; shrunk > 8 && turns < 100; turns += 1) {
    const untilMs = performance.now() + 40;
    while (performance.now() < untilMs); // turns of 40 ms each
    await turn();
    shrunk = await bound();
  }
  expect(shrunk).toBe(8);
  server.release();
  expect((await Promise.all(inside)).map(({ status }) => status)).toEqual(inside.map(() => 200));
  await eventually(async () => expect(await bound()).toBe(64));
  await server.stop(0);
});
