import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { type PriceId, type TransactionId } from '../../src/domain/ids.js';
import { composeInvoice } from '../../src/domain/invoice/invoice.js';
import type { InvoiceLine } from '../../src/domain/invoice/line.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { keyBucket } from '../../src/platform/json.js';
import { loadProviderCustomer, lockCustomer } from '../../src/store/customers.store.js';
import { listMethods } from '../../src/store/payment-methods.store.js';
import { insertPurchase } from '../../src/store/subscriptions.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { beginPayment } from '../../src/usecases/begin-payment.js';
import { newId, own } from '../../src/usecases/cashier.js';
import type { Actor, RefundCommand } from '../../src/usecases/contract.js';
import { describedLine } from '../../src/usecases/issue-invoice.js';
import { numberDocuments } from '../../src/usecases/number-documents.js';
import { sendPayment } from '../../src/usecases/send-payment.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { eventually } from '../support/eventually.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

const HOUR = 3_600_000;

let world: World;
let product: PriceId;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld();
  product = (await priceId(world, { product: 'theme_pack' })) as PriceId;
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterEach(async () => {
  await world.clearFaults();
  await expectSoundBooks(world);
});
afterAll(async () => world.stop());

const buy = (actor: Actor, quantity = 1) =>
  world.commands.purchase(actor, {
    priceId: product,
    quantity,
    paymentMethodId: null,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

const subscribe = (actor: Actor) =>
  world.commands.subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

const refund = (transactionId: TransactionId, minor: bigint | null, more: Partial<RefundCommand> = {}) =>
  world.commands.refund(someStaff('finance'), {
    transactionId,
    amount: minor === null ? null : { minor, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
    ...more,
  });

/** Numbers of the invoices of some users, in the order in which the invoices were issued. */
async function numbersOf(...actors: Actor[]): Promise<(string | null)[]> {
  const rows = await world.query<{ number: string | null }>(
    'select number from invoice where user_id = any($1) order by finalized_at, id',
    [actors.map(({ userId }) => userId)],
  );
  return rows.map(({ number }) => number);
}

const after = (number: string | null | undefined, count: number): string =>
  `INV-${String(Number(number?.slice(4)) + count).padStart(8, '0')}`;

test('an invoice has the next number of its legal entity soon after it was issued, whatever became of it meanwhile (P8)', async () => {
  const [ana, ben] = [
    await withCard(world, someUser('ana')),
    await withCard(world, someUser('ben'), 'pm_card_chargeCustomerFail'),
  ];
  await subscribe(ana);
  await subscribe(ben);
  await buy(ana);
  expect(await numbersOf(ana, ben)).toEqual([null, null, null]);
  await world.work('documents');
  expect(await numbersOf(ana, ben)).toEqual(['INV-00000001', 'INV-00000002', 'INV-00000003']);
  const [voided] = await world.query('select status, number, legal_entity from invoice where user_id = $1', [ben.userId]);
  expect(voided).toEqual({ status: 'void', number: 'INV-00000002', legal_entity: 'Example Network Inc.' });
  await world.work('documents');
  await buy(ana);
  await world.work('documents');
  expect(await numbersOf(ana)).toEqual(['INV-00000001', 'INV-00000003', 'INV-00000004']);
});

test('workers that number at the same time, while invoices come, leave no gap and give no number twice', async () => {
  const buyers = await Promise.all(['cyd', 'dan', 'eve', 'fay'].map((name) => withCard(world, someUser(name))));
  const isAnyLeft = async (): Promise<boolean> => (await world.query('select from invoice where number is null')).length > 0;
  let isBuying = true;
  const buying = Promise.all(
    buyers.map(async (actor) => {
      for (let n = 0; n < 6; n++) await buy(actor);
    }),
  ).then(() => {
    isBuying = false;
  });
  const numbering = Array.from({ length: 4 }, async () => {
    while (isBuying || (await isAnyLeft())) await numberDocuments(world.worker, 2);
  });
  await Promise.all([buying, ...numbering]);
  const rows = await world.query<{ number: string }>('select number from invoice order by number');
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, at) => after('INV-00000000', at + 1)));
  expect(await world.query("select last from document_counter where kind = 'invoice'")).toEqual([{ last: BigInt(rows.length) }]);
});

