/**
 * What falls due by itself, and renewals above all, many at a time: each step is a few statements over a whole batch. Locks: due rows and their customers are taken with `skip locked`
 * and never waited for, so any number of workers share the work and none can wait for another in a circle.
 */
import {
  bucketOf,
  type InvoiceId,
  type PaymentIntentId,
  type PriceId,
  type SubscriptionId,
  type TransactionId,
} from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import type { Movement } from '../domain/ledger/journals.js';
import { invariant } from '../domain/invariant.js';
import type { TransactionCause } from './payments.store.js';
import type { CouponColumns } from './catalogue.store.js';
import { PRESENCE_LOCKS } from './presence.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A subscription and its owner. */
export interface SubscriptionRef {
  bucket: number;
  id: SubscriptionId;
  userId: string;
}

const LOCK_DUE = statement<[Slot, Date, number], { bucket: number; id: SubscriptionId; user_id: string }>(
  'lock_due_subscriptions',
  `with due as materialized (
     select bucket, id, user_id from subscription
     where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and status in ('trialing', 'active', 'paused')
     limit $3 for update skip locked)
   select d.bucket, d.id, d.user_id from due d join customer c on c.bucket = d.bucket and c.user_id = d.user_id
   for update of c skip locked`,
);

/** Locks up to `limit` subscriptions of which something is due by itself, and their customers. One of each customer at a time. */
export async function lockDueSubscriptions(uow: UnitOfWork, buckets: Slot, limit: number): Promise<SubscriptionRef[]> {
  const rows = await uow.run(LOCK_DUE, [buckets, uow.now, limit]);
  const firstOfUser = new Map(rows.map((row) => [row.user_id, row]));
  return [...firstOfUser.values()].map(({ bucket, id, user_id }) => ({ bucket, id, userId: user_id }));
}

const ANY_DUE = statement<[Slot, Date], { isAny: boolean }>(
  'any_due_subscription',
  `select exists (select from subscription where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2
     and status in ('trialing', 'active', 'paused')) as "isAny"`,
);

/** Whether anything is due of any subscription of these buckets. */
export async function isAnySubscriptionDue(uow: UnitOfWork, buckets: Slot): Promise<boolean> {
  return (await uow.run(ANY_DUE, [buckets, uow.now]))[0]?.isAny ?? false;
}

/** What is due of a subscription, and billed for it, is decided by this. Amounts in minor units. */
export interface DueRow {
  bucket: number;
  id: SubscriptionId;
  userId: string;
  status: string;
  hold: string;
  cancelAtPeriodEnd: boolean;
  pauseAtPeriodEnd: boolean;
  resumesAt: Date | null;
  trialEndsAt: Date | null;
  renewedBy: string;
  giftId: string | null;
  prepaidPeriods: number;
  renewsAfterGift: boolean;
  pendingPriceId: PriceId | null;
  epoch: number;
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  anchorLocal: string;
  zone: string;
  tierName: string;
  priceId: PriceId;
  amount: bigint;
  currency: string;
  intervalUnit: string;
  intervalCount: number;
  taxBehavior: string;
  /** Of the customer; null: not known. */
  country: string | null;
  /** What we owe the customer in the currency; negative: what the customer owes us. */
  balance: bigint;
  /** The coupon at work, its instant as text; null: none. */
  coupon: (Omit<CouponColumns, 'redeemBy'> & { redeemBy: string | null }) | null;
  couponPeriodsLeft: number | null;
  /** The usable method that is charged, and its token; null without one. */
  methodId: string | null;
  methodObjectId: string | null;
  customerObjectId: string | null;
  /** The unpaid invoice of a period to come, whose attempt was not carried out. */
  openInvoiceId: InvoiceId | null;
  /** A change of tier waits for its payment. */
  hasOpenChange: boolean;
}

