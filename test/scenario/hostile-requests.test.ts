import { readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { attackSet, faultOf } from '../../bench/attack-set.js';
import { HostileRequests, sendHostile } from '../../bench/hostile-requests.js';
import { readSdl } from '../../src/graphql/schema-changes.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { ListTiersDocument, PurchaseDocument, TransactionsDocument } from '../generated/graphql.js';
import { ask, monthlyPrice, newKey, startProduct, type Person, type Product } from '../support/product.js';

const REQUESTS = 1_000;
const AT_ONCE = 8;

let product: Product;
/** Has a card, a subscription and a history. */
let ana: Person;
/** Has nothing, and wants what others have. */
let eve: Person;
const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });

/** Within a gateway: once it hears of promises that nobody waits for, one fails, and is noted when it was heard. */
const UNHEARD = `
  import { writeFileSync } from 'node:fs';
  process.once('newListener', function look(event) {
    if (event !== 'unhandledRejection' || !process.argv[1].endsWith('gateway.js')) return process.once('newListener', look);
    setTimeout(() => {
      process.on('unhandledRejection', () => writeFileSync(process.env.UNHEARD, 'heard'));
      void Promise.reject(new Error('nobody waits for this'));
    });
  });`;
let unheard: string;

beforeAll(async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'unheard-'));
  const script = path.join(folder, 'unheard.mjs');
  await writeFile(script, UNHEARD);
  unheard = path.join(folder, 'heard');
  product = await startProduct({ settings: { NODE_OPTIONS: `--import=${script}`, UNHEARD: unheard } });
  [ana, eve] = [await product.person('ana'), await product.person('eve')];
  await ana.addCard();
});
afterAll(async () => {
  agent.destroy();
  await product.stop();
});

test('a promise that fails with nobody waiting for it ends no gateway', async () => {
  expect(readFileSync(unheard, 'utf8')).toBe('heard');
  expect((await fetch(`${product.url}/readyz`)).status).toBe(200);
});

// `npm run bench -- fuzz` sends a hundred times as many. A counterexample is sent again by its seed and number.
test('no request that nobody should send ends in a 5xx, or is cut off', async () => {
  const { subscription, transaction } = await ana.subscribe();
  const staff = await product.token('staff', ['monetization:support', 'monetization:finance', 'monetization:entitlements']);
  const { data } = await ask(product.url, ListTiersDocument, { currency: 'USD' });
  const ids = [
    subscription?.id,
    transaction?.id,
    ...(data?.tiers ?? []).flatMap(({ id, prices }) => [id, ...prices.map((one) => one.id)]),
  ];
  const seed = 1;
  const hostile = new HostileRequests(
    readSdl(readFileSync('schema/schema.graphql', 'utf8')),
    { tokens: [ana.token, eve.token, staff], ids: ids.filter((id) => id !== undefined) },
    seed,
  );
  const broken: unknown[] = [];
  await eachAtMost(
    Array.from({ length: REQUESTS }, (_, number) => number),
    AT_ONCE,
    async (number) => {
      const request = hostile.next();
      const { status, text } = await sendHostile(product.url, agent, request);
      if (status >= 500 || (status === 0 && !/HPE_|ECONNRESET|hang up/.test(text)))
        broken.push({ seed, number, status, text, request });
    },
  );
  expect(broken).toEqual([]);
  expect((await fetch(`${product.url}/readyz`)).status).toBe(200);
});

test('each known attack is refused, or shows nothing of what belongs to others', async () => {
  const priceId = await monthlyPrice(product.url, 'premium', 'USD');
  const subscriptionId = (await ana.subscribe({ tier: 'premium_plus' })).subscription?.id ?? 'sub_none';
  const page = await ana.get(TransactionsDocument, { first: 1 });
  const usedKey = newKey();
  await eve.get(PurchaseDocument, { input: { priceId, quantity: 1, idempotencyKey: usedKey } });
  const attacks = attackSet({
    token: eve.token,
    subscriptionId,
    cursor: page.viewer?.transactions?.pageInfo.endCursor ?? '',
    usedKey,
    priceId,
  });
  const faults: Record<string, string | null> = {};
  for (const attack of attacks) faults[attack.name] = faultOf(attack, await sendHostile(product.url, agent, attack.request));
  expect(faults).toEqual(Object.fromEntries(attacks.map(({ name }) => [name, null])));
  expect((await product.truth()).charges.every(({ customer }) => customer !== null)).toBe(true);
});
