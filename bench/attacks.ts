/** How long does the gateway take to refuse each known attack, and how much memory does it take? */
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { attackSet, faultOf, type Victims } from './attack-set.js';
import { quantile, type Bench, type Finding } from './bench.js';
import { sendHostile, type HostileRequest } from './hostile-requests.js';
import { startProduct, type RunningProduct } from './running-product.js';
import { Wire } from './wire.js';

const LIMIT_MS = 50;
const LIMIT_MB = 50;
/** Sent before anything is measured, so that no time is spent on compiling the code that refuses. */
const WARM_UP = 5;

const START_SETUP =
  'mutation { startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: "the-victim-adds-a-card" }) { setupId } }';
const COMPLETE_SETUP = `mutation($setupId: ID!) {
  completePaymentMethodSetup(input: { setupId: $setupId, providerToken: "pm_card_visa" }) { paymentMethod { id } } }`;
const SUBSCRIBE = `mutation($input: SubscribeInput!) { subscribe(input: $input) { subscription { id } userErrors { code } } }`;
const PURCHASE = `mutation($input: PurchaseInput!) { purchase(input: $input) { userErrors { code } } }`;
const PRICES = '{ tiers { prices(currency: "USD") { id } } products(first: 1) { nodes { prices(currency: "USD") { id } } } }';
const CURSOR = '{ viewer { transactions(first: 1) { pageInfo { endCursor } } } }';

/** The bench. */
export const attacks: Bench = {
  name: 'attacks',
  size: { of: 'times', usual: 50 },
  question: `Each known attack, so many times: is it refused in less than ${LIMIT_MS} ms, with less than ${LIMIT_MB} MB more of heap?`,
  run: async (times, tell) => {
    tell('Starting the product.');
    const product = await startProduct({});
    const wire = new Wire(product.url);
    try {
      return await measure(product, await prepare(product, wire), times, tell);
    } finally {
      wire.close();
      await product.stop();
    }
  },
};

async function measure(product: RunningProduct, victims: Victims, times: number, tell: (line: string) => void): Promise<Finding> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = (request: HostileRequest) => sendHostile(product.url.origin, agent, request);
  const all = attackSet(victims);
  const faults: string[] = [];
  const rows: { name: string; medianMs: number; p95Ms: number; heapMb: number }[] = [];
  for (const attack of all) {
    for (let sent = 0; sent < WARM_UP; sent += 1) await send(attack.request);
    const tookMs: number[] = [];
    const grownMb: number[] = [];
    for (let sent = 0; sent < times; sent += 1) {
      const before = await heapOf(product);
      const startedMs = performance.now();
      const fault = faultOf(attack, await send(attack.request));
      tookMs.push(performance.now() - startedMs);
      grownMb.push(((await heapOf(product)) - before) / 1e6);
      if (fault !== null && sent === 0) faults.push(`${attack.name}: ${fault}`);
    }
    const heapMb = Math.max(...grownMb);
    rows.push({ name: attack.name, medianMs: quantile(tookMs, 0.5), p95Ms: quantile(tookMs, 0.95), heapMb });
  }
  agent.destroy();
  for (const fault of faults) tell(fault);
  const slowest = rows.reduce((one, other) => (other.p95Ms > one.p95Ms ? other : one));
  const greatest = rows.reduce((one, other) => (other.heapMb > one.heapMb ? other : one));
  return {
    ratios: [
      { what: `the slowest, against ${LIMIT_MS} ms`, value: slowest.p95Ms / LIMIT_MS, unit: 'x' },
      {
        what: `the greatest growth of the heap, against ${LIMIT_MB} MB`,
        value: Math.max(0, greatest.heapMb) / LIMIT_MB,
        unit: 'x',
      },
    ],
    figures: [
      { what: 'attacks', value: all.length, unit: '' },
      { what: `greatest growth of the heap by one request, MB (${greatest.name})`, value: greatest.heapMb, unit: '' },
      ...rows.flatMap(({ name, medianMs, p95Ms }) => [
        { what: `${name}: median`, value: medianMs, unit: 'ms' as const },
        { what: `${name}: 95 of 100 within`, value: p95Ms, unit: 'ms' as const },
      ]),
    ],
    bounds: [
      { what: 'each is refused, or shows nothing', holds: faults.length === 0 },
      { what: `each in less than ${LIMIT_MS} ms (95 of 100)`, holds: slowest.p95Ms < LIMIT_MS },
      {
        what: `each with less than ${LIMIT_MB} MB more of heap by one request, garbage and all`,
        holds: greatest.heapMb < LIMIT_MB,
      },
    ],
  };
}

/** Somebody with a subscription and payments, and an attacker with a used key. */
async function prepare(product: RunningProduct, wire: Wire): Promise<Victims> {
  const [victim, token] = [await product.token('victim'), await product.token('attacker')];
  const { tiers, products } = await wire.ask<{
    tiers: { prices: { id: string }[] }[];
    products: { nodes: { prices: { id: string }[] }[] };
  }>({ query: PRICES }, null);
  const tierPrice = tiers.flatMap(({ prices }) => prices)[0]?.id ?? '';
  const priceId = products.nodes.flatMap(({ prices }) => prices)[0]?.id ?? '';
  const { startPaymentMethodSetup: started } = await wire.ask<{ startPaymentMethodSetup: { setupId: string } }>(
    { query: START_SETUP },
    victim,
  );
  await wire.ask({ query: COMPLETE_SETUP, variables: { setupId: started.setupId } }, victim);
  const input = { priceId: tierPrice, idempotencyKey: 'the-victim-subscribes' };
  const { subscribe } = await wire.ask<{ subscribe: { subscription: { id: string } } }>(
    { query: SUBSCRIBE, variables: { input } },
    victim,
  );
  const { viewer } = await wire.ask<{ viewer: { transactions: { pageInfo: { endCursor: string } } } }>({ query: CURSOR }, victim);
  const usedKey = 'the-attacker-has-used-this';
  await wire.ask({ query: PURCHASE, variables: { input: { priceId, quantity: 1, idempotencyKey: usedKey } } }, token);
  return { token, subscriptionId: subscribe.subscription.id, cursor: viewer.transactions.pageInfo.endCursor, usedKey, priceId };
}

/** Bytes of the gateway's heap in use. */
async function heapOf({ url }: RunningProduct): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', url))).text();
  return Number(/^nodejs_heap_size_used_bytes\S* (\S+)$/m.exec(metrics)?.[1] ?? Number.NaN);
}
