import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RefundDocument, TransactionDocument, ViewerDocument } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { newKey, startProduct, type Person, type Product } from '../support/product.js';
import { LossyWire } from './lossy-wire.js';

const wire = new LossyWire();
let product: Product;
beforeAll(async () => {
  product = await startProduct({ stripeBase: (port) => wire.lead(port) });
});
afterAll(async () => {
  await product.stop();
  await wire.close();
});

const MINUTE = 60_000;

async function customerId(person: Person): Promise<string | undefined> {
  const rows = await product.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    person.userId,
  ]);
  return rows[0]?.object_id;
}

/** Stands in the way at some moment; `reached` resolves with what clears the way when somebody has come to it. */
type Hold = (what: { path: string; table: string }) => Promise<{ reached: Promise<() => void | Promise<void>> }>;

const losing =
  (lost: 'request' | 'answer'): Hold =>
  async ({ path }) => ({ reached: wire.hold(path, lost) });

/** The decision is committed; whoever claims the row for sending waits in the database. */
const holdClaim: Hold = async ({ table }) => {
  const blocker = await product.db.ownerPool.connect();
  await blocker.query('select pg_advisory_lock(77)');
  await blocker.query(
    'create function hold_claim() returns trigger language plpgsql as $$begin perform pg_advisory_xact_lock(77); return new; end$$',
  );
  await blocker.query(`create trigger hold_claim before update on ${table} for each row execute function hold_claim()`);
  const clearTheWay = async (): Promise<void> => {
    await blocker.query('select pg_advisory_unlock(77)');
    await blocker.query('drop function hold_claim cascade');
    blocker.release();
  };
  const reached = eventually(async () => {
    const waiting = await blocker.query("select from pg_locks where locktype = 'advisory' and not granted");
    expect(waiting.rowCount).toBeGreaterThan(0);
    return clearTheWay;
  });
  return { reached };
};

const MOMENTS = [
  { when: "between Stripe's answer and ours", hold: losing('answer'), hasHappened: true },
  { when: 'before the request has left the machine', hold: losing('request'), hasHappened: false },
  { when: 'right after the decision is committed', hold: holdClaim, hasHappened: false },
];

async function kill(clearTheWay: () => void | Promise<void>): Promise<void> {
  await Promise.all([product.kill('gateway', 'SIGKILL'), product.kill('worker', 'SIGKILL')]);
  await clearTheWay();
  await Promise.all([product.start('gateway'), product.start('worker')]);
}

test.each(MOMENTS)(
  'a charge whose gateway and worker are killed $when is made and recorded once, and the customer is told',
  async ({ hold, hasHappened }) => {
    const ana = await product.person('ana');
    await ana.addCard();
    const feed = await ana.follow();
    // Stripe's own telling is lost too: what happened must be found out.
    for (const operation of ['payment_intent.succeeded', 'charge.succeeded'])
      await product.fault({ operation, kind: 'webhook_lose' });
    const { reached } = await hold({ path: '/v1/payment_intents', table: 'payment_attempt' });
    const idempotencyKey = newKey();
    const broken = ana.trySubscribe({ idempotencyKey }).then(
      () => 'answered',
      () => 'broken off',
    );
    const clearTheWay = await reached;
    const paidNow = async () => {
      const customer = await customerId(ana);
      return (await product.truth()).charges.filter((charge) => charge.customer === customer && charge.paid);
    };
    expect(await paidNow()).toHaveLength(hasHappened ? 1 : 0);
    await kill(clearTheWay);
    expect(await broken).toBe('broken off');

    const [row] = await product.query<{ id: string }>('select id from transaction where user_id = $1', [ana.userId]);
    expect(row).toBeDefined();
    await product.passUntil(() => expect(feed.statuses().at(-1)).toBe('SUCCEEDED'), MINUTE / 2, 10 * MINUTE);
    expect((await paidNow()).map(({ amount }) => amount)).toEqual([800]);
    const again = await ana.trySubscribe({ idempotencyKey });
    expect(again.extensions['idempotentReplay']).toBe(true);
    expect(again.data?.subscribe).toMatchObject({
      subscription: { status: 'ACTIVE' },
      transaction: { status: 'SUCCEEDED' },
      userErrors: [],
    });
    const { viewer } = await ana.get(ViewerDocument, {});
    expect(viewer?.currentSubscription?.status).toBe('ACTIVE');
    expect(await paidNow()).toHaveLength(1);
  },
);

test.each(MOMENTS)(
  'a refund whose gateway and worker are killed $when is made and recorded once, and the customer is told',
  async ({ hold, hasHappened }) => {
    const [ana, sue] = [await product.person('ana'), await product.person('sue', ['support'])];
    await ana.addCard();
    const { transaction } = await ana.subscribe();
    const chargeId = transaction?.id ?? '';
    const feed = await ana.follow();
    const input = {
      transactionId: chargeId,
      amount: { amountMinor: 300, currency: 'USD' },
      reason: 'REQUESTED' as const,
      idempotencyKey: newKey(),
    };
    for (const operation of ['refund.created', 'charge.refunded']) await product.fault({ operation, kind: 'webhook_lose' });
    const { reached } = await hold({ path: '/v1/refunds', table: 'refund' });
    const broken = sue.ask(RefundDocument, { input }).then(
      () => 'answered',
      () => 'broken off',
    );
    const clearTheWay = await reached;
    const refunded = async () => {
      const customer = await customerId(ana);
      return (await product.truth()).charges.find((charge) => charge.customer === customer)?.amount_refunded;
    };
    expect(await refunded()).toBe(hasHappened ? 300 : 0);
    await kill(clearTheWay);
    expect(await broken).toBe('broken off');

    await product.passUntil(() => expect(feed.statuses().at(-1)).toBe('SUCCEEDED'), MINUTE / 2, 10 * MINUTE);
    expect(await refunded()).toBe(300);
    const { refund: again } = await sue.get(RefundDocument, { input });
    expect(again).toMatchObject({
      refund: { status: 'SUCCEEDED' },
      original: { refundableAmount: { amountMinor: 500 } },
      userErrors: [],
    });
    const { transaction: charge } = await ana.get(TransactionDocument, { id: chargeId });
    expect(charge?.reversals.map(({ status, amount }) => [status, amount.amountMinor])).toEqual([['SUCCEEDED', 300]]);
    expect(await refunded()).toBe(300);
  },
);

test('after all this the books are sound, and the command that checks them says so', async () => {
  await product.expectSoundBooks();
  const command = spawn('npm', ['run', '-s', 'invariants'], { env: product.env, stdio: ['ignore', 'pipe', 'ignore'] });
  const [output, [code]] = await Promise.all([text(command.stdout), once(command, 'exit') as Promise<[number | null]>]);
  expect([code, output]).toEqual([0, expect.stringContaining('violations')]);
});