const LOAD_DUE = statement<[number[], string[], number], DueRow>(
  'load_due_subscriptions',
  `select s.bucket, s.id, s.user_id as "userId", s.status, s.hold, s.cancel_at_period_end as "cancelAtPeriodEnd",
     s.pause_at_period_end as "pauseAtPeriodEnd", s.resumes_at as "resumesAt", s.trial_ends_at as "trialEndsAt", s.renewed_by as "renewedBy",
     s.gift_id as "giftId", s.prepaid_periods as "prepaidPeriods", s.renews_after_gift as "renewsAfterGift",
     s.pending_price_id as "pendingPriceId", s.epoch, s.period_number as "periodNumber", s.period_start as "periodStart",
     s.period_end as "periodEnd", s.anchor_local as "anchorLocal", s.zone, t.name as "tierName", p.id as "priceId", p.amount, p.currency,
     p.interval_unit as "intervalUnit", p.interval_count as "intervalCount", p.tax_behavior as "taxBehavior", c.country,
     coalesce(owed.balance, 0) as balance, r.periods_left as "couponPeriodsLeft",
     case when k2.id is not null then jsonb_build_object('id', k2.id, 'code', k2.code, 'percentOffBps', k2.percent_off_bps,
       'amountsOff', k2.amounts_off, 'durationPeriods', k2.duration_periods, 'intervalUnits', k2.interval_units, 'redeemBy', k2.redeem_by,
       'maxRedemptions', k2.max_redemptions) end as coupon,
     coalesce(own.id, usual.id) as "methodId", coalesce(own.provider_object_id, usual.provider_object_id) as "methodObjectId",
     pc.object_id as "customerObjectId", i.id as "openInvoiceId", ch.id is not null as "hasOpenChange"
   from unnest($1::smallint[], $2::uuid[]) k (bucket, id)
   join subscription s on s.bucket = k.bucket and s.id = k.id
   join customer c on c.bucket = s.bucket and c.user_id = s.user_id
   join price p on p.id = s.price_id
   join tier t on t.id = s.tier_id
   left join customer_credit owed on owed.bucket = s.bucket and owed.user_id = s.user_id and owed.currency = p.currency
   left join coupon_redemption r on r.bucket = s.bucket and r.subscription_id = s.id and r.ended_at is null
   left join coupon k2 on k2.id = r.coupon_id
   left join payment_method own on own.bucket = s.bucket and own.id = s.payment_method_id and own.status = 'active'
   left join payment_method usual on usual.bucket = c.bucket and usual.id = c.default_payment_method_id and usual.status = 'active'
   left join provider_customer pc on pc.bucket = s.bucket and pc.user_id = s.user_id and pc.provider_account_id = $3
   left join invoice i on i.bucket = s.bucket and i.subscription_id = s.id and i.kind = 'period' and i.status = 'open'
     and (i.epoch, i.period_number) > (s.epoch, s.period_number)
   left join invoice ch on ch.bucket = s.bucket and ch.subscription_id = s.id and ch.kind = 'change' and ch.status = 'open'`,
);

/** Subscriptions as they stand under the locks just taken. */
export async function loadDueSubscriptions(
  uow: UnitOfWork,
  refs: SubscriptionRef[],
  providerAccountId: number,
): Promise<DueRow[]> {
  return uow.run(LOAD_DUE, [refs.map(({ bucket }) => bucket), refs.map(({ id }) => id), providerAccountId]);
}

/** What is owed for one period, and the attempt to collect it: everything a renewal writes before any call. */
export interface RenewalBill {
  bucket: number;
  userId: string;
  subscriptionId: SubscriptionId;
  invoiceId: InvoiceId;
  intentId: PaymentIntentId;
  attemptId: TransactionId;
  /** Of its rows in the outbox, one for each change that is told. */
  outboxIds: string[];
  epoch: number;
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  /** Days of its revenue: the first, and the one after the last. */
  startsOn: string;
  endsOn: string;
  currency: string;
  /** Of the one line: what it costs after the coupon, what that took off, and the tax. */
  net: string;
  discount: string;
  tax: string;
  ratePpm: number;
  couponId: string | null;
  /** Of the total, paid from the balance; and what from before is collected beside it. */
  creditApplied: string;
  debitCollected: string;
  /** What is charged. */
  amount: string;
  description: string;
  priceId: string;
  methodId: string;
  idempotencyKey: string;
  /** Hex. */
  fingerprint: string;
  sendAt: Date;
}

/** A movement with the row it comes from. */
export interface SourcedMovement extends Omit<Movement, 'amountMinor'> {
  bucket: number;
  sourceId: string;
  amount: string;
  userId: string;
  invoiceId: string | null;
  effectiveAt: Date;
}

/** Movements of many journals, as part of a statement; `$movements` is their JSON, `$account` the provider account, `$now` the instant. */
function postedFrom(movements: string, account: string, now: string): string {
  return `insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, user_id,
       invoice_id, effective_at, posted_at)
     select m.bucket, m."sourceId", m.event, m.leg, d.id, c.id, m.currency, m.amount, m."userId", m."invoiceId", m."effectiveAt", ${now}
     from json_to_recordset(${movements}::json) as m (bucket smallint, "sourceId" uuid, event text, leg text, debit text, credit text,
       currency char(3), amount bigint, "userId" text, "invoiceId" uuid, "effectiveAt" timestamptz)
     join ledger_account d on d.code = m.debit and d.currency = m.currency and (d.provider_account_id is null or d.provider_account_id = ${account})
     join ledger_account c on c.code = m.credit and c.currency = m.currency and (c.provider_account_id is null or c.provider_account_id = ${account})
     returning leg`;
}

