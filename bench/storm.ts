/**
 * A thousand users, each with a card on file, press "buy" in the same moment. One gateway, ten connections to a durable database, a
 * provider that answers in 50 ms: everybody is charged once, nobody waits longer than three seconds on two cores.
 */
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { eachAtMost } from '../src/platform/repeat.js';
import { quantile, type Bench, type Finding } from './bench.js';
import { startProduct, type Part, type RunningProduct } from './running-product.js';

const POOL = 10;
const PROVIDER_MS = 50;
const P99_LIMIT_MS = 3_000;
/** As many at once as keep both cores busy and nobody waiting long: the same purchases, calmly. */
const CALM_AT_ONCE = 32;
const WARM_UP = 200;
const SETUPS_AT_ONCE = 16;

interface Shopper {
  userId: string;
  token: string;
}

interface Bought {
  tookMs: number;
  /** null: it went as it should. */
  trouble: string | null;
}

/** The bench. */
export const storm: Bench = {
  name: 'storm',
  size: { of: 'users', usual: 1_000 },
  question: `A thousand users buy at once through one gateway, ${POOL} connections, a provider that takes ${PROVIDER_MS} ms: how long do they wait?`,
  run: async (users, tell) => {
    tell('Starting the product.');
    const product = await startProduct({ DATABASE_POOL: String(POOL) });
    const client = new Client(product.url);
    try {
      return await measure(product, client, users, tell);
    } finally {
      client.close();
      await product.stop();
    }
  },
};

async function measure(product: RunningProduct, client: Client, users: number, tell: (line: string) => void): Promise<Finding> {
  tell(`${users} users add a card.`);
  const shoppers: Shopper[] = [];
  for (let i = 0; i < users; i++) shoppers.push({ userId: `storm-${i}`, token: await product.token(`storm-${i}`) });
  await eachAtMost(shoppers, SETUPS_AT_ONCE, (shopper) => addCard(client, shopper));
  await quiet(product);
  const priceId = await priceOf(client);
  await slowDown(product);
  const buy = (shopper: Shopper, round: string): Promise<Bought> => purchase(client, shopper, priceId, round);

  tell('Warming up.');
  await eachAtMost(shoppers.slice(0, WARM_UP), CALM_AT_ONCE, async (shopper) => void (await buy(shopper, 'warm')));
  await quiet(product);

  tell(`${users} purchases, ${CALM_AT_ONCE} at a time.`);
  const calm = await timed(product, async (bought) =>
    eachAtMost(shoppers, CALM_AT_ONCE, async (shopper) => void bought.push(await buy(shopper, 'calm'))),
  );
  await quiet(product);

  tell(`${users} purchases at once.`);
  const rush = await timed(product, async (bought) => {
    bought.push(...(await Promise.all(shoppers.map((shopper) => buy(shopper, 'storm')))));
  });
  await quiet(product);
  tell('Comparing with what the provider really did.');
  const charges = await chargesPerUser(product);
  const wrong = shoppers.filter(({ userId }, i) => charges.get(userId) !== (i < WARM_UP ? 3 : 2)).length;
  const waits = rush.bought.map(({ tookMs }) => tookMs);
  const troubles = rush.bought.filter(({ trouble }) => trouble !== null);
  for (const trouble of new Set(troubles.map((one) => one.trouble))) tell(`trouble: ${trouble}`);
  return {
    ratios: [{ what: 'purchases/s at once : calmly', value: rush.perSecond / calm.perSecond, unit: 'x' }],
    figures: [
      { what: 'purchases/s at once', value: rush.perSecond, unit: '/s' },
      { what: `purchases/s, ${CALM_AT_ONCE} at a time`, value: calm.perSecond, unit: '/s' },
      { what: 'wait at once, p50', value: quantile(waits, 0.5), unit: 'ms' },
      { what: 'wait at once, p99', value: quantile(waits, 0.99), unit: 'ms' },
      { what: 'wait at once, longest', value: quantile(waits, 1), unit: 'ms' },
      {
        what: 'wait calmly, p50',
        value: quantile(
          calm.bought.map(({ tookMs }) => tookMs),
          0.5,
        ),
        unit: 'ms',
      },
      {
        what: 'wait calmly, p99',
        value: quantile(
          calm.bought.map(({ tookMs }) => tookMs),
          0.99,
        ),
        unit: 'ms',
      },
      ...PARTS.map((part) => ({
        what: `a purchase in the ${part}`,
        value: (rush.cpuMs[part] * 1000) / users,
        unit: 'us CPU' as const,
      })),
    ],
    bounds: [
      { what: `no error in ${users} purchases at once`, holds: troubles.length === 0 },
      { what: 'every user was charged exactly once for each purchase', holds: wrong === 0 },
      { what: `99 of 100 wait less than ${P99_LIMIT_MS / 1000} s`, holds: quantile(waits, 0.99) < P99_LIMIT_MS },
    ],
  };
}

const PARTS: readonly Part[] = ['gateway', 'database', 'stand-in', 'worker'];

const START_SETUP = `mutation($key: String!) {
  startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: $key }) { setupId userErrors { code } } }`;
const COMPLETE_SETUP = `mutation($setupId: ID!) {
  completePaymentMethodSetup(input: { setupId: $setupId, providerToken: "pm_card_visa" }) { paymentMethod { id } userErrors { code } } }`;
