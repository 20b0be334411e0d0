/**
 * What the database refuses whoever asks: the second line behind locks and versions. A world where everything has happened once; then
 * somebody writes it a second time, past all code of ours.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeId, type PriceId } from '../../src/domain/ids.js';
import { recordProviderCustomer, loadProviderCustomer } from '../../src/store/customers.store.js';
import { claimKey, type KeyClaim } from '../../src/store/idempotency.store.js';
import { postJournal } from '../../src/store/ledger.store.js';
import { keyBucket } from '../../src/platform/json.js';
import { findRef, recordRef, storeWebhooks } from '../../src/store/provider.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { newId, own, SYSTEM } from '../../src/usecases/cashier.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';
import { refusalOf } from './wiring.js';

let world: World;
let ana: Actor;

beforeAll(async () => {
  world = await startWorld();
  ana = await withCard(world, someUser('ana'), 'pm_card_createDispute');
  const premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [badge] = await world.query<{ key: string }>('select key from product limit 1');
  const buying = {
    paymentMethodId: null,
    expectedAmount: null,
    returnUrl: null,
  };
  const sold = await world.commands.subscribe(ana, {
    ...buying,
    priceId: premium,
    coupon: null,
    useTrial: false,
    idempotencyKey: newKey(),
  });
  expect(sold.refusals).toEqual([]);
  await world.receiveEvents();
  await world.work('webhooks');
  // Another card: what is given back is not disputed.
  await withCard(world, ana);
  const bought = await world.commands.purchase(ana, {
    ...buying,
    priceId: (await priceId(world, { product: badge?.key ?? '', currency: 'USD' })) as PriceId,
    quantity: 1,
    idempotencyKey: newKey(),
  });
  if (bought.transactionId === null) throw new Error('nothing was bought');
  const asked = await world.commands.refund(someStaff('support'), {
    transactionId: bought.transactionId,
    amount: { minor: 100n, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  expect(asked.refusals).toEqual([]);
});
afterAll(async () => world.stop());

const id = (): string => makeId('txn', 0, world.clock.now().getTime(), randomBytes(8));

/**
 * A row of Ana's written once more but for some columns: `changes` are expressions over the row `o`. `newId` is one in her bucket.
 * @returns SQLSTATE and constraint of the refusal
 */
async function again(table: string, where: string, changes: Record<string, string> = {}): Promise<[string, string]> {
  const columns = await world.query<{ name: string }>(
    `select column_name as name from information_schema.columns where table_name = $1 and is_generated = 'NEVER' order by ordinal_position`,
    [table],
  );
  const names = columns.map(({ name }) => name);
  const values = names.map((name) => changes[name] ?? `o.${name}`).join(', ');
  const [there] = await world.query<{ n: number }>(`select count(*)::int as n from ${table} o where ${where}`);
  if (there?.n !== 1) throw new Error(`${there?.n} rows of ${table} where ${where}`);
  return refusalOf(world, `insert into ${table} (${names.join(', ')}) select ${values} from ${table} o where ${where}`);
}

/** An id in the row's own bucket. */
const NEW_ID = `(substr(o.id::text, 1, 18) || '-8' || substr(md5('again'), 1, 3) || '-' || substr(md5('again'), 4, 12))::uuid`;
const newRow = { id: NEW_ID };
/** An attempt that has ended without money, so that it stands in nobody's way but by what is copied. */
const ended = {
  ...newRow,
  status: `'late_failed'`,
  number: '2::smallint',
  idempotency_key: `'att:other'`,
  provider_charge_id: 'null',
};

const isHers = 'o.user_id = (select user_id from dispute)';
const isPeriod = `${isHers} and o.kind = 'period'`;
const intent = `${isHers} and o.invoice_id = (select id from invoice where kind = 'period')`;
const attempt = `${isHers} and o.id = (select payment_attempt_id from dispute)`;

