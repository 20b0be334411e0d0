/** Four workers renew what is due and one of them is killed every five seconds, over and over. A million: `npm run bench -- renewals-killed`. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeDueSubscriptions } from '../../bench/due-subscriptions.js';
import { NO_WEBHOOKS } from '../../src/sandbox/stripe/process.js';
import { startProduct, type ProcessName, type Product } from '../support/product.js';

const DUE = 20_000;
const WORKERS: readonly ProcessName[] = ['worker', 'worker2', 'worker3', 'worker4'];
const KILL_EVERY_MS = 5_000;
const LIMIT_MS = 300_000;

let product: Product;
beforeAll(async () => {
  // Four workers share the machine's processors: with more connections each, more of them are cold.
  product = await startProduct({ settings: { STRIPE_WEBHOOK_URL: NO_WEBHOOKS, DATABASE_POOL: '3' } });
  await product.kill('worker');
  await writeDueSubscriptions({
    pool: product.db.ownerPool,
    stripePort: Number(new URL(product.standInUrl).port),
    count: DUE,
    endsAt: new Date(Date.now() - 1_000),
    prefix: 'due',
  });
}, LIMIT_MS);
afterAll(async () => product.stop());

/** Kills one worker after another, and starts each again, until it is told to stop. */
async function killInTurn(isOver: Promise<void>): Promise<number> {
  for (let kills = 0; ; kills++) {
    const name = WORKERS[kills % WORKERS.length];
    if (name === undefined || (await Promise.race([pause(KILL_EVERY_MS, false), isOver.then(() => true)]))) return kills;
    await product.kill(name);
    await product.start(name);
  }
}

async function renewed(): Promise<number> {
  const [row] = await product.query<{ done: number }>(
    "select count(*)::int as done from subscription where period_number = 1 and status = 'active'",
  );
  return row?.done ?? 0;
}

test(
  'twenty thousand renewals are each charged once, and each moves on by one period, though a worker is killed every five seconds',
  async () => {
    const over = Promise.withResolvers<void>();
    await Promise.all(WORKERS.map((name) => product.start(name)));
    const killing = killInTurn(over.promise);
    try {
      const giveUpAt = Date.now() + LIMIT_MS;
      while ((await renewed()) < DUE) {
        if (Date.now() > giveUpAt) throw new Error(`${await renewed()} of ${DUE} were renewed`);
        await pause(500);
      }
    } finally {
      over.resolve();
    }
    expect(await killing).toBeGreaterThan(1);
    const paid = (await product.truth()).charges.filter((charge) => charge.paid);
    expect([paid.length, new Set(paid.map((charge) => charge.payment_intent)).size]).toEqual([DUE, DUE]);
    expect(await renewed()).toBe(DUE);
    await product.expectSoundBooks();
  },
  2 * LIMIT_MS,
);
