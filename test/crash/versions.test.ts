import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import {
  changeAttempt,
  changeDispute,
  changeIntent,
  changeRefund,
  changeTransaction,
  insertDispute,
  loadAttempt,
  loadIntent,
  loadRefund,
  loadTransaction,
} from '../../src/store/payments.store.js';
import { closeInvoice } from '../../src/store/invoices.store.js';
import { changeSubscription, loadSubscription } from '../../src/store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../../src/store/unit-of-work.js';
import type { Actor } from '../../src/usecases/contract.js';
import { newId, own } from '../../src/usecases/cashier.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

let world: World;
let ana: Actor;
let charge: TransactionId;
let refund: TransactionId;
let subscription: string;

beforeAll(async () => {
  world = await startWorld();
  ana = await withCard(world, someUser('ana'));
  const sold = await world.commands.subscribe(ana, {
    priceId: (await priceId(world, { tier: 'premium' })) as PriceId,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (sold.transactionId === null || sold.subscriptionId === null) throw new Error('nothing was sold');
  [charge, subscription] = [sold.transactionId, sold.subscriptionId];
  const asked = await world.commands.refund(someStaff('support'), {
    transactionId: charge,
    amount: { minor: 100n, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  if (asked.refundId === null) throw new Error('nothing was refunded');
  refund = asked.refundId;
});
afterAll(async () => world.stop());

const unit = <T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> => inTx(world.worker.tx, own(ana.userId), work);

function there<T>(row: T | null): T {
  if (row === null) throw new Error('the row is not there');
  return row;
}

/** Changes a row twice as it was read once, each time in a unit of work of its own; what each answered. */
async function twice<Row>(
  read: (uow: UnitOfWork) => Promise<Row | null>,
  change: (uow: UnitOfWork, row: Row) => Promise<unknown>,
): Promise<[unknown, unknown]> {
  const row = there(await unit(read));
  return [await unit((uow) => change(uow, row)), await unit((uow) => change(uow, row)).catch((error: Error) => error.message)];
}

/** The store's changes, each of which leaves the books as they are, and what the second of two learns. */
const CHANGES: { table: string; learns: unknown; change: () => Promise<[unknown, unknown]> }[] = [
  {
    table: 'payment_attempt',
    learns: false,
    change: () =>
      twice(
        (uow) => loadAttempt(uow, charge),
        (uow, row) => changeAttempt(uow, row, { probes: row.probes + 1 }),
      ),
  },
  {
    table: 'refund',
    learns: false,
    change: () =>
      twice(
        (uow) => loadRefund(uow, refund),
        (uow, row) => changeRefund(uow, row, { probes: row.probes + 1 }),
      ),
  },
  {
    table: 'payment_intent',
    learns: 'an intent changes together with its attempt',
    change: () =>
      twice(
        async (uow) => loadIntent(uow, there(await loadAttempt(uow, charge)).paymentIntentId),
        (uow, row) => changeIntent(uow, row, { status: 'succeeded' }),
      ),
  },
  {
    table: 'transaction',
    learns: 'a transaction changes only under its customer lock',
    change: () =>
      twice(
        (uow) => loadTransaction(uow, charge),
        (uow, row) => changeTransaction(uow, row, { status: 'succeeded', cause: 'provider_event' }),
      ),
  },
  {
    table: 'subscription',
    learns: 'a subscription changes only under its customer lock',
    change: () =>
      twice(
        (uow) => loadSubscription(uow, subscription),
        (uow, row) => changeSubscription(uow, row, { kind: 'resumed', cause: 'user', set: { status: 'active' } }),
      ),
  },
  {
    table: 'dispute',
    learns: 'a dispute changes only under its customer lock',
    change: () =>
      twice(
        async (uow) => {
          const disputed = there(await loadTransaction(uow, charge));
          return insertDispute(uow, {
            id: newId(world.worker, 'txn', disputed.bucket),
            charge: disputed,
            providerObjectId: 'du_versions',
            amountMinor: 100n,
            reason: null,
            evidenceDueAt: null,
            status: 'inquiry',
          });
        },
        (uow, row) => changeDispute(uow, row, { status: 'inquiry' }),
      ),
  },
];

/** Changes so far of all rows of a table. */
async function changesOf(table: string): Promise<number> {
  const [row] = await world.query<{ n: number }>(`select coalesce(sum(version), 0)::int as n from ${table}`);
  return row?.n ?? -1;
}

test.each(CHANGES)(
  'a $table that has moved since it was read is not changed again, and who comes second learns it',
  async ({ table, learns, change }) => {
    const before = await changesOf(table);
    const [, second] = await change();
    expect(second).toEqual(typeof learns === 'string' ? expect.stringContaining(learns) : learns);
    expect(await changesOf(table)).toBe(before + 1);
  },
);

test('an invoice that is paid is not voided by whoever comes late', async () => {
  const [invoice] = await world.query<{ id: string }>('select id from invoice where user_id = $1', [ana.userId]);
  await unit((uow) => closeInvoice(uow, invoice?.id ?? '', 'void'));
  expect(await world.query('select status from invoice where user_id = $1', [ana.userId])).toEqual([{ status: 'paid' }]);
});

test('after all this the books are sound', async () => {
  await expectSoundBooks(world);
});
