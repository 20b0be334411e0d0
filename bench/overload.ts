/**
 * Five times as many requests as the gateway can answer, for half a minute: what is let in must stay fast, the rest must be refused at
 * once, nobody may be charged twice or not at all, and afterwards everything must be as before.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { quantile, type Bench, type Finding } from './bench.js';
import { startProduct, type RunningProduct } from './running-product.js';
import { sendAtOnce, sendAtRate, Wire, type Stretch } from './wire.js';

const TIMES_CAPACITY = 5;
const CALM_SHARE = 0.4;
/** Connections at most, as of a load balancer. */
const LINES = 512;
const USERS = 20;
const PURCHASES_EACH = 5;
/** Tried in turn: what can be answered is what is answered with the best of them. */
const AT_ONCE = [8, 16, 32] as const;
const WARM_UP_MS = 8_000;
const CAPACITY_MS = 4_000;
const CALM_MS = 15_000;
const AFTER_MS = 12_000;
const CALM_AGAIN_MS = 5_000;
const PROBE_EVERY_MS = 250;
const BUY_EVERY_MS = 500;
const SLOWER_AT_MOST = 3;
const LEAST_GOODPUT = 1 / 3;

/** The page of an account. A read much cheaper than this would measure what asks: five times as many of them keep a core of the two busy with asking. */
const READ = `query { viewer { id entitlements { feature { key } expiresAt } paymentMethods { id displayName isDefault status }
  subscriptions(first: 5) { nodes { id status } }
  purchases(first: 10) { nodes { id status quantity createdAt transaction { id status } } }
  invoices(first: 10) { nodes { id number status total { amountMinor currency decimal } amountDue { amountMinor decimal } lines { description amount { decimal } } } }
  transactions(first: 10) { nodes { id status createdAt amount { amountMinor currency decimal } statusHistory { status occurredAt } } pageInfo { hasNextPage endCursor } } } }`;
const START_SETUP = `mutation($key: String!) { startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: $key }) { setupId } }`;
const COMPLETE_SETUP = `mutation($setupId: ID!) {
  completePaymentMethodSetup(input: { setupId: $setupId, providerToken: "pm_card_visa" }) { paymentMethod { id } } }`;
const PRODUCTS = '{ products(first: 10) { nodes { prices(currency: "USD") { id } } } }';
const PURCHASE = `mutation($input: PurchaseInput!) { purchase(input: $input) { transaction { status } userErrors { code } } }`;

interface Shopper {
  token: string;
  /** The read, made once. */
  read: Buffer;
}

/** The bench. */
export const overload: Bench = {
  name: 'overload',
  size: { of: 'seconds', usual: 30 },
  question: `For so many seconds ${TIMES_CAPACITY} times as much is asked for as can be answered: what becomes of what is let in, of the rest, and of the time after?`,
  run: async (seconds, tell) => {
    tell('Starting the product.');
    const product = await startProduct({ LOAD_SHEDDING: 'on' });
    const wire = new Wire(product.url, LINES);
    try {
      return await measure(product, wire, seconds, tell);
    } finally {
      wire.close();
      await product.stop();
    }
  },
};