const TWICE: { what: string; constraint: string; write: () => Promise<[string, string]> }[] = [
  {
    what: 'an invoice of one period',
    constraint: 'invoice_one_per_period',
    write: () => again('invoice', isPeriod, newRow),
  },
  {
    what: 'an invoice of one purchase',
    constraint: 'invoice_one_per_purchase',
    write: () => again('invoice', `${isHers} and o.kind = 'purchase'`, newRow),
  },
  {
    what: 'an intent of one invoice',
    constraint: 'payment_intent_one_live',
    write: () => again('payment_intent', intent, newRow),
  },
  {
    what: 'an attempt of one intent that took money',
    constraint: 'payment_attempt_one_open',
    write: () => again('payment_attempt', attempt, { ...ended, status: 'o.status' }),
  },
  {
    what: 'an attempt of one number',
    constraint: 'payment_attempt_bucket_payment_intent_id_number_key',
    write: () => again('payment_attempt', attempt, { ...ended, number: 'o.number' }),
  },
  {
    what: "an attempt under one of the provider's keys",
    constraint: 'payment_attempt_key',
    write: () => again('payment_attempt', attempt, { ...ended, idempotency_key: 'o.idempotency_key' }),
  },
  {
    what: "an attempt with one of the provider's charges",
    constraint: 'payment_attempt_charge',
    write: () => again('payment_attempt', attempt, { ...ended, provider_charge_id: 'o.provider_charge_id' }),
  },
  {
    what: "a refund under one of the provider's keys",
    constraint: 'refund_bucket_idempotency_key_key',
    write: () => again('refund', isHers, { ...newRow, provider_object_id: 'null' }),
  },
  {
    what: "a refund with one of the provider's refunds",
    constraint: 'refund_object',
    write: () => again('refund', isHers, { ...newRow, idempotency_key: `'ref:other'` }),
  },
  {
    what: "a dispute with one of the provider's disputes",
    constraint: 'dispute_bucket_provider_account_id_provider_object_id_key',
    write: () => again('dispute', isHers, newRow),
  },
  {
    what: 'a live subscription of one group',
    constraint: 'subscription_one_live',
    write: () => again('subscription', isHers, newRow),
  },
  {
    what: "a line of the provider's books",
    constraint: 'provider_record_bucket_provider_account_id_native_id_native_key',
    write: () => again('provider_record', `o.kind = 'dispute'`, newRow),
  },
  {
    what: 'a line of the history of one charge, refund or dispute',
    constraint: 'transaction_\\w+_pkey',
    write: () => again('transaction', `${isHers} and o.kind = 'dispute'`),
  },
  {
    what: 'a movement of one source, event and leg',
    constraint: 'ledger_movement_\\w+_pkey',
    write: () => again('ledger_movement', `o.event = 'refund_settled'`),
  },
  {
    what: "what one of the provider's objects is",
    constraint: 'provider_ref_pkey',
    write: () => again('provider_ref', `o.kind = 'refund'`, newRow),
  },
  {
    what: 'an event of the provider',
    constraint: 'webhook_inbox_pkey',
    write: () => again('webhook_inbox', `o.id = (select id from webhook_inbox order by id limit 1)`, newRow),
  },
  {
    what: "a client's key",
    constraint: 'idempotency_key_pkey',
    write: () => again('idempotency_key', `${isHers} and o.operation = 'purchase'`),
  },
  {
    what: 'a customer at the provider',
    constraint: 'provider_customer_pkey',
    write: () => again('provider_customer', isHers),
  },
];

test.each(TWICE)('$what is not written twice: $constraint', async ({ constraint, write }) => {
  expect(await write()).toEqual(['23505', expect.stringMatching(new RegExp(`^${constraint}$`))]);
});

test('a change of a subscription, and a gift, have one invoice each that is open', async () => {
  for (const [kind, owner, constraint] of [
    ['change', 'o.subscription_id', 'invoice_one_open_change'],
    ['gift', 'g', 'invoice_one_per_gift'],
  ] as const) {
    const bill = (of: string, n: number): string => `
      insert into invoice (bucket, id, user_id, kind, subscription_id, gift_id, epoch, period_start, period_end, currency, net, status)
      select o.bucket, ${NEW_ID.replaceAll("md5('again')", `md5('${kind}${n}')`)}, o.user_id, '${kind}',
        ${kind === 'change' ? of : 'null'}, ${kind === 'gift' ? of : 'null'}, 0, o.period_start, o.period_end, o.currency, 5, 'open'
      from invoice o where ${isPeriod}`;
    const gift = `
      with given as (insert into gift (bucket, id, user_id, is_anonymous, price_id, periods, status, claim_secret_hash, claim_by)
        select o.bucket, ${NEW_ID}, o.user_id, false, o.price_id, 1, 'pending_payment', '', o.period_end from subscription o where ${isHers}
        returning id) select set_config('test.gift', id::text, true) from given`;
    const of = kind === 'gift' ? `current_setting('test.gift')::uuid` : owner;
    expect(await refusalOf(world, `${gift}; ${bill(of, 1)}`)).toEqual(['written', '']);
    expect(await refusalOf(world, `${gift}; ${bill(of, 1)}; ${bill(of, 2)}`)).toEqual(['23505', constraint]);
  }
});

test.each([
  ['an attempt was sent, but nobody knows when', 'update payment_attempt set sent_at = null'],
  ['an attempt was sent, but its call has no deadline', 'update payment_attempt set call_deadline_at = null'],
  ['an attempt was sent, but its key has no end', 'update payment_attempt set key_valid_until = null'],
  ['an attempt is over, but is looked at again', 'update payment_attempt set next_action_at = sent_at'],
  ['an attempt is open, but nobody looks at it', `update payment_attempt set status = 'unknown'`],
  ['a refund is open, but nobody looks at it', `update refund set status = 'unknown', next_action_at = null`],
  ["a client's key has neither a result nor a refusal", 'update idempotency_key set result_id = null, result_type = null'],
  ["a client's key has both a result and a refusal", `update idempotency_key set user_errors = '[]' where result_id is not null`],
  [
    'a movement moves nothing',
    `insert into ledger_movement select bucket, source_id, event, 'x', debit_account_id, credit_account_id, currency, 0, user_id, invoice_id, effective_at, posted_at from ledger_movement limit 1`,
  ],
  [
    'a movement goes from an account to itself',
    `insert into ledger_movement select bucket, source_id, event, 'x', debit_account_id, debit_account_id, currency, 1, user_id, invoice_id, effective_at, posted_at from ledger_movement limit 1`,
  ],
  ['a charge of nothing', `update payment_attempt set amount = 0`],
])('that %s can not be written', async (_, statement) => {
  const [code] = await refusalOf(world, statement);
  expect(code).toBe('23514');
});

