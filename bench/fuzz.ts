/** Do requests that nobody should send ever break anything? Generated and bent ones, over HTTP, against the running product. */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { buildSchema } from 'graphql';
import { quantile, type Bench, type Finding } from './bench.js';
import { HostileRequests, sendHostile, type HostileRequest } from './hostile-requests.js';
import { startProduct } from './running-product.js';

const AT_ONCE = 8;
const SEED = 20_261_127;
const TELL_EVERY = 5_000;
const STAFF = ['support', 'finance', 'entitlements'].map((scope) => `monetization:${scope}`);

/** The bench. */
export const fuzz: Bench = {
  name: 'fuzz',
  size: { of: 'requests', usual: 100_000 },
  question: 'Does any of so many generated and bent requests end in a 5xx, or in a line that was cut?',
  run: async (requests, tell) => {
    tell('Starting the product.');
    const product = await startProduct({});
    const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
    try {
      const schema = buildSchema(await readFile('schema/schema.graphql', 'utf8'), { assumeValidSDL: true });
      const tokens = [await product.token('fuzz-a'), await product.token('fuzz-b'), await product.token('fuzz-staff', STAFF)];
      const hostile = new HostileRequests(schema, { tokens, ids: await idsOf(product.url) }, SEED);
      return await attack(hostile, { url: product.url.origin, agent, requests, tell, lastWords: () => product.lastWords() });
    } finally {
      agent.destroy();
      await product.stop();
    }
  },
};

interface Attack {
  url: string;
  agent: http.Agent;
  requests: number;
  tell: (line: string) => void;
  lastWords: () => string;
}

/** Broken ones that are told in full; a gateway that is gone breaks all that follow. */
const TOLD = 20;

async function attack(hostile: HostileRequests, { url, agent, requests, tell, lastWords }: Attack): Promise<Finding> {
  const statuses = new Map<number, number>();
  const tookMs: number[] = [];
  const broken: string[] = [];
  const startedMs = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let number = next++; number < requests; number = next++) await one(number);
  };
  const one = async (number: number): Promise<void> => {
    const request = hostile.next();
    const sentMs = performance.now();
    const { status, text } = await sendHostile(url, agent, request);
    tookMs.push(performance.now() - sentMs);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status >= 500 || (status === 0 && isOurs(request))) {
      broken.push(text);
      if (broken.length <= TOLD) tell(`${status} to number ${number} of seed ${SEED}: ${shown(request)}\n${text.slice(0, 500)}`);
    }
    if ((number + 1) % TELL_EVERY === 0) tell(`${number + 1} of ${requests} sent, ${broken.length} broken.`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (broken.length > 0) tell(`The product's last words:\n${lastWords()}`);
  const alive = await fetch(new URL('/healthz', url)).then(
    ({ status }) => status,
    () => 0,
  );
  return {
    ratios: [{ what: 'broken of all', value: broken.length / requests, unit: '' }],
    figures: [
      { what: 'requests', value: requests, unit: '' },
      { what: 'requests a second', value: (requests / (performance.now() - startedMs)) * 1_000, unit: '/s' },
      { what: 'median', value: quantile(tookMs, 0.5), unit: 'ms' },
      { what: '99 of 100 within', value: quantile(tookMs, 0.99), unit: 'ms' },
      ...[...statuses]
        .toSorted(([a], [b]) => a - b)
        .map(([status, count]) => ({ what: `status ${status}`, value: count, unit: '' as const })),
    ],
    bounds: [
      { what: 'no request ended in a 5xx or was cut off', holds: broken.length === 0 },
      { what: 'the gateway is alive afterwards', holds: alive === 200 },
    ],
  };
}

/** Node's own parser hangs up on headers that are too long; everything else must be answered. */
function isOurs({ headers, path }: HostileRequest): boolean {
  return Object.values(headers).join('').length + path.length < 8_000;
}

/** Ids of things that are for sale. */
async function idsOf(url: URL): Promise<string[]> {
  const query = '{ tiers { id prices { id } } products(first: 5) { nodes { id prices { id } } } }';
  const answer = await fetch(new URL('/graphql', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return (await answer.text()).match(/[a-z]+_[0-9a-z]{26}/g) ?? [];
}

/** Without the token, which nobody should copy. */
function shown(request: HostileRequest): string {
  return JSON.stringify(request)
    .replaceAll(/Bearer eyJ[\w.-]+/g, 'Bearer <token>')
    .slice(0, 1_500);
}
