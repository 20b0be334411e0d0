/** Subscriptions whose period has just ended, with customers and cards at the provider: as many as one likes, written straight into the tables. */
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type pg from 'pg';
import Stripe from 'stripe';
import { makeId } from '../src/domain/ids.js';
import { anchorLocalOf, boundary } from '../src/domain/time/periods.js';
import { keyBucket } from '../src/platform/json.js';
import { eachAtMost } from '../src/platform/repeat.js';

/** Rows written by one statement. */
const PORTION = 5_000;
const ACCOUNT = 1;
const DAY = 86_400_000;

/** Where they are written, and how they stand. */
export interface DueOptions {
  /** As the owner of the tables. */
  pool: pg.Pool;
  count: number;
  /** Their period ended then, or up to three days before. */
  endsAt: Date;
  /** Begins each user's id. */
  prefix: string;
}

/** Writes them; each has a period that was paid elsewhere, so the books begin here. */
export async function writeDueSubscriptions(
  options: DueOptions & { /** The stand-in of Stripe. */ stripePort: number },
): Promise<void> {
  const { count, prefix } = options;
  const inBucket = new Map<number, number>();
  for (let nth = 0; nth < count; nth++) {
    const bucket = keyBucket(`${prefix}-${nth}`);
    inBucket.set(bucket, (inBucket.get(bucket) ?? 0) + 1);
  }
  const { customer, methods } = await cardsAt(options.stripePort, Math.max(...inBucket.values()));
  const usedIn = new Map<number, number>();
  const methodOf = (bucket: number): string => {
    const nth = usedIn.get(bucket) ?? 0;
    usedIn.set(bucket, nth + 1);
    return methods[nth] ?? '';
  };
  await writeDueRows({ ...options, customer, methodOf });
  await analyzeDue(options.pool);
}

/** The same with a customer and methods at the provider of one's own choice, without looking at the tables afterwards. */
export async function writeDueRows(
  options: DueOptions & { customer: string; methodOf: (bucket: number) => string },
): Promise<void> {
  const { pool, count, endsAt, prefix, customer, methodOf } = options;
  const { rows } = await pool.query<{ price: string; tier: string; tier_group: string }>(
    `select p.id as price, t.id as tier, t.tier_group from price p join tier t on t.id = p.tier_id
     where t.key = 'premium' and p.interval_unit = 'month' and p.currency = 'USD'`,
  );
  const [price] = rows;
  if (!price) throw new Error('The catalogue has no monthly premium in USD.');
  // No month is longer than 31 days: whatever the anchor, its first month is over.
  const startsAt = new Date(Math.floor((endsAt.getTime() - 31 * DAY) / 1_000) * 1_000);
  const anchorLocal = anchorLocalOf(startsAt, 'UTC');
  const dueAt = boundary({ anchorLocal, zone: 'UTC', unit: 'month', count: 1, n: 1 });
  for (let first = 0; first < count; first += PORTION) {
    const portion = Array.from({ length: Math.min(PORTION, count - first) }, (_, nth) => `${prefix}-${first + nth}`);
    const buckets = portion.map(keyBucket);
    const idsOf = (kind: 'sub' | 'pm'): string[] =>
      buckets.map((bucket) => makeId(kind, bucket, startsAt.getTime(), randomBytes(8)));
    const [subscriptions, cards] = [idsOf('sub'), idsOf('pm')];
    const tokens = buckets.map(methodOf);
    await pool.query('insert into customer (bucket, user_id) select * from unnest($1::smallint[], $2::text[])', [
      buckets,
      portion,
    ]);
    await pool.query(
      'insert into provider_customer (bucket, user_id, provider_account_id, object_id) select b, u, $3, $4 from unnest($1::smallint[], $2::text[]) k (b, u)',
      [buckets, portion, ACCOUNT, customer],
    );
    await pool.query(
      `insert into payment_method (bucket, id, user_id, kind, status, provider_account_id, provider_object_id, brand, last4)
       select b, i, u, 'card', 'active', $5, o, 'visa', '4242' from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[]) k (b, i, u, o)`,
      [buckets, cards, portion, tokens, ACCOUNT],
    );
    await pool.query(
      `insert into subscription (bucket, id, user_id, tier_group, tier_id, price_id, payment_method_id, status, anchor_local, zone, period_start,
         period_end, entitled_until, next_action_at)
       select b, s, u, $5, $6, $7, p, 'active', $10, 'UTC', $8, $9, $9::timestamptz + interval '6 hours', $9
       from unnest($1::smallint[], $2::uuid[], $3::text[], $4::uuid[]) k (b, s, u, p)`,
      [buckets, subscriptions, portion, cards, price.tier_group, price.tier, price.price, startsAt, dueAt, anchorLocal],
    );
    await pool.query(
      `insert into subscription_event (bucket, subscription_id, version, user_id, kind, status, cause, at)
       select b, s, 0, u, 'created', 'active', 'user', $4 from unnest($1::smallint[], $2::uuid[], $3::text[]) k (b, s, u)`,
      [buckets, subscriptions, portion, startsAt],
    );
  }
}

/** Tells the planner of them, as autovacuum does within a minute. */
export async function analyzeDue(pool: pg.Pool): Promise<void> {
  await pool.query('analyze customer, provider_customer, payment_method, subscription');
}

/** One customer with so many cards: within a bucket no two of our methods may be one of the provider's. */
async function cardsAt(port: number, count: number): Promise<{ customer: string; methods: string[] }> {
  return withStripe(port, async (stripe) => {
    const customer = await stripe.customers.create();
    const methods: string[] = [];
    await eachAtMost(Array.from({ length: count }), 8, async () => {
      methods.push((await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id })).id);
    });
    return { customer: customer.id, methods };
  });
}

/** Asks the stand-in of Stripe on a port by the official client, over connections that stay open until the work is done. */
export async function withStripe<T>(port: number, work: (stripe: Stripe) => Promise<T>): Promise<T> {
  const agent = new http.Agent({ keepAlive: true });
  try {
    return await work(
      new Stripe('sk_test_sandbox', { host: '127.0.0.1', port, protocol: 'http', httpAgent: agent, telemetry: false }),
    );
  } finally {
    agent.destroy();
  }
}