async function measure(product: RunningProduct, wire: Wire, seconds: number, tell: (line: string) => void): Promise<Finding> {
  const priceId = await priceOf(wire);
  tell(`${USERS} users add a card and buy ${PURCHASES_EACH} times.`);
  const shoppers: Shopper[] = [];
  for (let user = 0; user < USERS; user += 1) shoppers.push(await makeShopper(product, wire, user, priceId));
  const read = (number: number) => wire.send(shoppers[number % shoppers.length]?.read ?? Buffer.alloc(0));

  tell('Warming up.');
  await sendAtOnce(read, AT_ONCE[0], WARM_UP_MS);
  tell('Measuring what can be answered.');
  let capacity = 0;
  for (const count of AT_ONCE) {
    const full = await sendAtOnce(read, count, CAPACITY_MS);
    capacity = Math.max(capacity, (answered(full).length / full.tookMs) * 1_000);
  }
  tell(`${capacity.toFixed(0)} a second. Now ${(capacity * CALM_SHARE).toFixed(0)} a second, which is calm.`);
  const calm = await sendAtRate(read, capacity * CALM_SHARE, CALM_MS);

  tell(`Now ${(capacity * TIMES_CAPACITY).toFixed(0)} a second, for ${seconds} s.`);
  const beside = watch(wire, { buyer: shoppers[0], priceId });
  const before = { product: await product.cpuMs(), bench: process.cpuUsage() };
  const rush = await sendAtRate(read, capacity * TIMES_CAPACITY, seconds * 1_000);
  const spent = { product: await product.cpuMs(), bench: process.cpuUsage(before.bench) };
  tell('Calm again.');
  const after = await sendAtRate(read, capacity * CALM_SHARE, AFTER_MS);
  const { wishes, healthMs, unhealthy } = await beside.end();
  const charges = await chargesOf(product);

  const [calmP99, rushP99] = [quantile(timesOf(answered(calm)), 0.99), quantile(timesOf(answered(rush)), 0.99)];
  const refused = rush.answers.filter(({ status }) => status === 503);
  const refusedP99 = refused.length > 0 ? quantile(timesOf(refused), 0.99) : 0;
  const others = [...rush.answers, ...calm.answers, ...after.answers].filter(
    ({ status }) => status !== 200 && status !== 503,
  ).length;
  const late = after.answers.filter(({ sentMs }) => sentMs > CALM_AGAIN_MS);
  const calmAgainP99 = quantile(timesOf(late.filter(({ status }) => status === 200)), 0.99);
  const lastRefusedMs = Math.max(0, ...after.answers.filter(({ status }) => status !== 200).map(({ sentMs }) => sentMs));
  const goodput = (answered(rush).length / rush.tookMs) * 1_000;
  return {
    ratios: [
      { what: '99th percentile of what was let in, against calm', value: rushP99 / calmP99, unit: 'x' },
      { what: '99th percentile of refusals, against calm', value: refusedP99 / calmP99, unit: 'x' },
      {
        what: `99th percentile from ${CALM_AGAIN_MS / 1_000} s after the end on, against calm`,
        value: calmAgainP99 / calmP99,
        unit: 'x',
      },
      { what: 'answered under overload, of what can be answered', value: goodput / capacity, unit: 'x' },
    ],
    figures: [
      { what: 'what can be answered', value: capacity, unit: '/s' },
      { what: 'asked under overload', value: (rush.answers.length / rush.tookMs) * 1_000, unit: '/s' },
      { what: 'answered under overload', value: goodput, unit: '/s' },
      { what: 'refused under overload', value: (refused.length / rush.tookMs) * 1_000, unit: '/s' },
      { what: 'refused while calm', value: calm.answers.length - answered(calm).length, unit: '' },
      { what: 'calm: median', value: quantile(timesOf(answered(calm)), 0.5), unit: 'ms' },
      { what: 'calm: 99 of 100 within', value: calmP99, unit: 'ms' },
      { what: 'let in: median', value: quantile(timesOf(answered(rush)), 0.5), unit: 'ms' },
      { what: 'let in: 99 of 100 within', value: rushP99, unit: 'ms' },
      { what: 'refused: median', value: refused.length > 0 ? quantile(timesOf(refused), 0.5) : 0, unit: 'ms' },
      { what: 'refused: 99 of 100 within', value: refusedP99, unit: 'ms' },
      { what: 'last refusal after the end', value: lastRefusedMs, unit: 'ms' },
      { what: 'health: 99 of 100 within', value: quantile(healthMs, 0.99), unit: 'ms' },
      { what: 'purchases wished for meanwhile', value: wishes, unit: '' },
      {
        what: 'CPU of the gateway under overload, of one core',
        value: (spent.product.gateway - before.product.gateway) / rush.tookMs,
        unit: 'x',
      },
      {
        what: 'CPU of the database under overload, of one core',
        value: (spent.product.database - before.product.database) / rush.tookMs,
        unit: 'x',
      },
      {
        what: 'CPU of this bench under overload, of one core',
        value: (spent.bench.user + spent.bench.system) / 1_000 / rush.tookMs,
        unit: 'x',
      },
      { what: 'connections', value: wire.lines, unit: '' },
      { what: 'requests were sent late by, 99 of 100 within', value: quantile(rush.latenessMs, 0.99), unit: 'ms' },
    ],
    bounds: [
      {
        what: `what is let in is at most ${SLOWER_AT_MOST} times as slow as in calm (99 of 100)`,
        holds: rushP99 <= calmP99 * SLOWER_AT_MOST,
      },
      {
        what: 'the rest is refused at once: as fast as that (99 of 100)',
        holds: refused.length > 0 && refusedP99 <= calmP99 * SLOWER_AT_MOST,
      },
      { what: 'a third of what can be answered is answered all the same', holds: goodput >= capacity * LEAST_GOODPUT },
      {
        what: `calm again within ${CALM_AGAIN_MS / 1_000} s`,
        holds: lastRefusedMs <= CALM_AGAIN_MS && calmAgainP99 <= calmP99 * SLOWER_AT_MOST,
      },
      { what: 'nothing but 200 and 503, nothing cut off', holds: others === 0 },
      { what: 'health was served throughout', holds: unhealthy === 0 },
      { what: 'every purchase was charged exactly once', holds: charges === wishes + USERS * PURCHASES_EACH },
    ],
  };
}

