import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { orphanReceipt, refundSettled } from '../../src/domain/ledger/journals.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { checkInvariants, parseInvariants, type InvariantResult } from '../../src/store/invariants.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { Books, type Sale } from './books.js';

const INVARIANTS = parseInvariants(readFileSync('data/invariants.sql', 'utf8'));
const HOUR = 3_600_000;

let database: TestDatabase;
let client: pg.Client;
let books: Books;
let sales: Awaited<ReturnType<typeof writeSales>>;
let refund: string;

beforeAll(async () => {
  database = await testDatabase();
  client = new pg.Client(pgConfig(database.options));
  await client.connect();
  const now = new Date();
  const catalogue = readCatalogue(readFileSync('data/catalogue.json', 'utf8'));
  await publishCatalogue(client, catalogue, now);
  const tier = catalogue.tiers.find(({ key }) => key === 'premium');
  books = new Books(client, now, {
    tierId: tier?.id ?? '',
    tierPriceId: tier?.prices[0]?.id ?? '',
    productPriceId: catalogue.products[0]?.prices[0]?.id ?? '',
  });
  for (const user of ['ana', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus']) await books.customer(user);
  sales = await writeSales();
  refund = await books.refund(sales.refunded, 400n);
});

/** Paid at once; paid after an action, by webhook; half given back; bought once; disputed; declined; waiting for an action. */
async function writeSales() {
  const paidBy = async (user: string, kind: 'period' | 'purchase'): Promise<Sale> => {
    const sale = await books.begin(user, kind);
    await books.succeed(sale);
    return sale;
  };
  const clicked = await books.begin('bob', 'period');
  await books.requireAction(clicked);
  await books.webhook(clicked);
  await books.succeed(clicked, 'requires_action', 2);
  const disputed = await paidBy('eve', 'period');
  await books.dispute(disputed);
  const declined = await books.begin('fay', 'period');
  await books.decline(declined);
  const waiting = await books.begin('gus', 'period');
  await books.requireAction(waiting);
  return {
    paid: await paidBy('ana', 'period'),
    clicked,
    refunded: await paidBy('cyd', 'period'),
    bought: await paidBy('dan', 'purchase'),
    disputed,
    declined,
    waiting,
  };
}

afterAll(async () => {
  await client?.end();
  await database?.drop();
});

async function checkedNow(): Promise<InvariantResult[]> {
  return await checkInvariants(client, INVARIANTS, books.now);
}

/** Runs in a transaction that is thrown away, without triggers and foreign keys. */
async function thrownAway<T>(run: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    await client.query('set local session_replication_role = replica');
    return await run();
  } finally {
    await client.query('rollback');
  }
}

test('books of customers in every kind of situation violate nothing', async () => {
  const results = await thrownAway(checkedNow);
  expect(results.filter((result) => result.kind === 'checked' && result.violations > 0)).toEqual([]);
});

test('only the queries about tables that come later are left out', async () => {
  const results = await thrownAway(checkedNow);
  const missing = results.filter((result) => result.kind === 'no_table').map((result) => result.name.slice(0, 3));
  expect(missing).toEqual(['i32', 'i33', 'i34', 'i35', 'i36', 'i37']);
});

/** How each invariant can be broken by somebody who may do anything to the tables. */
const PLANTS: Record<string, () => Promise<unknown>> = {
  i01_known_movement: () => movement({ event: 'payment_succeeded', debit_account_id: 84_005, credit_account_id: 84_040 }),
  i02_trial_balance: () => balance(84_001, 5n),
  i03_rollup_exact: async () => {
    await balance(84_001, 5n);
    await balance(84_040, -5n);
  },
  i04_undo_mirrors: () =>
    movement({ event: 'refund_requested', leg: 'undo:unearned', debit_account_id: 84_023, credit_account_id: 84_020 }),
  i05_one_live_intent: async () => {
    await client.query('drop index payment_intent_one_live');
    await copy('payment_intent', sales.paid.intent, { id: books.id('pin', 'ana') });
  },
  i06_one_open_attempt: async () => {
    await client.query('drop index payment_attempt_one_open, payment_attempt_charge');
    await copy('payment_attempt', sales.paid.attempt, {
      id: books.id('txn', 'ana'),
      number: 2,
      idempotency_key: 'att:local:second',
    });
  },
  i07_charged_once: () => copy('transaction', sales.paid.attempt, { id: books.id('txn', 'ana') }),
  i08_provider_charged_once: () =>
    books.record('ana', { kind: 'charge', object_id: 'ch_second', our_ref: sales.paid.intent, gross: 800n, fee: 0n }),
  i09_attempt_equals_intent: () => books.set('payment_intent', sales.paid.intent, { amount: 801 }),
  i10_transaction_mirrors: () => books.set('transaction', sales.paid.attempt, { status: 'failed' }),
  i11_intent_mirrors_attempt: () => books.set('payment_intent', sales.paid.intent, { status: 'in_flight' }),
  i12_sent_is_fenced: async () => {
    await dropChecks('payment_attempt');
    await books.set('payment_attempt', sales.paid.attempt, { key_valid_until: null });
  },
  i13_unknown_ends: () =>
    books.set('payment_attempt', sales.waiting.attempt, {
      status: 'unknown',
      sent_at: books.at(-20 * HOUR),
      key_valid_until: books.at(3 * HOUR),
    }),
  i14_work_moves: () => books.set('payment_attempt', sales.waiting.attempt, { next_action_at: books.at(-2 * HOUR) }),
  i15_cancel_needs_provider: () =>
    books.set('payment_attempt', sales.waiting.attempt, { status: 'canceled', next_action_at: null, provider_object_id: null }),
  i16_invoice_receivable: () => books.set('invoice', sales.paid.invoice, { status: 'open' }),
  i17_paid_has_reason: () => books.set('payment_intent', sales.paid.intent, { status: 'failed' }),
  i18_charge_posted_once: () =>
    client.query(`delete from ledger_movement where source_id = $1 and event = 'payment_succeeded'`, [sales.paid.attempt]),
  i19_posting_has_fact: () => books.post(books.id('txn', 'ana'), refundSettled(1n, 'USD'), 'ana', null),
  i20_refund_cap: () => books.set('refund', refund, { amount: 801 }),
  i21_returned_cap: () =>
    copy('refund', refund, {
      id: books.id('txn', 'eve'),
      bucket: books.bucket('eve'),
      user_id: 'eve',
      payment_attempt_id: sales.disputed.attempt,
      provider_object_id: 're_second',
      idempotency_key: 'ref:local:second',
    }),
  i22_refunds_payable_tie: () => books.set('refund', refund, { status: 'sent', next_action_at: books.at(HOUR) }),
  i23_disputes_held_tie: () =>
    client.query(`update dispute set status = 'won' where payment_attempt_id = $1`, [sales.disputed.attempt]),
  i24_credit_tie: () =>
    books.put('customer_credit', { bucket: books.bucket('ana'), user_id: 'ana', currency: 'USD', balance: 5 }),
  i25_deferred_tie: () =>
    client.query('update revenue_schedule set net = net + 1 where invoice_id = $1 and stopped_on is null', [sales.paid.invoice]),
  i26_revenue_days_complete: () =>
    client.query('update revenue_schedule set starts_on = starts_on - 3 where invoice_id = $1', [sales.paid.invoice]),
  i27_invoices_do_not_overlap: () => copy('invoice', sales.paid.invoice, { id: books.id('inv', 'ana'), period_number: 1 }),
  i28_access_is_paid: async () => {
    await books.set('invoice', sales.paid.invoice, { status: 'void' });
    await books.set('payment_intent', sales.paid.intent, { status: 'failed' });
  },
  i29_inbox_drains: () => {
    const old = books.id('whe', `evt_${sales.clicked.attempt}`, books.at(-HOUR));
    return client.query(`update webhook_inbox set id = $1, status = 'new'`, [old]);
  },
  i30_client_key_settles: () =>
    client.query(`update idempotency_key set result_id = $2 where user_id = $1`, ['ana', books.id('sub', 'ana')]),
  i31_feed_complete: () => client.query(`delete from feed_entry where user_id = 'bob' and seq = 2`),
  i38_fee_posted: () =>
    client.query('update provider_record set fee = fee + 1, net = net - 1 where matched_id = $1', [sales.paid.attempt]),
  i39_suspense_owned: () => books.post(books.id('txn', 'ana'), orphanReceipt(1n, 'USD'), null, null),
  i40_closed_with_reason: () =>
    books.put('recon_finding', {
      bucket: books.bucket('ana'),
      id: books.id('txn', 'ana'),
      provider_account_id: 1,
      day: '2026-01-01',
      kind: 'amount',
      severity: 1,
      status: 'resolved',
    }),
  i41_one_owner: () => books.set('payment_intent', sales.paid.intent, { user_id: 'bob' }),
  i42_lines_make_the_invoice: () => books.set('invoice', sales.bought.invoice, { net: 801 }),
  i43_numbers_have_no_gap: async () => {
    await books.put('document_counter', { legal_entity: 'Example Network Inc.', kind: 'invoice', last: 2 });
    await books.set('invoice', sales.paid.invoice, { number: 'INV-00000002', legal_entity: 'Example Network Inc.' });
  },
  i44_documents_are_numbered: () => books.set('invoice', sales.paid.invoice, { finalized_at: books.at(-2 * HOUR) }),
  i45_notes_are_credited: () =>
    books.put('credit_note', {
      bucket: books.bucket('cyd'),
      id: books.id('txn', 'cyd'),
      user_id: 'cyd',
      invoice_id: sales.refunded.invoice,
      position: 1,
      net: 400,
      tax: 0,
      reason: 'requested',
      refund_id: refund,
    }),
  i46_coupon_counted: () => client.query('update coupon_usage set redeemed = redeemed + 1'),
};

test('there is a way to break each invariant that this release can check', async () => {
  const results = await thrownAway(checkedNow);
  const checked = results.filter((result) => result.kind === 'checked').map((result) => result.name);
  expect(Object.keys(PLANTS)).toEqual(checked);
});

test.each(Object.keys(PLANTS))('%s is found when it is broken', async (name) => {
  const results = await thrownAway(async () => {
    await PLANTS[name]?.();
    return await checkedNow();
  });
  const result = results.find((candidate) => candidate.name === name);
  if (result?.kind !== 'checked') throw new Error(`${name} was not checked.`);
  expect(result.violations).toBeGreaterThan(0);
  expect(result.examples.length).toBe(Math.min(result.violations, 5));
});

test.each<[string, string[], number]>([
  ['a gap', ['INV-00000001', 'INV-00000003'], 3],
  ['a double', ['INV-00000001', 'INV-00000001'], 2],
  ['a number beyond the counter', ['INV-00000001', 'INV-00000002'], 1],
  ['a counter beyond the numbers', ['INV-00000001', 'INV-00000002'], 3],
  ['a number of another form', ['INV-00000001', 'INV-2'], 2],
])('%s in the numbers of invoices is found', async (_, numbers, last) => {
  const results = await thrownAway(async () => {
    await books.put('document_counter', { legal_entity: 'Example Network Inc.', kind: 'invoice', last });
    for (const [index, invoice] of [sales.paid.invoice, sales.bought.invoice].entries())
      await books.set('invoice', invoice, { number: numbers[index], legal_entity: 'Example Network Inc.' });
    return await checkedNow();
  });
  expect(results.find(({ name }) => name === 'i43_numbers_have_no_gap')).toMatchObject({ violations: 1 });
});

test('the role that checks sees all rows and can change none', async () => {
  await client.query('begin');
  try {
    await checkedNow();
    const { rows } = await client.query<{ count: number }>('select count(*)::int from customer');
    expect(rows[0]?.count).toBe(7);
    await expect(client.query('delete from customer')).rejects.toThrow('permission denied');
  } finally {
    await client.query('rollback');
  }
});

test('a file without queries, or with an unfinished one, is refused', () => {
  expect(() => parseInvariants('select 1;')).toThrow('The file has no query');
  expect(() => parseInvariants('-- name: i99_open -- A sentence.\nselect 1')).toThrow('Query i99_open does not end');
  expect(parseInvariants('-- name: i99_one -- A sentence.\nselect 1;\n')).toEqual([
    { name: 'i99_one', sentence: 'A sentence.', sql: 'select 1' },
  ]);
});

async function movement(row: Record<string, unknown>): Promise<void> {
  const source_id = books.id('txn', 'ana');
  const rest = { leg: '', currency: 'USD', amount: 1, effective_at: books.now, posted_at: books.now };
  await books.put('ledger_movement', { bucket: books.bucket('ana'), source_id, ...rest, ...row });
}

async function balance(account_id: number, amount: bigint): Promise<void> {
  await books.put('ledger_balance', { account_id, rolled_up_to: books.at(-24 * HOUR), balance: amount });
}

/** A second row like one that is there, but for some columns. */
async function copy(table: string, id: string, changes: Record<string, unknown>): Promise<void> {
  const { rows } = await client.query<Record<string, unknown>>(`select * from ${table} where id = $1`, [id]);
  const { total: _generated, ...row } = rows[0] ?? {};
  await books.put(table, { ...row, ...changes });
}

async function dropChecks(table: string): Promise<void> {
  const { rows } = await client.query<{ conname: string }>(
    `select conname from pg_constraint where conrelid = $1::regclass and contype = 'c'`,
    [table],
  );
  for (const { conname } of rows) await client.query(`alter table ${table} drop constraint ${pg.escapeIdentifier(conname)}`);
}
