/** Everybody's period has just ended: how many renewals a second does one worker bill, charge and record, with the provider over HTTP? */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Bench, Finding } from './bench.js';
import { NO_WEBHOOKS } from '../src/sandbox/stripe/process.js';
import { withStripe, writeDueSubscriptions } from './due-subscriptions.js';
import { startProduct, type Part, type RunningProduct } from './running-product.js';

const PROVIDER_MS = 50;
const PARTS: readonly Part[] = ['gateway', 'database', 'stand-in', 'worker'];
const TELL_EVERY_MS = 2_000;
/** No progress for so long is the end: what a killed worker had sent is found out within two minutes. */
const STANDSTILL_MS = 150_000;
const LOOK_EVERY_MS = 500;
const NEARLY = 0.98;

/** The provider's events of the same payments, as the stand-in sends them: not at all, or as Stripe does. */
const EVENTS = [
  { name: 'without events', settings: { STRIPE_WEBHOOK_URL: NO_WEBHOOKS }, wantedPerSecond: 1_000 },
  { name: 'with events', settings: {}, wantedPerSecond: 700 },
] as const;

/** The bench. */
export const renewals: Bench = {
  name: 'renewals',
  size: { of: 'subscriptions', usual: 40_000 },
  question: `Many periods end at once: how many renewals a second go through one worker, with a provider that takes ${PROVIDER_MS} ms? First without the provider's events of the same payments, then with them.`,
  run: async (count, tell) => {
    const found: Finding = { ratios: [], figures: [], bounds: [] };
    for (const { name, settings, wantedPerSecond } of EVENTS) {
      tell(`Starting the product, ${name}.`);
      const product = await startProduct(settings);
      try {
        const { perSecond, figures, bounds } = await measure(product, count, tell);
        const told = <T extends { what: string }>(one: T): T => ({ ...one, what: `${one.what}, ${name}` });
        found.figures.push(...figures.map(told));
        found.bounds.push(...bounds.map(told), {
          what: `at least ${wantedPerSecond} renewals a second ${name}`,
          holds: perSecond >= wantedPerSecond,
        });
      } finally {
        await product.stop();
      }
    }
    return found;
  },
};

/** Writes so many subscriptions that are due and lets nothing be done about them, with a provider that takes its time. */
export async function prepareDue(product: RunningProduct, count: number, tell: (line: string) => void): Promise<void> {
  const { pool, standInUrl } = product;
  await stopRenewals(pool, true);
  tell(`Writing ${count} subscriptions that are due.`);
  await writeDueSubscriptions({
    pool,
    stripePort: Number(standInUrl.port),
    count,
    endsAt: new Date(Date.now() - 1_000),
    prefix: 'bench',
  });
  await fetch(new URL('/sandbox/faults', standInUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ operation: '*', kind: 'slow', probability: 1, ms: PROVIDER_MS }),
  });
}

/** How the provider's truth and our rows stand against what was due. */
export async function compareDue(product: RunningProduct, count: number): Promise<Finding['bounds']> {
  // The provider's slowness was for what was measured: a million charges are ten thousand pages.
  await fetch(new URL('/sandbox/faults', product.standInUrl), { method: 'DELETE' });
  const { charges, intents } = await paidAt(Number(product.standInUrl.port));
  const { rows } = await product.pool.query<{ advanced: number }>(
    `select count(*)::int as advanced from subscription where period_number = 1 and status = 'active'`,
  );
  return [
    { what: `${count} charges, and not one more`, holds: charges === count && intents === count },
    { what: `${count} periods advanced`, holds: rows[0]?.advanced === count },
  ];
}

/** How many charges were paid at the stand-in of Stripe, and of how many intents, by its own listing. */
async function paidAt(port: number): Promise<{ charges: number; intents: number }> {
  return withStripe(port, async (stripe) => {
    const intents = new Set<unknown>();
    let charges = 0;
    for await (const { paid, payment_intent: intent } of stripe.charges.list({ limit: 100 })) {
      if (!paid) continue;
      charges++;
      intents.add(intent);
    }
    return { charges, intents: intents.size };
  });
}

async function measure(
  product: RunningProduct,
  count: number,
  tell: (line: string) => void,
): Promise<Pick<Finding, 'figures' | 'bounds'> & { perSecond: number }> {
  const { pool } = product;
  await prepareDue(product, count, tell);
  tell('Letting renewals go.');
  const before = await product.cpuMs();
  const startedAt = performance.now();
  await stopRenewals(pool, false);
  await untilRenewed(pool, count, tell);
  const seconds = (performance.now() - startedAt) / 1_000;
  const after = await product.cpuMs();
  tell('Comparing with what the provider really did.');
  return {
    perSecond: count / seconds,
    figures: [
      { what: 'renewals', value: count / seconds, unit: '/s' },
      ...PARTS.map((part) => ({
        what: `a renewal in the ${part}`,
        value: ((after[part] - before[part]) * 1_000) / count,
        unit: 'us CPU' as const,
      })),
    ],
    bounds: await compareDue(product, count),
  };
}

/** The switch that holds every worker back. */
export async function stopRenewals(pool: pg.Pool, isStopped: boolean): Promise<void> {
  await pool.query(
    `insert into renewal_switch (provider_account_id, is_stopped, changed_by, changed_at) values (1, $1, 'bench', now())
     on conflict (provider_account_id) do update set is_stopped = excluded.is_stopped`,
    [isStopped],
  );
}

/** How many were sent; and once that is about all of them, how many are renewed: to count a million takes seconds of the machine. */
async function progressOf(pool: pg.Pool, count: number): Promise<{ sent: number; renewed: number | null }> {
  const { rows: charged } = await pool.query<{ sent: number }>('select coalesce(sum(charged), 0)::int as sent from renewal_hour');
  const sent = charged[0]?.sent ?? 0;
  // A worker that is killed between a claim and its count leaves a few out.
  if (sent < count * NEARLY) return { sent, renewed: null };
  const { rows } = await pool.query<{ renewed: number }>(
    'select count(*)::int as renewed from subscription where period_number = 1',
  );
  return { sent, renewed: rows[0]?.renewed ?? 0 };
}

/** Waits until all are renewed. @throws Error when nothing moves any more */
export async function untilRenewed(pool: pg.Pool, count: number, tell: (line: string) => void): Promise<void> {
  let last = { done: 0, isSent: false, at: performance.now() };
  for (;;) {
    const { sent, renewed } = await progressOf(pool, count);
    if (renewed === count) return;
    const now = performance.now();
    const isSent = renewed !== null;
    const done = renewed ?? sent;
    const seconds = (now - last.at) / 1_000;
    if (isSent !== last.isSent) last = { done, isSent, at: now };
    else if (done > last.done && now - last.at >= TELL_EVERY_MS) {
      tell(`${done} of ${count} ${isSent ? 'renewed' : 'sent'}, ${Math.round((done - last.done) / seconds)}/s`);
      last = { done, isSent, at: now };
    } else if (now - last.at > STANDSTILL_MS)
      throw new Error(`Nothing was renewed for ${STANDSTILL_MS / 1_000} s; ${done} of ${count} were.`);
    await pause(LOOK_EVERY_MS);
  }
}