const PRODUCTS = '{ products(first: 10) { nodes { prices(currency: "USD") { id } } } }';
const PURCHASE = `mutation($input: PurchaseInput!) {
  purchase(input: $input) { purchase { id } transaction { id status amount { amountMinor currency } } userErrors { code } } }`;

interface Payload {
  userErrors: { code: string }[];
}

/** Speaks to the gateway over as many connections as there are users, which stay open. */
class Client {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
  constructor(readonly url: URL) {}

  /** @throws Error when the answer is not 200 or holds errors */
  async ask<Data>(query: string, variables: object, token: string | null): Promise<Data> {
    const { status, body } = await this.#post('/graphql', JSON.stringify({ query, variables }), token);
    const answer = JSON.parse(body) as { data?: Data; errors?: { message: string; extensions?: { code?: string } }[] };
    if (status !== 200 || !answer.data || answer.errors) {
      throw new Error(`${status} ${answer.errors?.map(({ extensions, message }) => extensions?.code ?? message).join() ?? ''}`);
    }
    return answer.data;
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(path: string, body: string, token: string | null): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const request = http.request(new URL(path, this.url), {
        method: 'POST',
        agent: this.#agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(token !== null && { authorization: `Bearer ${token}` }),
        },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        text(response).then((all) => resolve({ status: response.statusCode ?? 0, body: all }), reject);
      });
      request.end(body);
    });
  }
}

async function addCard(client: Client, { userId, token }: Shopper): Promise<void> {
  const { startPaymentMethodSetup: started } = await client.ask<{ startPaymentMethodSetup: { setupId: string } & Payload }>(
    START_SETUP,
    { key: `${userId}-the-first-card` },
    token,
  );
  const { completePaymentMethodSetup: completed } = await client.ask<{
    completePaymentMethodSetup: { paymentMethod: object | null } & Payload;
  }>(COMPLETE_SETUP, { setupId: started.setupId }, token);
  if (completed.paymentMethod === null) throw new Error(`no card: ${JSON.stringify(completed.userErrors)}`);
}

async function priceOf(client: Client): Promise<string> {
  const { products } = await client.ask<{ products: { nodes: { prices: { id: string }[] }[] } }>(PRODUCTS, {}, null);
  const price = products.nodes.flatMap(({ prices }) => prices)[0];
  if (!price) throw new Error('The catalogue sells no product in USD.');
  return price.id;
}

async function purchase(client: Client, { userId, token }: Shopper, priceId: string, round: string): Promise<Bought> {
  const startedAt = performance.now();
  let trouble: string | null = null;
  try {
    const input = { priceId, idempotencyKey: `${userId}-buys-in-the-${round}` };
    const answer = await client.ask<{ purchase: { transaction: { status: string } | null } & Payload }>(
      PURCHASE,
      { input },
      token,
    );
    const { transaction, userErrors } = answer.purchase;
    if (transaction?.status !== 'SUCCEEDED') trouble = `${transaction?.status} ${userErrors.map(({ code }) => code).join()}`;
  } catch (error) {
    trouble = error instanceof Error ? error.message : String(error);
  }
  return { tookMs: performance.now() - startedAt, trouble };
}

/** Every answer of the provider takes as long as over the internet. */
async function slowDown({ standInUrl }: RunningProduct): Promise<void> {
  const answer = await fetch(new URL('/sandbox/faults', standInUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ operation: '*', kind: 'slow', probability: 1, ms: PROVIDER_MS }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

/** One round of purchases: how long each took, how many there were a second, what each part used. */
async function timed(
  product: RunningProduct,
  round: (bought: Bought[]) => Promise<void>,
): Promise<{ bought: Bought[]; perSecond: number; cpuMs: Record<Part, number> }> {
  const bought: Bought[] = [];
  const before = await product.cpuMs();
  const startedAt = performance.now();
  await round(bought);
  const tookMs = performance.now() - startedAt;
  const after = await product.cpuMs();
  const cpuMs = { ...after };
  for (const part of PARTS) cpuMs[part] -= before[part];
  return { bought, perSecond: (bought.length / tookMs) * 1000, cpuMs };
}

/** Waits until the provider's webhooks have come and are applied: the next round is not to pay for the last one. */
async function quiet({ pool }: RunningProduct): Promise<void> {
  const limitMs = 300_000;
  const giveUpAt = performance.now() + limitMs;
  for (let calmLooks = 0; calmLooks < 3;) {
    const { rows } = await pool.query<{ left: number }>(
      `select (select count(*) from webhook_inbox where status = 'new')::int
        + (select count(*) from payment_attempt where next_action_at is not null)::int as left`,
    );
    calmLooks = rows[0]?.left === 0 ? calmLooks + 1 : 0;
    if (performance.now() > giveUpAt) throw new Error(`not quiet after ${limitMs / 1000} s`);
    await pause(300);
  }
}

/** How often the provider charged each user. */
async function chargesPerUser({ pool, standInUrl }: RunningProduct): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ user_id: string; object_id: string }>('select user_id, object_id from provider_customer');
  const userOf = new Map(rows.map((row) => [row.object_id, row.user_id]));
  const answer = await fetch(new URL('/sandbox/truth', standInUrl));
  const { charges } = (await answer.json()) as { charges: { customer: string; paid: boolean }[] };
  const counts = new Map<string, number>();
  for (const { customer } of charges.filter(({ paid }) => paid)) {
    const userId = userOf.get(customer) ?? customer;
    counts.set(userId, (counts.get(userId) ?? 0) + 1);
  }
  return counts;
}