test('an invoice that somebody is changing waits for the next turn, and holds up no other', async () => {
  const gus = await withCard(world, someUser('gus'));
  await buy(gus);
  await buy(gus);
  const [first] = await world.query<{ id: string }>('select id from invoice where user_id = $1 order by id', [gus.userId]);
  const client = await world.db.ownerPool.connect();
  try {
    await client.query('begin');
    await client.query('select from invoice where id = $1 for update', [first?.id]);
    await world.work('documents');
    const [waiting, numbered] = await numbersOf(gus);
    expect([waiting, numbered]).toEqual([null, expect.stringMatching(/^INV-/)]);
    await client.query('commit');
    await world.work('documents');
    expect(await numbersOf(gus)).toEqual([after(numbered, 1), numbered]);
  } finally {
    client.release();
  }
});

test('a worker that dies between the numbers and the counter leaves neither, and the next one gives the same numbers', async () => {
  const hal = await withCard(world, someUser('hal'));
  await buy(hal);
  await world.work('documents');
  const [last] = await numbersOf(hal);
  await buy(hal);
  await buy(hal);
  const client = new pg.Client(pgConfig(world.db.options));
  await client.connect();
  try {
    await client.query('begin');
    await client.query('lock table document_counter in share mode'); // reading and locking rows goes on, writing waits
    const dying = numberDocuments(world.worker, 10).then(
      () => 'done',
      () => 'died',
    );
    await eventually(async () => {
      const killed = await world.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and query like 'update document_counter%'`,
      );
      expect(killed).toHaveLength(1);
    });
    expect(await dying).toBe('died');
    expect(await numbersOf(hal)).toEqual([last, null, null]);
  } finally {
    await client.end();
  }
  await world.work('documents');
  expect(await numbersOf(hal)).toEqual([last, after(last, 1), after(last, 2)]);
});

/** A purchase of some lines, paid; lines of more than one rate of tax, which nothing on sale has. */
async function paidFor(actor: Actor, lines: InvoiceLine[]): Promise<{ transactionId: TransactionId; invoiceId: string }> {
  const { gateway } = world;
  const { userId } = actor;
  const bucket = keyBucket(userId);
  const ids = {
    purchase: newId(gateway, 'pur', bucket),
    invoice: newId(gateway, 'inv', bucket),
    transaction: newId(gateway, 'txn', bucket),
  };
  await inTx(gateway.tx, own(userId), async (uow) => {
    await lockCustomer(uow, userId);
    const [method] = await listMethods(uow, userId);
    const customerObjectId = await loadProviderCustomer(uow, userId, 1);
    if (!method || customerObjectId === null) throw new Error('a card is on file');
    await insertPurchase(uow, { id: ids.purchase, userId, priceId: product, quantity: 1 });
    await beginPayment(uow, gateway, {
      id: ids.invoice,
      intentId: newId(gateway, 'pin', bucket),
      transactionId: ids.transaction,
      userId,
      currency: 'USD',
      lines: lines.map((line, at) => ({ ...describedLine(line, `Line ${at + 1}`), covers: null })),
      sums: composeInvoice(lines, 'USD', 0n),
      for: { kind: 'purchase', purchaseId: ids.purchase },
      earnedOver: null,
      method,
      customerObjectId,
      returnUrl: gateway.defaultReturnUrl,
    });
  });
  await sendPayment(gateway, { id: ids.transaction, userId });
  return { transactionId: ids.transaction, invoiceId: ids.invoice };
}

const taxed = (netMinor: bigint, taxMinor: bigint, ratePpm: number): InvoiceLine => ({
  priceId: product,
  start: world.clock.now(),
  end: world.clock.now(),
  netMinor,
  discountMinor: 0n,
  taxMinor,
  ratePpm,
  taxBehavior: 'exclusive',
  isProration: false,
});

/** 10.00 with 19 % and 5.00 with 7 %: 17.25 in all. */
const twoRates = (): InvoiceLine[] => [taxed(1_000n, 190n, 190_000), taxed(500n, 35n, 70_000)];

/** What a merchant does in the provider's dashboard. */
async function refundByHand(transactionId: TransactionId, amount: number): Promise<void> {
  const [attempt] = await world.query<{ provider_object_id: string }>(
    'select provider_object_id from payment_attempt where id = $1',
    [transactionId],
  );
  await world.stripe.refunds.create({ payment_intent: attempt?.provider_object_id ?? '', amount });
}

async function notesOf(actor: Actor) {
  return world.query<{ position: number; net: bigint; tax: bigint; reason: string; number: string | null; canceled: boolean }>(
    `select position, net, tax, reason, number, canceled_at is not null as canceled from credit_note where user_id = $1
     order by id_time(id), refund_id, position`,
    [actor.userId],
  );
}

async function creditedOf(invoiceId: string): Promise<unknown[]> {
  return world.query('select credited, credited_tax from invoice_line where invoice_id = $1 order by position', [invoiceId]);
}

async function requested(refundId: string | null): Promise<Record<string, bigint>> {
  const rows = await world.query<{ leg: string; amount: bigint }>(
    "select leg, amount from ledger_movement where source_id = $1 and event = 'refund_requested' order by leg",
    [refundId],
  );
  return Object.fromEntries(rows.map(({ leg, amount }) => [leg, amount]));
}

test('a refund writes a credit note for each line, with the tax of the line, and the books take the same tax (F3, T4, M7)', async () => {
  const ivy = await withCard(world, someUser('ivy'));
  const { transactionId, invoiceId } = await paidFor(ivy, twoRates());
  const part = await refund(transactionId, 725n);
  // 7.25 over what is left, 11.90 and 5.35: 5.00 and 2.25, of which 19/119 and 7/107 are tax.
  const first = [
    { position: 1, net: 420n, tax: 80n, reason: 'requested', canceled: false },
    { position: 2, net: 210n, tax: 15n, reason: 'requested', canceled: false },
  ];
  expect(await notesOf(ivy)).toEqual(first.map((note) => ({ ...note, number: null })));
  expect(await creditedOf(invoiceId)).toEqual([
    { credited: 500n, credited_tax: 80n },
    { credited: 225n, credited_tax: 15n },
  ]);
  expect(await requested(part.refundId)).toEqual({ earned: 630n, tax: 95n });
  const rest = await refund(transactionId, null, { reason: 'service_failure' });
  expect(await requested(rest.refundId)).toEqual({ earned: 870n, tax: 130n });
  await world.work('documents');
  expect(await notesOf(ivy)).toEqual([
    { ...first[0], number: 'CRN-00000001' },
    { ...first[1], number: 'CRN-00000002' },
    { position: 1, net: 580n, tax: 110n, reason: 'service_failure', canceled: false, number: 'CRN-00000003' },
    { position: 2, net: 290n, tax: 20n, reason: 'service_failure', canceled: false, number: 'CRN-00000004' },
  ]);
  expect(await creditedOf(invoiceId)).toEqual([
    { credited: 1_190n, credited_tax: 190n },
    { credited: 535n, credited_tax: 35n },
  ]);
});

test('a refund of the duplicate of another charge has no credit note (F3, X4)', async () => {
  const jan = await withCard(world, someUser('jan'));
  const { transactionId, invoiceId } = await paidFor(jan, twoRates());
  const { refundId } = await refund(transactionId, 725n, { reason: 'duplicate' });
  expect(await notesOf(jan)).toEqual([]);
  expect(await creditedOf(invoiceId)).toEqual([
    { credited: 0n, credited_tax: 0n },
    { credited: 0n, credited_tax: 0n },
  ]);
  expect(await requested(refundId)).toEqual({ earned: 630n, tax: 95n });
});

test('a refund made at the provider by hand has its credit notes too', async () => {
  const kim = await withCard(world, someUser('kim'));
  const { transactionId } = await paidFor(kim, twoRates());
  await refundByHand(transactionId, 725);
  await world.receiveEvents();
  await world.work('webhooks', 'documents');
  expect(await notesOf(kim)).toMatchObject([
    { position: 1, net: 420n, tax: 80n, number: expect.stringMatching(/^CRN-/) },
    { position: 2, net: 210n, tax: 15n, number: expect.stringMatching(/^CRN-/) },
  ]);
});

test('the credit notes of a refund that the provider refused are never issued, and what they took is left of their lines', async () => {
  const lea = await withCard(world, someUser('lea'));
  const { transactionId, invoiceId } = await paidFor(lea, twoRates());
  await refundByHand(transactionId, 1_000);
  // Nothing was heard of it yet: more is asked for than the provider has left.
  const { refundId } = await refund(transactionId, null);
  expect(await world.query('select status from refund where id = $1', [refundId])).toEqual([{ status: 'canceled' }]);
  await world.work('documents');
  expect(await notesOf(lea)).toMatchObject([
    { net: 1_000n, tax: 190n, canceled: true, number: null },
    { net: 500n, tax: 35n, canceled: true, number: null },
  ]);
  expect(await creditedOf(invoiceId)).toEqual([
    { credited: 0n, credited_tax: 0n },
    { credited: 0n, credited_tax: 0n },
  ]);
  await world.receiveEvents();
  await world.work('webhooks', 'documents');
  const issued = (await notesOf(lea)).filter(({ canceled }) => !canceled);
  expect(issued.map(({ number }) => number)).toEqual([expect.stringMatching(/^CRN-/), expect.stringMatching(/^CRN-/)]);
  expect(issued.reduce((all, { net, tax }) => all + net + tax, 0n)).toBe(1_000n);
});

test('the credit notes of a refund whose answer was lost wait for their numbers until it is known', async () => {
  const mia = await withCard(world, someUser('mia'));
  const { transactionId } = await paidFor(mia, twoRates());
  await world.fault({ operation: 'refunds.create', kind: 'timeout_after' });
  await refund(transactionId, 725n);
  await world.work('documents');
  expect((await notesOf(mia)).map(({ number }) => number)).toEqual([null, null]);
  await world.clearFaults();
  await world.advance(HOUR);
  await world.work('refunds', 'documents');
  expect((await notesOf(mia)).map(({ number }) => number)).toEqual([
    expect.stringMatching(/^CRN-/),
    expect.stringMatching(/^CRN-/),
  ]);
});

test('a refund that failed became credit, so it can not be given again, and its credit notes stand (F2)', async () => {
  const nia = await withCard(world, someUser('nia'), 'pm_card_refundFail');
  const { transactionId, invoiceId } = await paidFor(nia, twoRates());
  const failed = await refund(transactionId, 1_000n);
  await world.advance(HOUR);
  await world.receiveEvents();
  await world.work('webhooks', 'documents');
  const [row] = await world.query('select status from refund where id = $1', [failed.refundId]);
  expect(row).toEqual({ status: 'failed' });
  expect(await world.query('select balance from customer_credit where user_id = $1', [nia.userId])).toEqual([
    { balance: 1_000n },
  ]);
  expect((await refund(transactionId, 1_000n)).refusals).toMatchObject([{ code: 'REFUND_EXCEEDS_CHARGE' }]);
  expect((await notesOf(nia)).map(({ number }) => number !== null)).toEqual([true, true]);
  const [line] = (await creditedOf(invoiceId)) as { credited: bigint }[];
  expect(line?.credited).toBeGreaterThan(0n);
  const rest = await refund(transactionId, null);
  expect(rest.refusals).toEqual([]);
  await world.advance(HOUR);
  await world.receiveEvents();
  await world.work('webhooks');
  expect(await world.query('select balance from customer_credit where user_id = $1', [nia.userId])).toEqual([
    { balance: 1_725n },
  ]);
  await expectBooksOfProvider(world);
});

test('a whole period whose refund was accepted and failed at once ends as one whose failure was told later', async () => {
  const oda = await withCard(world, someUser('oda'), 'pm_card_refundFail');
  const { transactionId } = await subscribe(oda);
  if (transactionId === null) throw new Error('paid');
  // Nobody hears of the refund before it has failed.
  await world.fault({ operation: 'refunds.create', kind: 'timeout_after' });
  await refund(transactionId, null);
  await world.clearFaults();
  await world.advance(HOUR);
  await world.receiveEvents();
  await world.work('webhooks');
  expect(await world.query('select status from refund where user_id = $1', [oda.userId])).toEqual([{ status: 'failed' }]);
  expect(await world.query('select status, end_reason from subscription where user_id = $1', [oda.userId])).toEqual([
    { status: 'canceled', end_reason: 'refunded' },
  ]);
});