/**
 * Changes told to the feed and the outbox, in this order for each user; `k` holds one row of each user with bucket, "userId" and "outboxIds", one for
 * each change. A change is a word of the feed with the expressions, over `k`, of its subject, version, status and previous status.
 */
function told(
  changes: readonly (readonly [word: string, subject: string, version: string, status: string, previous: string])[],
): string {
  const rows = changes.map(
    ([word, subject, version, status, previous], at) =>
      `(${at + 1}, '${word}', b.${subject}, ${version}, ${status}, ${previous}, b."outboxIds"[${at + 1}])`,
  );
  return `bumped as (
     update customer c set feed_seq = c.feed_seq + ${changes.length} from k where c.bucket = k.bucket and c.user_id = k."userId"
     returning k.*, c.feed_seq - ${changes.length} as before)
   , change as (
     select b.bucket, b."userId", b.before + h.nth as seq, h.* from bumped b cross join lateral (values
       ${rows.join(',\n       ')}) h (nth, change, subject, version, status, previous, "outboxId"))
   , feed as (
     insert into feed_entry (bucket, user_id, seq, at, change, subject_id, version, status, previous_status)
     select bucket, "userId", seq, $3, change, subject, version, status, previous from change)
   , outbox as (
     insert into outbox_event (bucket, id, user_id, seq, type, data)
     select bucket, "outboxId", "userId", seq, change, jsonb_build_object('subjectId', subject, 'version', version, 'status', status,
       'previousStatus', previous)
     from change)`;
}

const TOLD_OF_BILL = [
  ['invoice', '"invoiceId"', '0', "'open'", 'null::text'],
  ['payment_status', '"attemptId"', '0', "'pending'", 'null::text'],
] as const;
const TOLD_OF_PAID = [
  ['invoice', '"invoiceId"', '0', "'paid'", "'open'"],
  ['payment_status', '"attemptId"', 'b.version', "'succeeded'", 'b."previousStatus"'],
  ['subscription', '"subscriptionId"', 'b."subscriptionVersion" + 1', "'active'", 'b."subscriptionStatus"'],
  ['entitlements', '"subscriptionId"', '0', 'null', 'null'],
] as const;
/** How many changes a bill, and its payment, tell. */
export const TOLD = { ofBill: TOLD_OF_BILL.length, ofPaid: TOLD_OF_PAID.length };

