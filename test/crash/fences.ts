/**
 * Every fence that stops a double charge, a lost charge or a wrong book: what it stops, and how to take just this one away. `npm run fences`
 * does so with each in turn and demands that a test goes red. A text must be found exactly once, so that the list cannot rot.
 */

/** A change of one file: `find`, which stands there exactly once, becomes `replace`. */
interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** A fence, and its removal. */
export interface Fence {
  id: string;
  /** What it stops, as a sentence that goes on from "stops". */
  stops: string;
  /** The test file that is likeliest to notice; the others are asked when it does not. */
  killer: string;
  edits: readonly Edit[];
}

const TABLES = 'migrations/0001-main.ts';
const PAYMENTS = 'src/store/payments.store.ts';
const SUBSCRIPTIONS = 'src/store/subscriptions.store.ts';
const INVOICES = 'src/store/invoices.store.ts';
const CUSTOMERS = 'src/store/customers.store.ts';
const PROVIDER = 'src/store/provider.store.ts';
const ORPHANS = 'src/store/orphans.store.ts';
const KEYS = 'src/store/idempotency.store.ts';
const ADAPTER = 'src/providers/stripe/adapter.ts';
const SEND = 'src/usecases/send-payment.ts';
const RESOLVE = 'src/usecases/resolve-payment.ts';
const REFUND = 'src/usecases/send-refund.ts';
const RUN = 'src/usecases/run-command.ts';
const ATTEMPT = 'src/domain/payment/attempt.ts';
const SCHEDULE = 'src/domain/payment/schedule.ts';
const REFUNDS = 'src/domain/refund/refund.ts';
const RENEW = 'src/usecases/renew.ts';
const ADMIT = 'src/usecases/admit-renewals.ts';

const SECOND_LINE = 'test/crash/second-line.test.ts';
const VERSIONS = 'test/crash/versions.test.ts';
const CLAIMS = 'test/crash/claims.test.ts';
const LEASES = 'test/crash/leases.test.ts';
const LATE = 'test/crash/late-answers.test.ts';
const ORPHANED = 'test/crash/orphans.test.ts';
const WEBHOOKS = 'test/crash/webhook-leases.test.ts';
const CALLS = 'test/crash/provider-calls.test.ts';
const ROW_SECURITY = 'test/store/row-security.test.ts';
const RENEWED = 'test/usecases/renewals.test.ts';
const RACED = 'test/crash/renewals.test.ts';

/** A fence that one change takes away. */
function fence(id: string, stops: string, killer: string, file: string, find: string, replace: string): Fence {
  return { id, stops, killer, edits: [{ file, find, replace }] };
}

/** A unique index that becomes a plain one. */
function index(name: string, stops: string): Fence {
  return fence(`index.${name}`, stops, SECOND_LINE, TABLES, `create unique index ${name} on`, `create index ${name} on`);
}

/** A constraint inside a table's definition, taken out. */
function constraint(id: string, stops: string, find: string, replace: string): Fence {
  return fence(id, stops, SECOND_LINE, TABLES, find, replace);
}

/** A condition on the version that was read; without it the last writer wins. */
function version(table: string, stops: string, file: string, row: string): Fence {
  return fence(
    `version.${table}`,
    stops,
    VERSIONS,
    file,
    `    ${row},\n    { bucket: row.bucket, id: row.id, version: row.version },`,
    `    ${row},\n    { bucket: row.bucket, id: row.id },`,
  );
}

/** The key of a POST: with this, each call has another one. */
function key(name: string, stops: string, find: string, given = 'idempotencyKey'): Fence {
  const shown = given === 'idempotencyKey' ? '{ idempotencyKey }' : `{ idempotencyKey: ${given} }`;
  const replace = find.replace(shown, `{ idempotencyKey: \`\${${given}}:\${process.hrtime.bigint()}\` }`);
  return fence(`key.${name}`, stops, CALLS, ADAPTER, find, replace);
}