test('a movement whose currency is not that of its account can not be written', async () => {
  const other = `insert into ledger_movement select bucket, source_id, event, 'x', debit_account_id, credit_account_id, 'EUR', 1, user_id, invoice_id, effective_at, posted_at
    from ledger_movement where currency = 'USD' limit 1`;
  expect((await refusalOf(world, other))[0]).toBe('23503');
});

test('a journal that is posted a second time fails as a whole', async () => {
  const [posted] = await world.query<{ source_id: string; invoice_id: string; at: Date }>(
    `select source_id, invoice_id, effective_at as at from ledger_movement where event = 'refund_settled'`,
  );
  const movements = [
    {
      event: 'refund_settled',
      leg: 'new',
      debit: 'refunds_payable',
      credit: 'provider_clearing',
      currency: 'USD',
      amountMinor: 1n,
    },
    {
      event: 'refund_settled',
      leg: '',
      debit: 'refunds_payable',
      credit: 'provider_clearing',
      currency: 'USD',
      amountMinor: 100n,
    },
  ] as const;
  const journal = {
    sourceId: posted?.source_id ?? '',
    movements,
    userId: ana.userId,
    invoiceId: posted?.invoice_id ?? '',
    effectiveAt: posted?.at ?? world.clock.now(),
    providerAccountId: 1,
  };
  await expect(inTx(world.worker.tx, own(ana.userId), (uow) => postJournal(uow, journal))).rejects.toThrow('duplicate key');
  expect(await world.query(`select leg from ledger_movement where event = 'refund_settled'`)).toEqual([{ leg: '' }]);
});

test("the first to say what a provider's object is stays in the right, across users", async () => {
  const ref = { objectId: 'ch_shared', providerAccountId: 1, kind: 'charge' } as const;
  const [first, second] = [id(), id()];
  for (const one of [first, second]) await inTx(world.worker.tx, SYSTEM, (uow) => recordRef(uow, { ...ref, id: one }));
  expect(await inTx(world.worker.tx, SYSTEM, (uow) => findRef(uow, 'ch_shared', 1))).toEqual({ kind: 'charge', id: first });
});

test("a customer's first object at the provider stays; a second one is dropped", async () => {
  const before = await inTx(world.worker.tx, SYSTEM, (uow) => loadProviderCustomer(uow, ana.userId, 1));
  await inTx(world.worker.tx, SYSTEM, (uow) => recordProviderCustomer(uow, ana.userId, 1, 'cus_second'));
  expect(await inTx(world.worker.tx, SYSTEM, (uow) => loadProviderCustomer(uow, ana.userId, 1))).toBe(before);
});

test('an event that comes a second time is not kept again, and is applied once', async () => {
  const [kept] = await world.query<{ event_id: string; type: string; object_id: string }>('select * from webhook_inbox limit 1');
  const event = {
    eventId: kept?.event_id ?? '',
    type: kept?.type ?? '',
    objectKind: 'other' as const,
    objectId: kept?.object_id ?? '',
    createdAt: world.clock.now(),
  };
  const webhook = {
    id: newId(world.worker, 'whe', keyBucket(event.eventId)),
    event,
    rawBody: Buffer.from('{}'),
  };
  const from = { providerAccountId: 1, source: 'push', successTypes: [] } as const;
  expect(await inTx(world.worker.tx, SYSTEM, (uow) => storeWebhooks(uow, [webhook], from))).toEqual(new Set());
  expect(await world.query('select from webhook_inbox where event_id = $1', [event.eventId])).toHaveLength(1);
});

test("a client's key that was taken gives what it led to, not a new claim", async () => {
  const claim: KeyClaim = {
    userId: ana.userId,
    operation: 'purchase',
    key: newKey(),
    inputHash: Buffer.from('same'),
    resultType: 'purchase',
    resultId: id(),
    expiresAt: world.clock.now(),
  };
  const [first, second] = [id(), id()];
  expect(await inTx(world.worker.tx, own(ana.userId), (uow) => claimKey(uow, { ...claim, resultId: first }))).toBeNull();
  const kept = await inTx(world.worker.tx, own(ana.userId), (uow) => claimKey(uow, { ...claim, resultId: second }));
  expect(kept?.resultId).toBe(first);
  await world.query('delete from idempotency_key where result_id = $1', [first]);
});

test('after all this the books are sound', async () => {
  await world.query(`delete from provider_ref where object_id = 'ch_shared'`);
  await expectSoundBooks(world);
});