const WRITE_BILLS = statement<[string, string, Date, number], { posted: number }>(
  'write_renewal_bills',
  `with k as materialized (
     select r.* from json_to_recordset($1::json) as r (bucket smallint, "userId" text, "subscriptionId" uuid, "invoiceId" uuid,
       "intentId" uuid, "attemptId" uuid, "outboxIds" uuid[], epoch int, "periodNumber" int, "periodStart" timestamptz, "periodEnd" timestamptz,
       "startsOn" date, "endsOn" date, currency text, net bigint, discount bigint, tax bigint, "ratePpm" int, "couponId" uuid,
       "creditApplied" bigint, "debitCollected" bigint, amount bigint, description text, "priceId" uuid, "methodId" uuid,
       "idempotencyKey" text, fingerprint text, "sendAt" timestamptz))
   , bill as (
     insert into invoice (bucket, id, user_id, kind, subscription_id, epoch, period_number, period_start, period_end, currency, net, tax,
       credit_applied, debit_collected, status, finalized_at)
     select bucket, "invoiceId", "userId", 'period', "subscriptionId", epoch, "periodNumber", "periodStart", "periodEnd", currency, net, tax,
       "creditApplied", "debitCollected", 'open', $3 from k)
   , line as (
     insert into invoice_line (bucket, invoice_id, position, user_id, description, price_id, amount, discount, tax, tax_rate_ppm, coupon_id,
       period_start, period_end)
     select bucket, "invoiceId", 1, "userId", description, "priceId", net, discount, tax, "ratePpm", "couponId", "periodStart", "periodEnd" from k)
   , used as (
     update customer_credit c set balance = c.balance - k."creditApplied" + k."debitCollected" from k
     where c.bucket = k.bucket and c.user_id = k."userId" and c.currency = k.currency and (k."creditApplied" <> 0 or k."debitCollected" <> 0))
   , schedule as (
     insert into revenue_schedule (bucket, invoice_id, seq, user_id, currency, net, starts_on, ends_on)
     select bucket, "invoiceId", 1, "userId", currency, net, "startsOn", "endsOn" from k where net > 0)
   , posted as (
     ${postedFrom('$2', '$4', '$3')})
   , intent as (
     insert into payment_intent (bucket, id, user_id, invoice_id, amount, currency, status)
     select bucket, "intentId", "userId", "invoiceId", amount, currency, 'created' from k)
   , attempt as (
     insert into payment_attempt (bucket, id, user_id, payment_intent_id, number, provider_account_id, payment_method_id, amount, currency,
       cause, is_off_session, idempotency_key, return_url, request_fingerprint, status, next_action_at)
     select bucket, "attemptId", "userId", "intentId", 1, $4, "methodId", amount, currency, 'renewal', true, "idempotencyKey", null,
       decode(fingerprint, 'hex'), 'created', "sendAt" from k)
   , history as (
     insert into transaction (bucket, id, user_id, kind, status, amount, currency, provider_account_id, payment_method_id, subscription_id, invoice_id)
     select bucket, "attemptId", "userId", 'charge', 'pending', amount, currency, $4, "methodId", "subscriptionId", "invoiceId" from k)
   , event as (
     insert into transaction_event (bucket, transaction_id, version, user_id, status, at, cause)
     select bucket, "attemptId", 0, "userId", 'pending', $3, 'renewal' from k)
   , billed as (
     update subscription s set next_action_at = null from k where s.bucket = k.bucket and s.id = k."subscriptionId")
   , ${told(TOLD_OF_BILL)}
   select count(*)::int as posted from posted`,
);

/** Writes what is owed for many periods with the attempts that will collect it; the subscriptions wait for their outcome. */
export async function writeRenewalBills(
  uow: UnitOfWork,
  bills: RenewalBill[],
  movements: SourcedMovement[],
  providerAccountId: number,
): Promise<void> {
  const [written] = await uow.run(WRITE_BILLS, [JSON.stringify(bills), JSON.stringify(movements), uow.now, providerAccountId]);
  invariant(written?.posted === movements.length, 'the chart has the accounts of every movement', {
    written,
    bills: bills.length,
  });
}

/** A renewal's attempt and its owner. */
export interface RenewalAttemptRef {
  bucket: number;
  id: TransactionId;
  userId: string;
}

const COUNT_DUE = statement<[Slot, Date, number], { due: number }>(
  'count_due_renewal_attempts',
  `select count(*)::int as due from (
     select from payment_attempt where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and status = 'created' and cause = 'renewal' limit $3) d`,
);

/** How many renewals wait to go out in these buckets, counted no further than `most`. */
export async function countDueAttempts(uow: UnitOfWork, buckets: Slot, most: number): Promise<number> {
  return (await uow.run(COUNT_DUE, [buckets, uow.now, most]))[0]?.due ?? 0;
}

const LOCK_ATTEMPTS = statement<[Slot, Date, number], { bucket: number; id: TransactionId; user_id: string }>(
  'lock_renewal_attempts',
  `with due as materialized (
     select bucket, id, user_id from payment_attempt
     where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and status = 'created' and cause = 'renewal'
     limit $3 for update skip locked)
   select d.bucket, d.id, d.user_id from due d join customer c on c.bucket = d.bucket and c.user_id = d.user_id
   for update of c skip locked`,
);

/** Locks up to `limit` renewals whose attempt is to go out, and their customers. */
export async function lockRenewalAttempts(uow: UnitOfWork, buckets: Slot, limit: number): Promise<RenewalAttemptRef[]> {
  const rows = await uow.run(LOCK_ATTEMPTS, [buckets, uow.now, limit]);
  return rows.map(({ bucket, id, user_id }) => ({ bucket, id, userId: user_id }));
}

/** A renewal that is claimed for its call: what the request is made of. */
export interface SentRenewal {
  bucket: number;
  id: TransactionId;
  userId: string;
  version: number;
  intentId: PaymentIntentId;
  invoiceId: InvoiceId;
  amount: bigint;
  currency: string;
  idempotencyKey: string;
  methodObjectId: string;
  customerObjectId: string;
  fingerprint: Buffer;
}