const answered = ({ answers }: Stretch) => answers.filter(({ status }) => status === 200);
const timesOf = (answers: readonly { tookMs: number }[]): number[] => answers.map(({ tookMs }) => tookMs);

/** Looks at the health and buys, all the time, as a client should: refused or cut off, it comes back with the same key. */
function watch(wire: Wire, { buyer, priceId }: { buyer: Shopper | undefined; priceId: string }) {
  const over = new AbortController();
  const healthMs: number[] = [];
  let [wishes, unhealthy] = [0, 0];
  const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
    while (!over.signal.aborted) {
      await work();
      await pause(ms, undefined, { signal: over.signal }).catch(() => undefined);
    }
  };
  const probing = every(PROBE_EVERY_MS, async () => {
    const { status, tookMs } = await wire.send(wire.get('/healthz'));
    healthMs.push(tookMs);
    if (status !== 200) unhealthy += 1;
  });
  const buying = every(BUY_EVERY_MS, async () => {
    wishes += 1;
    await buy(wire, buyer?.token ?? '', priceId, `bought-in-the-overload-${wishes}`);
  });
  return {
    end: async () => {
      over.abort();
      await Promise.all([probing, buying]);
      return { wishes, healthMs, unhealthy };
    },
  };
}

async function buy(wire: Wire, token: string, priceId: string, idempotencyKey: string): Promise<void> {
  const request = wire.request({ query: PURCHASE, variables: { input: { priceId, idempotencyKey } } }, token);
  const giveUpAtMs = performance.now() + 60_000;
  for (;;) {
    const { status, body } = await wire.send(request);
    if (status === 200 && body.includes('"SUCCEEDED"')) return;
    if (performance.now() > giveUpAtMs) throw new Error(`${idempotencyKey} was not bought: ${status} ${body.slice(0, 300)}`);
    await pause(status === 503 ? 200 : 50);
  }
}

async function makeShopper(product: RunningProduct, wire: Wire, user: number, priceId: string): Promise<Shopper> {
  const token = await product.token(`overload-${user}`);
  const key = `overload-${user}-adds-a-card`;
  const { startPaymentMethodSetup: started } = await wire.ask<{ startPaymentMethodSetup: { setupId: string } }>(
    { query: START_SETUP, variables: { key } },
    token,
  );
  await wire.ask({ query: COMPLETE_SETUP, variables: { setupId: started.setupId } }, token);
  for (let bought = 0; bought < PURCHASES_EACH; bought += 1) await buy(wire, token, priceId, `overload-${user}-buys-${bought}`);
  await wire.ask({ query: READ }, token);
  return { token, read: wire.request({ query: READ }, token) };
}

async function priceOf(wire: Wire): Promise<string> {
  const { products } = await wire.ask<{ products: { nodes: { prices: { id: string }[] }[] } }>({ query: PRODUCTS }, null);
  const price = products.nodes.flatMap(({ prices }) => prices)[0];
  if (!price) throw new Error('The catalogue sells no product in USD.');
  return price.id;
}

/** How many charges the provider has really made. */
async function chargesOf({ standInUrl }: RunningProduct): Promise<number> {
  const answer = await fetch(new URL('/sandbox/truth', standInUrl));
  const { charges } = (await answer.json()) as { charges: { paid: boolean }[] };
  return charges.filter(({ paid }) => paid).length;
}
