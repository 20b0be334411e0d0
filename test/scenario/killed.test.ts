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
  const [blocker, lock] = [await product.db.ownerPool.connect(), table === 'refund' ? 77 : 78];
  await blocker.query(`select pg_advisory_lock(${lock})`);
  await blocker.query(
    `create function hold_${table}() returns trigger language plpgsql as $$begin perform pg_advisory_xact_lock(${lock}); return new; end$$`,
  );
  await blocker.query(`create trigger hold_claim before update on ${table} for each row execute function hold_${table}()`);
  const clearTheWay = async (): Promise<void> => {
    await blocker.query(`select pg_advisory_unlock(${lock})`);
    await blocker.query(`drop function hold_${table} cascade`);
    blocker.release();
  };
  const reached = eventually(async () => {
    const waiting = await blocker.query("select from pg_locks where locktype = 'advisory' and objid = $1 and not granted", [
      lock,
    ]);
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

test.each(MOMENTS)(
  'a charge and a refund whose gateway and worker are killed $when are made and recorded once, and the customers are told',
  async ({ hold, hasHappened }) => {
    const [ana, bob, sue] = [await product.person('ana'), await product.person('bob'), await product.person('sue', ['support'])];
    await Promise.all([ana.addCard(), bob.addCard()]);
    const { transaction } = await bob.subscribe();
    const chargeId = transaction?.id ?? '';
    const [feedOfAna, feedOfBob] = [await ana.follow(), await bob.follow()];
    // Stripe's own telling is lost too: what happened must be found out.
    for (const operation of ['payment_intent.succeeded', 'charge.succeeded', 'refund.created', 'charge.refunded'])
      await product.fault({ operation, kind: 'webhook_lose' });
    const brokenOff = async (asked: Promise<unknown>): Promise<string> =>
      asked.then(
        () => 'answered',
        () => 'broken off',
      );

    const charge = await hold({ path: '/v1/payment_intents', table: 'payment_attempt' });
    const idempotencyKey = newKey();
    const subscribed = brokenOff(ana.trySubscribe({ idempotencyKey }));
    const clearCharge = await charge.reached;
    const refund = await hold({ path: '/v1/refunds', table: 'refund' });
    const amount = { amountMinor: 300, currency: 'USD' };
    const input = { transactionId: chargeId, amount, reason: 'REQUESTED' as const, idempotencyKey: newKey() };
    const refunded = brokenOff(sue.ask(RefundDocument, { input }));
    const clearRefund = await refund.reached;
    const chargesOf = async (person: Person) => {
      const customer = await customerId(person);
      return (await product.truth()).charges.filter((one) => one.customer === customer && one.paid);
    };
    expect(await chargesOf(ana)).toHaveLength(hasHappened ? 1 : 0);
    expect((await chargesOf(bob)).map(({ amount_refunded }) => amount_refunded)).toEqual([hasHappened ? 300 : 0]);

    await Promise.all([product.kill('gateway', 'SIGKILL'), product.kill('worker', 'SIGKILL')]);
    await clearCharge();
    await clearRefund();
    await Promise.all([product.start('gateway'), product.start('worker')]);
    expect([await subscribed, await refunded]).toEqual(['broken off', 'broken off']);

    const [row] = await product.query<{ id: string }>('select id from transaction where user_id = $1', [ana.userId]);
    expect(row).toBeDefined();
    const told = () => [feedOfAna.statuses().at(-1), feedOfBob.statuses().at(-1)];
    await product.passUntil(() => expect(told()).toEqual(['SUCCEEDED', 'SUCCEEDED']), MINUTE / 2, 10 * MINUTE);
    expect((await chargesOf(ana)).map((one) => one.amount)).toEqual([800]);
    expect((await chargesOf(bob)).map(({ amount_refunded }) => amount_refunded)).toEqual([300]);

    const again = await ana.trySubscribe({ idempotencyKey });
    expect(again.extensions['idempotentReplay']).toBe(true);
    expect(again.data?.subscribe).toMatchObject({
      subscription: { status: 'ACTIVE' },
      transaction: { status: 'SUCCEEDED' },
      userErrors: [],
    });
    const { viewer } = await ana.get(ViewerDocument, {});
    expect(viewer?.currentSubscription?.status).toBe('ACTIVE');
    const { refund: refundAgain } = await sue.get(RefundDocument, { input });
    expect(refundAgain).toMatchObject({
      refund: { status: 'SUCCEEDED' },
      original: { refundableAmount: { amountMinor: 500 } },
      userErrors: [],
    });
    const { transaction: original } = await bob.get(TransactionDocument, { id: chargeId });
    expect(original?.reversals.map(({ status, amount: back }) => [status, back.amountMinor])).toEqual([['SUCCEEDED', 300]]);
    expect(await chargesOf(ana)).toHaveLength(1);
    expect((await chargesOf(bob)).map(({ amount_refunded }) => amount_refunded)).toEqual([300]);
  },
);

test('after all this the books are sound, and the command that checks them says so', async () => {
  await product.expectSoundBooks();
  const command = spawn('npm', ['run', '-s', 'invariants'], { env: product.env, stdio: ['ignore', 'pipe', 'ignore'] });
  const [output, [code]] = await Promise.all([text(command.stdout), once(command, 'exit') as Promise<[number | null]>]);
  expect([code, output]).toEqual([0, expect.stringContaining('violations')]);
});