const SEND = statement<[number[], string[], Date, Date, Date, Date, Date, number | null], SentRenewal>(
  'send_renewals',
  `with k as materialized (
     select a.bucket, a.id, i.id as intent_id, i.invoice_id, m.provider_object_id, pc.object_id
     from unnest($1::smallint[], $2::uuid[]) d (bucket, id)
     join payment_attempt a on a.bucket = d.bucket and a.id = d.id
     join payment_intent i on i.bucket = a.bucket and i.id = a.payment_intent_id
     join invoice v on v.bucket = i.bucket and v.id = i.invoice_id
     join subscription s on s.bucket = v.bucket and s.id = v.subscription_id
     join payment_method m on m.bucket = a.bucket and m.id = a.payment_method_id
     join provider_customer pc on pc.bucket = a.bucket and pc.user_id = a.user_id and pc.provider_account_id = a.provider_account_id
     where a.status = 'created' and i.cancel_requested_at is null and v.status = 'open' and s.status in ('trialing', 'active', 'past_due', 'paused')
       and s.hold = 'none' and m.status = 'active')
   , flying as (
     update payment_intent i set status = 'in_flight', version = i.version + 1 from k where i.bucket = k.bucket and i.id = k.intent_id)
   , sent as (
     update payment_attempt a set status = 'sent', sent_at = $3, call_deadline_at = $4, key_valid_until = $5, lease_until = $6,
       next_action_at = $7, claimed_by = $8, version = a.version + 1
     from k where a.bucket = k.bucket and a.id = k.id
     returning a.bucket, a.id, a.user_id, a.version, a.amount, a.currency, a.idempotency_key, a.request_fingerprint)
   select t.bucket, t.id, t.user_id as "userId", t.version, k.intent_id as "intentId", k.invoice_id as "invoiceId", t.amount, t.currency,
     t.idempotency_key as "idempotencyKey", k.provider_object_id as "methodObjectId", k.object_id as "customerObjectId",
     t.request_fingerprint as fingerprint
   from sent t join k on k.bucket = t.bucket and k.id = t.id`,
);

/** A claim: its instants, all computed from the unit's own, and whose it is. */
export interface Claim {
  callDeadlineAt: Date;
  keyValidUntil: Date;
  leaseUntil: Date;
  nextActionAt: Date;
  /** Presence of the worker that claims. */
  claimedBy: number | null;
}

/**
 * The last look before the call (rules N3), and the claim: those still wanted are `sent` from here on. Whatever is missing in the answer is not
 * wanted any more, or can not be charged as it stands.
 */
export async function sendRenewals(uow: UnitOfWork, refs: RenewalAttemptRef[], claim: Claim): Promise<SentRenewal[]> {
  return uow.run(SEND, [
    refs.map(({ bucket }) => bucket),
    refs.map(({ id }) => id),
    uow.now,
    claim.callDeadlineAt,
    claim.keyValidUntil,
    claim.leaseUntil,
    claim.nextActionAt,
    claim.claimedBy,
  ]);
}

const LOCK_LOST = statement<[Slot, Date, number, Date, number], { bucket: number; id: TransactionId; user_id: string }>(
  'lock_lost_renewals',
  `with alive as materialized (
     select l.objid::int8 as number from pg_locks l join pg_database d on d.oid = l.database
     where l.locktype = 'advisory' and l.classid = $5::int8::oid and l.granted and d.datname = current_database())
   , due as materialized (
     select bucket, id, user_id from payment_attempt
     where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $4 and status = 'sent' and cause = 'renewal' and probes < 4
       and (next_action_at <= $2 and lease_until < $2 or claimed_by is not null and claimed_by not in (select number from alive))
     limit $3 for update skip locked)
   select d.bucket, d.id, d.user_id from due d join customer c on c.bucket = d.bucket and c.user_id = d.user_id
   for update of c skip locked`,
);

/**
 * Locks up to `limit` sent renewals whose worker is gone, and their customers: its lease is over, or it is seen to be gone.
 * @param claimedUntil those claimed up to now are looked at before this
 */
export async function lockLostRenewals(
  uow: UnitOfWork,
  buckets: Slot,
  limit: number,
  claimedUntil: Date,
): Promise<RenewalAttemptRef[]> {
  const rows = await uow.run(LOCK_LOST, [buckets, uow.now, limit, claimedUntil, PRESENCE_LOCKS]);
  return rows.map(({ bucket, id, user_id }) => ({ bucket, id, userId: user_id }));
}