export const FENCES: readonly Fence[] = [
  // What the tables refuse.
  index('invoice_one_per_period', 'two invoices for one period of a subscription (fence 1)'),
  index('invoice_one_open_change', 'two open invoices for changes of one subscription (fence 1)'),
  index('invoice_one_per_purchase', 'two invoices for one purchase (fence 1)'),
  index('invoice_one_per_gift', 'two invoices for one gift (fence 1)'),
  index('payment_intent_one_live', 'two decisions to collect one invoice (fence 2)'),
  index('payment_attempt_one_open', 'two operations for one decision (fence 3)'),
  constraint(
    'unique.payment_attempt_number',
    'two attempts with one place in the order',
    'primary key (bucket, id), unique (bucket, payment_intent_id, number), foreign key',
    'primary key (bucket, id), foreign key',
  ),
  index('payment_attempt_key', "two charges of ours under one of the provider's keys (fence 4)"),
  constraint(
    'unique.refund_key',
    "two refunds of ours under one of the provider's keys (fence 4)",
    'primary key (bucket, id), unique (bucket, idempotency_key),   -- fence 4',
    'primary key (bucket, id),',
  ),
  index('payment_attempt_charge', "one of the provider's charges recorded by two attempts (fence 5)"),
  index('refund_object', "one of the provider's refunds recorded by two of ours (fence 5)"),
  constraint(
    'unique.dispute_object',
    "one of the provider's disputes recorded twice (fence 5)",
    'primary key (bucket, id), unique (bucket, provider_account_id, provider_object_id), foreign key (bucket, payment_attempt_id) references payment_attempt);   -- fence 5',
    'primary key (bucket, id), foreign key (bucket, payment_attempt_id) references payment_attempt);',
  ),
  constraint(
    'key.transaction',
    'two lines of the history for one attempt, refund or dispute (fence 5)',
    "check ((kind = 'charge') = (original_id is null)), primary key (bucket, id)) partition by range (id);   -- fence 5",
    "check ((kind = 'charge') = (original_id is null))) partition by range (id);   --",
  ),
  {
    id: 'key.provider_ref',
    stops: "one of the provider's objects that belongs to two users (fence 5)",
    killer: SECOND_LINE,
    edits: [
      {
        file: TABLES,
        find: 'id uuid not null,\n  primary key (bucket, object_id, provider_account_id));',
        replace: 'id uuid not null);',
      },
      {
        file: PROVIDER,
        find: 'values ($1, $2, $3, $4, $5)\n   on conflict (bucket, object_id, provider_account_id) do nothing`',
        replace: 'values ($1, $2, $3, $4, $5)`',
      },
    ],
  },
  constraint(
    'key.ledger_movement',
    'one fact posted twice (fence 6)',
    'check (debit_account_id <> credit_account_id), primary key (bucket, source_id, event, leg),',
    'check (debit_account_id <> credit_account_id),',
  ),
  index('subscription_one_live', 'two live subscriptions of one group (fence 8)'),
  {
    id: 'unique.provider_record',
    stops: "a line of the provider's books that is booked twice",
    killer: SECOND_LINE,
    edits: [
      {
        file: TABLES,
        find: 'primary key (bucket, id), unique (bucket, provider_account_id, native_id, native_type));',
        replace: 'primary key (bucket, id));',
      },
      {
        file: PROVIDER,
        find: 'on conflict (bucket, provider_account_id, native_id, native_type) do nothing returning id`',
        replace: 'returning id`',
      },
    ],
  },
  {
    id: 'key.provider_customer',
    stops: 'a user with two customers at one provider',
    killer: SECOND_LINE,
    edits: [
      {
        file: TABLES,
        find: 'primary key (bucket, user_id, provider_account_id), foreign key (bucket, user_id) references customer);',
        replace: 'foreign key (bucket, user_id) references customer);',
      },
      {
        file: CUSTOMERS,
        find: 'values ($1, $2, $3, $4)\n   on conflict (bucket, user_id, provider_account_id) do nothing`',
        replace: 'values ($1, $2, $3, $4)`',
      },
    ],
  },
  {
    id: 'key.webhook_inbox',
    stops: 'an event that is kept, and applied, twice',
    killer: SECOND_LINE,
    edits: [
      {
        file: TABLES,
        find: 'primary key (bucket, event_id, provider_account_id), unique (bucket, id)) with (fillfactor = 80);',
        replace: 'unique (bucket, id)) with (fillfactor = 80);',
      },
      {
        file: PROVIDER,
        find: 'from told t\n     on conflict (bucket, event_id, provider_account_id) do nothing returning bucket, id)',
        replace: 'from told t returning bucket, id)',
      },
    ],
  },
  constraint(
    'check.sent_is_fenced',
    'an attempt that was sent without a deadline and an end of its key',
    "check (status in ('created', 'canceled') or (sent_at is not null and call_deadline_at is not null and key_valid_until is not null)),",
    '',
  ),
  constraint(
    'check.open_refund_is_looked_at',
    'an open refund that nobody looks at',
    "check (next_action_at is not null or status not in ('created', 'sent', 'unknown')), primary key",
    'primary key',
  ),
  fence(
    'check.open_attempt_is_looked_at',
    'an open attempt that nobody looks at, and an ended one that is sent again',
    SECOND_LINE,
    'migrations/0004-late-appearances.ts',
    "case when status in ('created', 'sent', 'unknown', 'requires_action', 'processing') then next_action_at is not null",
    "case when status in ('created', 'sent', 'unknown', 'requires_action', 'processing', 'succeeded') then true",
  ),
  constraint(
    'check.key_settles',
    "a client's key without an outcome, or with two",
    'check ((result_id is null) = (result_type is null) and (result_id is null) <> (user_errors is null)), primary key',
    'primary key',
  ),
  constraint(
    'check.movement_amount',
    'a movement of nothing, or of less',
    'currency char(3) not null, amount bigint not null check (amount > 0),\n  user_id text collate "C", invoice_id uuid,                   -- the customer',
    'currency char(3) not null, amount bigint not null,\n  user_id text collate "C", invoice_id uuid,                   -- the customer',
  ),
  constraint(
    'check.movement_accounts',
    'a movement from an account to itself',
    'check (debit_account_id <> credit_account_id), primary key (bucket, source_id',
    'primary key (bucket, source_id',
  ),
  constraint(
    'key.movement_currency',
    'a movement in another currency than its accounts',
    ',                                          -- fence 6\n  foreign key (debit_account_id, currency) references ledger_account (id, currency), foreign key (credit_account_id, currency) references ledger_account (id, currency))',
    ')',
  ),
  fence(
    'append_only.trigger',
    'a row of ledger or history that is changed or deleted by anybody, the owner included',
    ROW_SECURITY,
    TABLES,
    "execute format('create trigger append_only before update or delete on %I for each row execute function append_only()', t);",
    '',
  ),
  fence(
    'append_only.truncate',
    'ledger or history being emptied',
    ROW_SECURITY,
    TABLES,
    "execute format('create trigger append_only_truncate before truncate on %I execute function append_only()', t);",
    '',
  ),
  fence(
    'append_only.grants',
    'the application changing a row of ledger or history',
    ROW_SECURITY,
    TABLES,
    "execute format('revoke update on %I from pay_app, pay_worker', t);",
    '',
  ),
  fence(
    'grants.catalogue',
    'the application changing prices or accounts',
    ROW_SECURITY,
    TABLES,
    'revoke insert, update on provider_account, feature, tier, tier_feature, product, price, ledger_account from pay_app, pay_worker;',
    '',
  ),
  fence(
    'rows.own',
    'a user who sees or changes the rows of another',
    ROW_SECURITY,
    TABLES,
    "using (user_id = current_setting('app.user_id', true) or current_setting('app.role', true) = 'staff')",
    'using (true)',
  ),
  fence(
    'rows.forced',
    'an owner of the tables whom row security does not bind',
    ROW_SECURITY,
    TABLES,
    "execute format('alter table %I force row level security', t);",
    '',
  ),

  // The lock, and the versions behind it.
  fence(
    'lock.customer',
    'two units of work that decide about one customer at the same time',
    CLAIMS,
    CUSTOMERS,
    "'select * from customer where bucket = $1 and user_id = $2 for update',",
    "'select * from customer where bucket = $1 and user_id = $2',",
  ),
  version(
    'payment_attempt',
    'a claim or an outcome of an attempt that somebody else has written first',
    PAYMENTS,
    'PaymentAttemptRow',
  ),
  fence(
    'version.payment_intent',
    'an intent that moves away from its attempt',
    VERSIONS,
    PAYMENTS,
    'where bucket = $1 and id = $2 and version = $3 returning id`,',
    'where bucket = $1 and id = $2 and $3::int is not null returning id`,',
  ),
  fence(
    'version.transaction',
    'a line of the history that loses a status it had',
    VERSIONS,
    PAYMENTS,
    'where bucket = $1 and id = $2 and version = $3 returning bucket, id, version, user_id, status)',
    'where bucket = $1 and id = $2 and $3::int is not null returning bucket, id, version, user_id, status)',
  ),
  version('refund', 'a claim or an outcome of a refund that somebody else has written first', PAYMENTS, 'RefundRow'),
  version('dispute', 'a dispute whose money is moved twice', PAYMENTS, 'DisputeRow'),
  version(
    'subscription',
    'a subscription that is changed on the ground of what it no longer is',
    SUBSCRIPTIONS,
    'SubscriptionRow',
  ),
  fence(
    'status.invoice',
    'a paid invoice that is voided by whoever comes late',
    VERSIONS,
    INVOICES,
    "where bucket = $1 and id = $2 and status = 'open' returning user_id`,",
    'where bucket = $1 and id = $2 returning user_id`,',
  ),

  // Claims and leases.
  fence(
    'claim.charge',
    'a charge that is sent while or after somebody else sends it',
    CLAIMS,
    SEND,
    "if (payment?.attempt.status !== 'created') return null;",
    'if (!payment) return null;',
  ),
  fence(
    'claim.refund',
    'a refund that is sent while or after somebody else sends it',
    CLAIMS,
    REFUND,
    "if (refund?.status !== 'created') return null;",
    'if (!refund) return null;',
  ),
  fence(
    'lease.charge.claim',
    'a look into a charge that somebody else holds',
    LEASES,
    RESOLVE,
    'if (!isFree || !isDue) return null;',
    'if (!isDue) return null;',
  ),
  fence(
    'lease.refund.claim',
    'a look into a refund that somebody else holds',
    LEASES,
    REFUND,
    'if (refund.leaseUntil !== null && refund.leaseUntil >= uow.now) return null;',
    '',
  ),
  fence(
    'lease.charge.list',
    'charges that are held standing before those that are free',
    LEASES,
    PAYMENTS,
    'select id, user_id from payment_attempt\n   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)',
    'select id, user_id from payment_attempt\n   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2',
  ),
  fence(
    'lease.refund.list',
    'refunds that are held standing before those that are free',
    LEASES,
    PAYMENTS,
    'select id, user_id from refund\n   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)',
    'select id, user_id from refund\n   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2',
  ),
  fence(
    'lease.webhook',
    'an event that two workers apply at the same time',
    WEBHOOKS,
    PROVIDER,
    `next_action_at <= $2 and (lease_until is null or lease_until < $2)
     order by next_action_at limit $3 for update skip locked)`,
    `next_action_at <= $2
     order by next_action_at limit $3 for update skip locked)`,
  ),
  fence(
    'lease.over',
    'a decision by a process that slept past its lease, though nobody has claimed since',
    LATE,
    SEND,
    'return current.version === claimed.version && current.leaseUntil !== null && current.leaseUntil > uow.now;',
    'return current.version === claimed.version;',
  ),
  fence(
    'lease.lost',
    'a decision by a process whose claim somebody else has taken over',
    LATE,
    SEND,
    'return current.version === claimed.version && current.leaseUntil !== null && current.leaseUntil > uow.now;',
    'return current.leaseUntil !== null && current.leaseUntil > uow.now;',
  ),
  fence(
    'guard.send',
    'a charge or refund that is sent long after it was claimed',
    LEASES,
    'src/usecases/cashier.ts',
    'return cashier.monotonicMs() - claimedAtMs <= SEND_GUARD_MS;',
    'return true;',
  ),
  fence(
    'guard.send.charge',
    'a charge that is sent long after it was claimed',
    LEASES,
    SEND,
    'if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return false;',
    'if (!claimed) return false;',
  ),
  fence(
    'guard.resend.charge',
    'a charge that is sent again long after it was claimed',
    LEASES,
    RESOLVE,
    'if (!mayStillSend(cashier, claimed.claimedAtMs)) return;',
    '',
  ),
  fence(
    'guard.cancel',
    'a payment that is cancelled long after that was decided',
    LEASES,
    SEND,
    "if (!mayStillSend(cashier, decidedAtMs)) return { applied: 'nothing', recordedAtMs: decidedAtMs };",
    '',
  ),
  fence(
    'guard.send.refund',
    'a refund that is sent long after it was claimed',
    LEASES,
    REFUND,
    'if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return;',
    'if (!claimed) return;',
  ),
  fence(
    'guard.resend.refund',
    'a refund that is sent again long after it was claimed',
    LEASES,
    REFUND,
    "  if (means === 'resend') {\n    if (!mayStillSend(cashier, claimed.claimedAtMs)) return;",
    "  if (means === 'resend') {",
  ),
  fence(
    'guard.ask',
    'a question whose answer comes when the lease is over',
    LEASES,
    'src/usecases/cashier.ts',
    'return cashier.monotonicMs() - claimedAtMs <= ASK_GUARD_MS;',
    'return true;',
  ),
  fence(
    'guard.ask.charge',
    'a question about a charge whose answer comes when the lease is over',
    LEASES,
    RESOLVE,
    'if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;',
    '',
  ),
  fence(
    'guard.ask.refund',
    'a question about a refund whose answer comes when the lease is over',
    LEASES,
    REFUND,
    "if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;\n  if (means === 'retrieve') {",
    "if (means === 'retrieve') {",
  ),
  fence(
    'guard.list.refund',
    'a listing of refunds that is begun when the lease is nearly over',
    LEASES,
    REFUND,
    "looked for in the listing', { id: ref.id });\n  if (!mayStillAsk(cashier, claimed.claimedAtMs)) return;",
    "looked for in the listing', { id: ref.id });",
  ),

  // What counts of an answer.
  fence(
    'ours.charge.fact',
    'a late fact about a charge that gives the lease of another back',
    LATE,
    SEND,
    'if (isOurs && !isDone) await lookAgain(uow, cashier, attempt.id);',
    'if (!isDone) await lookAgain(uow, cashier, attempt.id);',
  ),
  fence(
    'ours.charge.refused',
    'a late refusal of a charge that ends it while another sends it',
    LATE,
    SEND,
    "if (!isOurs || !isUndecided(attempt)) return 'nothing';",
    "if (!isUndecided(attempt)) return 'nothing';",
  ),
  fence(
    'ours.charge.not_now',
    'a late "not now" about a charge that gives the lease of another back',
    LATE,
    SEND,
    'if (isOurs) await putOff(uow, cashier, attempt, called.retryAfterMs);',
    'await putOff(uow, cashier, attempt, called.retryAfterMs);',
  ),
  fence(
    'ours.charge.unknown',
    'a late "unknown" about a charge that hides what another is about to learn',
    LATE,
    SEND,
    'if (isOurs) await becomeUnknown(uow, cashier, attempt);',
    'await becomeUnknown(uow, cashier, attempt);',
  ),
  fence(
    'ours.charge.absence',
    'a late empty listing that calls a charge absent while another looks',
    LATE,
    RESOLVE,
    'if (!payment || !holdsClaim(uow, claimed.attempt, payment.attempt)) return;',
    'if (!payment) return;',
  ),
  fence(
    'ours.refund.fact',
    'a late fact about a refund that gives the lease of another back',
    LATE,
    REFUND,
    "if (applied !== 'applied' && isOurs) await putOff(uow, cashier, refund, null);",
    "if (applied !== 'applied') await putOff(uow, cashier, refund, null);",
  ),
  fence(
    'ours.refund.refused',
    'a late refusal of a refund that ends it while another sends it',
    LATE,
    REFUND,
    "if (isOurs && (refund.status === 'sent' || refund.status === 'unknown'))",
    "if (refund.status === 'sent' || refund.status === 'unknown')",
  ),
  fence(
    'ours.refund.not_now',
    'a late "not now" about a refund that gives the lease of another back',
    LATE,
    REFUND,
    'if (isOurs) await putOff(uow, cashier, refund, called.retryAfterMs);',
    'await putOff(uow, cashier, refund, called.retryAfterMs);',
  ),
  fence(
    'ours.refund.unknown',
    'a late "unknown" about a refund that hides what another is about to learn',
    LATE,
    REFUND,
    'if (isOurs) await becomeUnknown(uow, cashier, refund);',
    'await becomeUnknown(uow, cashier, refund);',
  ),
  fence(
    'ours.refund.absence',
    'a late empty listing that calls a refund absent while another looks',
    LATE,
    REFUND,
    'if (!refund || !holdsClaim(uow, claimed.refund, refund)) return;',
    'if (!refund) return;',
  ),
  fence(
    'answer.charge.amount',
    'an answer of another amount that passes for that of a charge',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.intentRef === request.intentRef;',
    'fact.currency === request.currency && fact.intentRef === request.intentRef;',
  ),
  fence(
    'answer.charge.currency',
    'an answer in another currency that passes for that of a charge',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.intentRef === request.intentRef;',
    'fact.amountMinor === request.amountMinor && fact.intentRef === request.intentRef;',
  ),
  fence(
    'answer.charge.intent',
    'an answer about another intent that passes for that of a charge',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.intentRef === request.intentRef;',
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency;',
  ),
  fence(
    'answer.refund.amount',
    'an answer of another amount that passes for that of a refund',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.refundRef === request.refundRef;',
    'fact.currency === request.currency && fact.refundRef === request.refundRef;',
  ),
  fence(
    'answer.refund.currency',
    'an answer in another currency that passes for that of a refund',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.refundRef === request.refundRef;',
    'fact.amountMinor === request.amountMinor && fact.refundRef === request.refundRef;',
  ),
  fence(
    'answer.refund.reference',
    'an answer about another refund that passes for that of this one',
    CALLS,
    ADAPTER,
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency && fact.refundRef === request.refundRef;',
    'fact.amountMinor === request.amountMinor && fact.currency === request.currency;',
  ),
  fence(
    'fact.charge.amount',
    'a fact of another amount that settles a charge',
    CALLS,
    'src/usecases/apply-payment-fact.ts',
    'if (fact.amountMinor !== attempt.amount || fact.currency !== attempt.currency) {',
    'if (fact.currency !== attempt.currency) {',
  ),
  fence(
    'fact.charge.currency',
    'a fact in another currency that settles a charge',
    CALLS,
    'src/usecases/apply-payment-fact.ts',
    'if (fact.amountMinor !== attempt.amount || fact.currency !== attempt.currency) {',
    'if (fact.amountMinor !== attempt.amount) {',
  ),
  fence(
    'fact.refund.amount',
    'a fact of another amount that settles a refund',
    CALLS,
    'src/usecases/apply-refund-fact.ts',
    'if (fact.amountMinor !== refund.amount || fact.currency !== refund.currency) {',
    'if (fact.currency !== refund.currency) {',
  ),
  fence(
    'fact.refund.currency',
    'a fact in another currency that settles a refund',
    CALLS,
    'src/usecases/apply-refund-fact.ts',
    'if (fact.amountMinor !== refund.amount || fact.currency !== refund.currency) {',
    'if (fact.amountMinor !== refund.amount) {',
  ),
  fence(
    'rank.charge',
    'older news about a charge that undoes newer',
    'test/domain/payment/attempt.test.ts',
    ATTEMPT,
    "return RANK[to] > RANK[current] ? { kind: 'apply', to } : { kind: 'nothing' };",
    "return { kind: 'apply', to };",
  ),
  fence(
    'rank.charge.end',
    'news about a charge that has ended and is edited without a word',
    'test/domain/payment/attempt.test.ts',
    ATTEMPT,
    'if (isEnd(current)) return afterTheEnd(current, fact);',
    '',
  ),
  fence(
    'rank.charge.cancel_first',
    'a declined charge that is given up while its client can still pay it',
    'test/domain/payment/attempt.test.ts',
    ATTEMPT,
    "return fact.isCancelAsked ? { kind: 'nothing' } : { kind: 'cancel_first' };",
    "return { kind: 'apply', to: 'declined' };",
  ),
  fence(
    'rank.refund',
    'older news about a refund that undoes newer',
    'test/domain/refund/refund.test.ts',
    REFUNDS,
    "if (mayMoveRefund(current, to)) return { kind: 'apply', to };",
    "return { kind: 'apply', to };",
  ),

  // What goes out.
  key(
    'charge',
    'a charge that is carried out again when it is sent again (fence 7)',
    'expand: PAYMENT_EXPAND,\n          },\n          { idempotencyKey: request.idempotencyKey },',
    'request.idempotencyKey',
  ),
  key(
    'refund',
    'a refund that is carried out again when it is sent again (fence 7)',
    'expand: REFUND_EXPAND,\n          },\n          { idempotencyKey: request.idempotencyKey },',
    'request.idempotencyKey',
  ),
  key(
    'cancel',
    'a cancelling that is carried out again when it is sent again (fence 7)',
    "{ cancellation_reason: 'abandoned', expand: PAYMENT_EXPAND },\n          { idempotencyKey },",
  ),
  key('customer', 'a second customer at the provider (fence 7)', '{ metadata: { user_id: userId, env } }, { idempotencyKey }'),
  key(
    'setup',
    'a second setup at the provider (fence 7)',
    'metadata: { setup_id: setupRef, env },\n          },\n          { idempotencyKey },',
  ),
  key(
    'setup_confirm',
    'a setup that is confirmed twice (fence 7)',
    "expand: ['payment_method'] },\n          { idempotencyKey },",
  ),
  key('detach', 'a method that is detached twice (fence 7)', 'detach(methodObjectId, {}, { idempotencyKey })'),
  fence(
    'inside_transaction',
    'a call to the provider while a database transaction is open',
    CALLS,
    ADAPTER,
    "invariant(!isInsideTransaction(), 'no provider is called inside a database transaction');",
    '',
  ),
  fence(
    'request_fingerprint',
    'another request under a key that was used for a charge',
    LEASES,
    RESOLVE,
    'isWanted: isWanted && fingerprintOf(claimed.request).equals(attempt.requestFingerprint),',
    'isWanted,',
  ),
  fence(
    'resend.key_alive',
    'a request under a key that the provider may have forgotten',
    LEASES,
    SCHEDULE,
    "return facts.isKeyAlive && facts.isWanted && !facts.lastWasReplayed500 ? 'resend' : 'list';",
    "return facts.isWanted && !facts.lastWasReplayed500 ? 'resend' : 'list';",
  ),
  fence(
    'resend.wanted',
    'a payment that is sent again though nobody wants it any more',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    "return facts.isKeyAlive && facts.isWanted && !facts.lastWasReplayed500 ? 'resend' : 'list';",
    "return facts.isKeyAlive && !facts.lastWasReplayed500 ? 'resend' : 'list';",
  ),
  fence(
    'resend.replayed_500',
    'a request that only brings a stored 500 again, for ever',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    "return facts.isKeyAlive && facts.isWanted && !facts.lastWasReplayed500 ? 'resend' : 'list';",
    "return facts.isKeyAlive && facts.isWanted ? 'resend' : 'list';",
  ),

  // When absence may be concluded.
  fence(
    'absence.bound',
    'absence concluded from a listing too soon after the call',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    '.filter((at) => at >= deadline + ABSENCE_BOUND_MS && at <= now);',
    '.filter((at) => at <= now);',
  ),
  fence(
    'absence.two_listings_apart',
    'absence concluded from one listing, or from two at almost the same time',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    'Math.max(...counted) - Math.min(...counted) >= LISTINGS_APART_MS;',
    'Math.max(...counted) - Math.min(...counted) >= 0;',
  ),
  fence(
    'absence.inbox',
    'absence concluded though an event names the payment',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    'if (facts.isInInbox) return false;',
    '',
  ),
  fence(
    'absence.inbox_reads',
    'an event that names the payment being overlooked',
    'test/usecases/crashes.test.ts',
    PROVIDER,
    'return row?.isMentioned ?? false;',
    'return false;',
  ),
  fence(
    'absence.first_counts',
    'a first listing that is remembered though it was too soon',
    'test/domain/payment/schedule.test.ts',
    SCHEDULE,
    'facts.absentSince ?? (now.getTime() >= countsFrom ? now : null);',
    'facts.absentSince ?? now;',
  ),

  // The client's key, and who may give back how much.
  {
    id: 'client_key.unique',
    stops: "two results for one of a client's keys",
    killer: CLAIMS,
    edits: [
      {
        file: TABLES,
        find: '(result_id is null) <> (user_errors is null)), primary key (bucket, user_id, operation, key));',
        replace: '(result_id is null) <> (user_errors is null)));',
      },
      {
        file: KEYS,
        find: 'on conflict (bucket, user_id, operation, key) do nothing returning key`',
        replace: 'returning key`',
      },
    ],
  },
  fence(
    'client_key.input',
    'another wish under a key that was used before',
    CLAIMS,
    RUN,
    'if (!kept.inputHash.equals(inputHash)) {',
    'if (kept.inputHash.length === 0) {',
  ),
  fence(
    'client_key.one_unit',
    "a client's key that is taken without its result",
    'test/usecases/payments.test.ts',
    RUN,
    'const kept = await claimKey(uow, claim);',
    'const kept = await beginInTx(cashier.tx, command.scope, (other) => claimKey(other, claim));',
  ),
  fence(
    'guard.renewal',
    'a renewal that is sent long after it was claimed',
    RACED,
    RENEW,
    'if (!mayStillSend(cashier, renewal.claimedAtMs)) late.push(renewal);\n      else await send(renewal);',
    'await send(renewal);',
  ),
  fence(
    'renewal.last_look',
    'a renewal that is charged to a method that was removed',
    RACED,
    'src/store/renewals.store.ts',
    "and s.hold = 'none' and m.status = 'active')",
    "and s.hold = 'none')",
  ),
  fence(
    'renewal.drop',
    'a renewal that goes on after its subscription has ended',
    RENEWED,
    'src/usecases/end-subscription.ts',
    'await dropRenewal(uow, cashier, subscriptionId);',
    '',
  ),
  fence('renewal.switch', 'renewals that go on though they were stopped', RENEWED, ADMIT, 'if (isStopped) return null;', ''),
  fence(
    'renewal.one_door',
    'a renewal that is sent past the switch, the plan and the budget',
    RENEWED,
    PAYMENTS,
    "     and (status <> 'created' or cause <> 'renewal')\n",
    '',
  ),
  fence(
    'lease.lost_renewals',
    'a sent renewal that is asked about while its worker still calls',
    RACED,
    'src/store/renewals.store.ts',
    'and (next_action_at <= $2 and lease_until < $2 or',
    'and (next_action_at <= $2 or',
  ),
  fence(
    'lease.present_worker',
    'a sent renewal that is asked about while its worker is seen to live',
    RACED,
    'src/store/renewals.store.ts',
    'or claimed_by is not null and claimed_by not in (select number from alive))',
    'or claimed_by is not null)',
  ),
  fence(
    'renewal.plan',
    'a bug that runs through every card there is',
    RENEWED,
    ADMIT,
    'if (!exceedsPlan(hour.planned, hour.charged, taken)) return taken;',
    'if (!exceedsPlan(hour.planned, 0, 0)) return taken;',
  ),
  fence(
    'renewal.clock',
    'renewals charged by a clock that is wrong',
    RENEWED,
    ADMIT,
    'if (Math.abs(skewMs) > MOST_CLOCK_SKEW_MS) throw new ClockSkew(skewMs);',
    '',
  ),
  fence(
    'refund.cap',
    'more given back than was paid',
    'test/domain/refund/refund.test.ts',
    REFUNDS,
    'if (amount.minor === 0n || amount.minor > left) {',
    'if (amount.minor === 0n) {',
  ),
  fence(
    'refund.agent_limit',
    'an agent who gives back more than the scopes allow',
    'test/usecases/payments.test.ts',
    'src/usecases/refund-transaction.ts',
    'if (!isWithinAgentLimit(actor.scopes, asked.amount)) {',
    "if (!isWithinAgentLimit(new Set(['monetization:finance']), asked.amount)) {",
  ),

  // Money that nothing explains.
  fence(
    'lease.orphan.claim',
    'an orphan that two workers give back at the same time',
    ORPHANED,
    ORPHANS,
    'where bucket = $1 and id = $2 and next_action_at <= $3 and (lease_until is null or lease_until < $3) returning tries`',
    'where bucket = $1 and id = $2 and next_action_at <= $3 returning tries`',
  ),
  fence(
    'lease.orphan.list',
    'an orphan that is held being listed as due',
    ORPHANED,
    ORPHANS,
    'where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)',
    'where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2',
  ),
  fence(
    'guard.orphan',
    'an orphan that is given back long after it was claimed',
    ORPHANED,
    'src/usecases/give-back-orphan.ts',
    'if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return;',
    'if (!claimed) return;',
  ),
  fence(
    'turn.documents',
    'two workers that give two documents one number',
    'test/usecases/documents.test.ts',
    'src/store/documents.store.ts',
    'and c.kind = $2 for update skip locked`',
    'and c.kind = $2`',
  ),
  fence(
    'turn.revenue',
    'two workers that close one day at the same time',
    'test/usecases/revenue.test.ts',
    'src/store/revenue.store.ts',
    'return takeTurn(uow, REVENUE_LOCK);',
    'return takeTurn(uow, REVENUE_LOCK).then(() => true);',
  ),
  fence(
    'turn.roll_up',
    'two workers that add to a balance what is new since before the first of them',
    CLAIMS,
    'src/store/ledger.store.ts',
    'if (await takeTurn(uow, ROLL_UP_LOCK)) await uow.run(ROLL_UP, [until]);',
    'await uow.run(ROLL_UP, [until]);',
  ),
  fence(
    'refund.became_credit',
    'a refund that failed and became credit being given once more',
    'test/domain/refund/refund.test.ts',
    'src/domain/refund/refundable.ts',
    "refunds.filter((r) => r.status !== 'canceled')",
    "refunds.filter((r) => r.status !== 'canceled' && r.status !== 'failed')",
  ),
];