const RESEND = statement<[number[], string[], Date, Date, number | null], SentRenewal>(
  'resend_renewals',
  `with k as materialized (
     select a.bucket, a.id, i.id as intent_id, i.invoice_id, m.provider_object_id, pc.object_id
     from unnest($1::smallint[], $2::uuid[]) d (bucket, id)
     join payment_attempt a on a.bucket = d.bucket and a.id = d.id
     join payment_intent i on i.bucket = a.bucket and i.id = a.payment_intent_id
     join payment_method m on m.bucket = a.bucket and m.id = a.payment_method_id
     join provider_customer pc on pc.bucket = a.bucket and pc.user_id = a.user_id and pc.provider_account_id = a.provider_account_id
     where a.status = 'sent' and a.provider_object_id is null and i.status = 'in_flight' and i.cancel_requested_at is null
       and a.key_valid_until > $3)
   , sent as (
     update payment_attempt a set lease_until = $4, claimed_by = $5, probes = a.probes + 1, version = a.version + 1
     from k where a.bucket = k.bucket and a.id = k.id
     returning a.bucket, a.id, a.user_id, a.version, a.amount, a.currency, a.idempotency_key, a.request_fingerprint)
   select t.bucket, t.id, t.user_id as "userId", t.version, k.intent_id as "intentId", k.invoice_id as "invoiceId", t.amount, t.currency,
     t.idempotency_key as "idempotencyKey", k.provider_object_id as "methodObjectId", k.object_id as "customerObjectId",
     t.request_fingerprint as fingerprint
   from sent t join k on k.bucket = t.bucket and k.id = t.id`,
);

/**
 * Claims sent renewals again, to ask how they ended by the very same request. Whatever is missing in the answer is for the resolver: its key is
 * too old, or nobody wants it any more.
 */
export async function resendRenewals(
  uow: UnitOfWork,
  refs: RenewalAttemptRef[],
  claim: Pick<Claim, 'leaseUntil' | 'claimedBy'>,
): Promise<SentRenewal[]> {
  const { leaseUntil, claimedBy } = claim;
  return uow.run(RESEND, [refs.map(({ bucket }) => bucket), refs.map(({ id }) => id), uow.now, leaseUntil, claimedBy]);
}

const GIVE_BACK = statement<[number[], string[], number[], Date], never>(
  'give_renewals_back',
  `update payment_attempt a set lease_until = $4, next_action_at = $4, claimed_by = null, version = a.version + 1
   from unnest($1::smallint[], $2::uuid[], $3::int[]) k (bucket, id, version)
   where a.bucket = k.bucket and a.id = k.id and a.version = k.version and a.status = 'sent' and a.lease_until > $4`,
);

/** Ends claims under which nothing was sent, where they still hold, so that another need not wait for the end of their lease. */
export async function giveRenewalsBack(
  uow: UnitOfWork,
  renewals: readonly { bucket: number; id: string; version: number }[],
): Promise<void> {
  await uow.run(GIVE_BACK, [
    renewals.map(({ bucket }) => bucket),
    renewals.map(({ id }) => id),
    renewals.map(({ version }) => version),
    uow.now,
  ]);
}

/** A renewal that waits for its outcome: what the outcome is compared with, and written to. */
export type OpenRenewal = Pick<SentRenewal, 'bucket' | 'id' | 'userId' | 'intentId' | 'invoiceId' | 'amount' | 'currency'>;

const OPEN_OF_INTENTS = statement<[number[], string[]], OpenRenewal>(
  'open_renewals_of_intents',
  `select a.bucket, a.id, a.user_id as "userId", i.id as "intentId", i.invoice_id as "invoiceId", a.amount, a.currency
   from unnest($1::smallint[], $2::uuid[]) k (bucket, id)
   join payment_intent i on i.bucket = k.bucket and i.id = k.id
   join payment_attempt a on a.bucket = i.bucket and a.payment_intent_id = i.id
   where i.status = 'in_flight' and a.status in ('sent', 'unknown') and a.cause = 'renewal'`,
);

/** Those of these intents that collect a renewal whose outcome is not known yet. */
export async function openRenewalsOf(uow: UnitOfWork, intentIds: readonly PaymentIntentId[]): Promise<OpenRenewal[]> {
  return uow.run(OPEN_OF_INTENTS, [intentIds.map(bucketOf), [...intentIds]]);
}

const LOCK_CUSTOMERS = statement<[number[], string[]], { user_id: string }>(
  'lock_customers',
  `select c.user_id from unnest($1::smallint[], $2::text[]) k (bucket, user_id)
   join customer c on c.bucket = k.bucket and c.user_id = k.user_id order by c.bucket, c.user_id for update of c`,
);

/** How a sent renewal and its subscription stand when the outcome is written. */
export interface RenewalStanding {
  bucket: number;
  id: TransactionId;
  subscriptionId: SubscriptionId;
  attemptVersion: number;
  transactionVersion: number;
  transactionStatus: string;
  subscriptionStatus: string;
  subscriptionVersion: number;
  epoch: number;
  periodNumber: number;
  invoiceEpoch: number;
  invoicePeriod: number;
  invoiceStart: Date;
  invoiceEnd: Date;
  /** It is for the next period at the pinned price without a coupon, so that nothing else changes with it. */
  isPlain: boolean;
}

const STANDING = statement<[number[], string[]], RenewalStanding>(
  'renewals_standing',
  `select a.bucket, a.id, s.id as "subscriptionId", a.version as "attemptVersion", t.version as "transactionVersion",
     t.status as "transactionStatus", s.status as "subscriptionStatus", s.version as "subscriptionVersion", s.epoch,
     s.period_number as "periodNumber", v.epoch as "invoiceEpoch", v.period_number as "invoicePeriod", v.period_start as "invoiceStart",
     v.period_end as "invoiceEnd",
     s.status in ('active', 'past_due') and v.epoch = s.epoch and l.price_id = s.price_id and l.coupon_id is null as "isPlain"
   from unnest($1::smallint[], $2::uuid[]) k (bucket, id)
   join payment_attempt a on a.bucket = k.bucket and a.id = k.id
   join payment_intent i on i.bucket = a.bucket and i.id = a.payment_intent_id
   join invoice v on v.bucket = i.bucket and v.id = i.invoice_id
   join invoice_line l on l.bucket = v.bucket and l.invoice_id = v.id and l.position = 1
   join subscription s on s.bucket = v.bucket and s.id = v.subscription_id
   join transaction t on t.bucket = a.bucket and t.id = a.id
   where a.status in ('sent', 'unknown') and i.status = 'in_flight' and i.cancel_requested_at is null and v.status = 'open' and v.kind = 'period'`,
);

/** Locks the customers of these renewals, in one order, and tells how those stand that nobody has ended meanwhile. */
export async function lockStanding(uow: UnitOfWork, refs: RenewalAttemptRef[]): Promise<RenewalStanding[]> {
  const buckets = refs.map(({ bucket }) => bucket);
  await uow.run(LOCK_CUSTOMERS, [buckets, refs.map(({ userId }) => userId)]);
  return uow.run(STANDING, [buckets, refs.map(({ id }) => id)]);
}

/** A renewal that was paid: everything its success writes. */
export interface PaidRenewal {
  bucket: number;
  userId: string;
  attemptId: TransactionId;
  attemptVersion: number;
  intentId: PaymentIntentId;
  invoiceId: InvoiceId;
  subscriptionId: SubscriptionId;
  subscriptionVersion: number;
  /** Before. */
  subscriptionStatus: string;
  /** Of its rows in the outbox, one for each change that is told. */
  outboxIds: string[];
  /** Of the transaction, after the change. */
  version: number;
  previousStatus: string;
  statementDescriptor: string | null;
  objectId: string;
  objectBucket: number;
  chargeId: string;
  chargeBucket: number;
  periodNumber: number;
  periodStart: Date;
  periodEnd: Date;
  entitledUntil: Date;
  nextActionAt: Date;
  /** The line of the provider's books; its id is also the source of the fee's movement. */
  recordId: string;
  nativeId: string;
  nativeType: string;
  recordObjectId: string | null;
  recordParentId: string | null;
  gross: string;
  fee: string;
  net: string;
  currency: string;
  occurredAt: Date;
  day: string;
  recordStatus: string;
  /** Hex. */
  digest: string;
}

const WRITE_PAID = statement<[string, string, Date, number, TransactionCause], { posted: number; advanced: number }>(
  'write_paid_renewals',
  `with k as materialized (
     select * from json_to_recordset($1::json) as r (bucket smallint, "userId" text, "attemptId" uuid, "attemptVersion" int, "intentId" uuid,
       "invoiceId" uuid, "subscriptionId" uuid, "subscriptionVersion" int, "subscriptionStatus" text, "outboxIds" uuid[], version int, "previousStatus" text,
       "statementDescriptor" text, "objectId" text, "objectBucket" smallint, "chargeId" text, "chargeBucket" smallint, "periodNumber" int,
       "periodStart" timestamptz, "periodEnd" timestamptz, "entitledUntil" timestamptz, "nextActionAt" timestamptz, "recordId" uuid,
       "nativeId" text, "nativeType" text, "recordObjectId" text, "recordParentId" text, gross bigint, fee bigint, net bigint, currency text,
       "occurredAt" timestamptz, day date, "recordStatus" text, digest text))
   , attempt as (
     update payment_attempt a set status = 'succeeded', provider_object_id = k."objectId", provider_charge_id = k."chargeId", next_action = null,
       next_action_at = null, lease_until = null, version = a.version + 1
     from k where a.bucket = k.bucket and a.id = k."attemptId" and a.version = k."attemptVersion")
   , intent as (
     update payment_intent i set status = 'succeeded', version = i.version + 1 from k where i.bucket = k.bucket and i.id = k."intentId")
   , bill as (
     update invoice v set status = 'paid', paid_at = $3 from k where v.bucket = k.bucket and v.id = k."invoiceId" and v.status = 'open')
   , history as (
     update transaction t set status = 'succeeded', version = k.version, settled_at = $3, statement_descriptor = k."statementDescriptor"
     from k where t.bucket = k.bucket and t.id = k."attemptId" and t.version = k.version - 1)
   , event as (
     insert into transaction_event (bucket, transaction_id, version, user_id, status, at, cause)
     select bucket, "attemptId", version, "userId", 'succeeded', $3, $5 from k)
   , ref as (
     insert into provider_ref (bucket, object_id, provider_account_id, kind, id)
     select "objectBucket", "objectId", $4::smallint, 'payment_intent', "intentId" from k
     union all select "chargeBucket", "chargeId", $4::smallint, 'charge', "attemptId" from k
     on conflict (bucket, object_id, provider_account_id) do nothing)
   , record as (
     insert into provider_record (bucket, id, provider_account_id, native_id, native_type, kind, object_id, parent_object_id, our_ref, gross, fee,
       net, currency, occurred_at, day, status, digest, matched_id, matched_type, matched_by)
     select bucket, "recordId", $4, "nativeId", "nativeType", 'charge', "recordObjectId", "recordParentId", "intentId", gross, fee, net, currency,
       "occurredAt", day, "recordStatus", decode(digest, 'hex'), "attemptId", 'transaction', 'M1' from k)
   , posted as (
     ${postedFrom('$2', '$4', '$3')})
   , renewed as (
     update subscription s set status = 'active', period_number = k."periodNumber", period_start = k."periodStart", period_end = k."periodEnd",
       entitled_until = k."entitledUntil", next_action_at = k."nextActionAt", version = s.version + 1
     from k where s.bucket = k.bucket and s.id = k."subscriptionId" and s.version = k."subscriptionVersion"
     returning s.bucket, s.id, s.version, s.user_id)
   , told as (
     insert into subscription_event (bucket, subscription_id, version, user_id, kind, status, cause, at)
     select bucket, id, version, user_id, 'renewed', 'active', 'renewal', $3 from renewed)
   , ${told(TOLD_OF_PAID)}
   select (select count(*) from posted)::int as posted, (select count(*) from renewed)::int as advanced`,
);

/** Writes the success of many renewals: attempt to ledger, feed and the next period. A line of the books that is known already fails the batch. */
export async function writePaidRenewals(
  uow: UnitOfWork,
  paid: PaidRenewal[],
  movements: SourcedMovement[],
  from: { providerAccountId: number; cause: TransactionCause },
): Promise<void> {
  const { providerAccountId, cause } = from;
  const [written] = await uow.run(WRITE_PAID, [
    JSON.stringify(paid),
    JSON.stringify(movements),
    uow.now,
    providerAccountId,
    cause,
  ]);
  invariant(written?.posted === movements.length && written.advanced === paid.length, 'a paid renewal is written as a whole', {
    written,
    paid: paid.length,
    movements: movements.length,
  });
}

const PUT_OFF = statement<[number[], string[], Date | null], never>(
  'put_off_renewals',
  `update subscription s set next_action_at = $3 from unnest($1::smallint[], $2::uuid[]) k (bucket, id)
   where s.bucket = k.bucket and s.id = k.id`,
);

/** Says when subscriptions are looked at next; null: whoever ends their payment says it. Their locks are held. */
export async function putOffRenewals(uow: UnitOfWork, refs: SubscriptionRef[], at: Date | null): Promise<void> {
  await uow.run(PUT_OFF, [refs.map(({ bucket }) => bucket), refs.map(({ id }) => id), at]);
}
