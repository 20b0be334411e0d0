/** What providers told: directory of their ids, lines of their books, webhooks, and what did not fit. */
import { bucketOf, type WebhookEventId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { ReconFindingRow } from '../entities/provider.entity.js';
import { keyBucket, sha256 } from '../platform/json.js';
import type { ProviderEvent, ProviderRecordFact } from '../ports/provider.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** What a provider's id stands for here. */
export type RefKind = 'payment_intent' | 'charge' | 'orphan' | 'refund' | 'dispute' | 'payment_method' | 'payment_method_setup';

const ADD_REF = statement<[number, string, number, string, string], never>(
  'add_provider_ref',
  `insert into provider_ref (bucket, object_id, provider_account_id, kind, id) values ($1, $2, $3, $4, $5)
   on conflict (bucket, object_id, provider_account_id) do nothing`,
);
const FIND_REF = statement<[number, string, number], { kind: RefKind; id: string }>(
  'find_provider_ref',
  'select kind, id from provider_ref where bucket = $1 and object_id = $2 and provider_account_id = $3',
);

/** Remembers which of our rows a provider's object is; the first to say so wins (fence 5 across users). */
export async function recordRef(
  uow: UnitOfWork,
  ref: { objectId: string; providerAccountId: number; kind: RefKind; id: string },
): Promise<void> {
  await uow.run(ADD_REF, [keyBucket(ref.objectId), ref.objectId, ref.providerAccountId, ref.kind, ref.id]);
}

/** Which of our rows a provider's object is; null when it was never met. */
export async function findRef(
  uow: UnitOfWork,
  objectId: string,
  providerAccountId: number,
): Promise<{ kind: RefKind; id: string } | null> {
  const [ref] = await uow.run(FIND_REF, [keyBucket(objectId), objectId, providerAccountId]);
  return ref ?? null;
}

const ADD_RECORD = statement<
  [
    bucket: number,
    id: string,
    providerAccountId: number,
    nativeId: string,
    nativeType: string,
    kind: string,
    objectId: string | null,
    parentObjectId: string | null,
    ourRef: string | null,
    gross: bigint,
    fee: bigint,
    net: bigint,
    currency: string,
    occurredAt: Date,
    day: string,
    status: string,
    digest: Buffer,
    matchedId: string | null,
  ],
  { id: string }
>(
  'add_provider_record',
  `insert into provider_record (bucket, id, provider_account_id, native_id, native_type, kind, object_id, parent_object_id, our_ref,
     gross, fee, net, currency, occurred_at, day, status, digest, matched_id, matched_type, matched_by)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
     case when $18::uuid is not null then 'transaction' end, case when $18::uuid is not null then 'M1' end)
   on conflict (bucket, provider_account_id, native_id, native_type) do nothing returning id`,
);

/**
 * Keeps a line of the provider's books, matched to its transaction; false when it was kept before.
 * Its id is given by the caller, in the user's bucket.
 */
export async function recordProviderRecord(
  uow: UnitOfWork,
  record: {
    id: string;
    providerAccountId: number;
    fact: ProviderRecordFact;
    ourRef: string | null;
    /** The transaction it belongs to; null when nobody asked for it. */
    matchedId: string | null;
  },
): Promise<boolean> {
  const { fact } = record;
  const added = await uow.run(ADD_RECORD, [
    bucketOf(record.id),
    record.id,
    record.providerAccountId,
    fact.nativeId,
    fact.nativeType,
    fact.kind,
    fact.objectId,
    fact.parentObjectId,
    record.ourRef,
    fact.grossMinor,
    fact.feeMinor,
    fact.netMinor,
    fact.currency,
    fact.occurredAt,
    fact.occurredAt.toISOString().slice(0, 10),
    fact.status,
    sha256(fact.raw),
    record.matchedId,
  ]);
  return added.length > 0;
}

/** Something that does not fit and that a person, or a later step, must settle. */
export interface NewFinding {
  id: string;
  providerAccountId: number;
  kind: string;
  /** 1 pages now, 2 the same business day, 3 within three days. */
  severity: 1 | 2 | 3;
  currency: string | null;
  oursMinor: bigint | null;
  theirsMinor: bigint | null;
  recordId: string | null;
  subjectType: string;
  subjectId: string;
  /** When the worker begins to mend it by itself; without it a person must. */
  nextActionAt?: Date;
}

/** Opens a finding; one that is open already stays as it is. */
export async function recordFinding(uow: UnitOfWork, finding: NewFinding): Promise<void> {
  await uow.manager
    .createQueryBuilder()
    .insert()
    .into(ReconFindingRow)
    .values({
      bucket: bucketOf(finding.id),
      id: finding.id,
      providerAccountId: finding.providerAccountId,
      day: uow.now.toISOString().slice(0, 10),
      kind: finding.kind,
      severity: finding.severity,
      currency: finding.currency,
      ours: finding.oursMinor,
      theirs: finding.theirsMinor,
      delta: 0n,
      recordId: finding.recordId,
      subjectType: finding.subjectType,
      subjectId: finding.subjectId,
      status: finding.nextActionAt ? 'healing' : 'open',
      nextActionAt: finding.nextActionAt ?? null,
    })
    .orIgnore()
    .execute();
}

// What is looked up here is asked for by a query of its own for each event: as a join the planner reads all that the account has, once for each
// batch, as long as it takes that for a few thousand rows.
const ADD_WEBHOOKS = statement<
  [
    bucket: number[],
    eventId: string[],
    providerAccountId: number,
    id: string[],
    type: string[],
    objectId: (string | null)[],
    source: string,
    providerCreatedAt: Date[],
    now: Date,
    body: Buffer[],
    isOther: boolean[],
    successTypes: readonly string[],
    patientUntil: Date,
  ],
  { id: WebhookEventId }
>(
  'add_webhooks',
  `with told as materialized (
     select distinct on (event_id) * from unnest($1::smallint[], $2::text[], $4::uuid[], $5::text[], $6::text[], $8::timestamptz[], $10::bytea[], $11::boolean[])
       k (bucket, event_id, id, type, object_id, provider_created_at, body, is_other) order by event_id)
   , added as (
     insert into webhook_inbox (bucket, event_id, provider_account_id, id, type, object_id, source, provider_created_at, status, next_action_at)
     select t.bucket, t.event_id, $3, t.id, t.type, t.object_id, $7, t.provider_created_at, case when t.is_other then 'ignored' else 'new' end,
       case when t.is_other then null::timestamptz
            when t.type = any($12) and (
              select r.id from provider_ref r
              where r.bucket = key_bucket(t.object_id) and r.object_id = t.object_id and r.provider_account_id = $3) is null
              then least($13::timestamptz, greatest($9::timestamptz, t.provider_created_at + ($13::timestamptz - $9::timestamptz)))
            else $9 end
     from told t
     on conflict (bucket, event_id, provider_account_id) do nothing returning bucket, id)
   insert into webhook_payload (bucket, id, body) select bucket, id, body from added join told using (bucket, id) returning id`,
);

/** An event as it is kept. */
export interface NewWebhook {
  id: WebhookEventId;
  event: ProviderEvent;
  rawBody: Buffer;
}

/** From whom events come, and how they are taken. */
export interface WebhookSource {
  providerAccountId: number;
  source: 'push' | 'listing';
  /** Types of events that tell no more than that a payment succeeded. */
  successTypes: readonly string[];
}

/**
 * Such an event about an object that was never met here waits until it is so old, milliseconds: it has overtaken the answer of a call of ours, which
 * says the same, and to apply both is twice the work. When the answer was lost, the event tells it then.
 */
export const OVERTAKEN_WAIT_MS = 5_000;

/** Keeps events with their raw bytes, each once; what says nothing to us ends at once. @returns the ids of those that were not known */
export async function storeWebhooks(
  uow: UnitOfWork,
  webhooks: readonly NewWebhook[],
  from: WebhookSource,
): Promise<Set<WebhookEventId>> {
  const added = await uow.run(ADD_WEBHOOKS, [
    webhooks.map(({ event }) => keyBucket(event.eventId)),
    webhooks.map(({ event }) => event.eventId),
    from.providerAccountId,
    webhooks.map(({ id }) => id),
    webhooks.map(({ event }) => event.type),
    webhooks.map(({ event }) => event.objectId),
    from.source,
    webhooks.map(({ event }) => event.createdAt),
    uow.now,
    webhooks.map(({ rawBody }) => rawBody),
    webhooks.map(({ event }) => event.objectKind === 'other'),
    from.successTypes,
    new Date(uow.now.getTime() + OVERTAKEN_WAIT_MS),
  ]);
  return new Set(added.map(({ id }) => id));
}

/** A stored event that a worker has claimed. Tries and lease together are the fencing token: the next claim has others. */
export interface ClaimedWebhook {
  bucket: number;
  id: WebhookEventId;
  eventId: string;
  type: string;
  objectId: string | null;
  providerAccountId: number;
  /** Tries so far, this one included. */
  attempts: number;
  leaseUntil: Date;
}

const CLAIM_WEBHOOKS = statement<
  [Slot, Date, number, Date],
  {
    bucket: number;
    id: WebhookEventId;
    event_id: string;
    type: string;
    object_id: string | null;
    provider_account_id: number;
    attempts: number;
  }
>(
  'claim_webhooks',
  `with due as materialized (
     select bucket, event_id, provider_account_id from webhook_inbox
     where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)
     order by next_action_at limit $3 for update skip locked)
   , claimed as (
     update webhook_inbox w set lease_until = $4, attempts = w.attempts + 1 from due
     where w.bucket = due.bucket and w.event_id = due.event_id and w.provider_account_id = due.provider_account_id
       and (w.lease_until is null or w.lease_until < $2)
     returning w.bucket, w.id, w.event_id, w.type, w.object_id, w.provider_account_id, w.attempts)
   select * from claimed`,
);

/** Takes up to `limit` stored events until `leaseUntil`; others skip them. */
export async function claimWebhooks(uow: UnitOfWork, buckets: Slot, limit: number, leaseUntil: Date): Promise<ClaimedWebhook[]> {
  const rows = await uow.run(CLAIM_WEBHOOKS, [buckets, uow.now, limit, leaseUntil]);
  return rows.map((row) => ({
    bucket: row.bucket,
    id: row.id,
    eventId: row.event_id,
    type: row.type,
    objectId: row.object_id,
    providerAccountId: row.provider_account_id,
    attempts: row.attempts,
    leaseUntil,
  }));
}

const END_KNOWN = statement<[Slot, Date, readonly string[], number, Date], { id: string }>(
  'end_known_webhooks',
  `with due as materialized (
     select bucket, event_id, provider_account_id, object_id from webhook_inbox
     where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $5 and (lease_until is null or lease_until < $2) and type = any($3)
     order by next_action_at limit $4 for update skip locked)
   , known as materialized (
     select d.bucket, d.event_id, d.provider_account_id from due d
     join provider_ref r on r.bucket = key_bucket(d.object_id) and r.object_id = d.object_id and r.provider_account_id = d.provider_account_id
       and r.kind = 'payment_intent'
     join payment_attempt a on a.bucket = id_bucket(r.id) and a.payment_intent_id = r.id and a.status = 'succeeded'
       and a.provider_object_id = d.object_id
     join provider_record b on b.bucket = a.bucket and b.object_id = a.provider_charge_id and b.kind = 'charge' and b.matched_id = a.id)
   update webhook_inbox w set status = 'done', next_action_at = null, lease_until = null, attempts = w.attempts + 1 from known k
   where w.bucket = k.bucket and w.event_id = k.event_id and w.provider_account_id = k.provider_account_id
   returning w.id`,
);

/**
 * Ends up to `limit` events, due or waiting, that can only tell of a success that is known here, with its line in the provider's books: most of all,
 * as our own answer is faster than they are. Nothing is asked of the provider for them.
 * @param types types of events that tell no more than that
 */
export async function endKnownWebhooks(uow: UnitOfWork, buckets: Slot, types: readonly string[], limit: number): Promise<number> {
  return (await uow.run(END_KNOWN, [buckets, uow.now, types, limit, new Date(uow.now.getTime() + OVERTAKEN_WAIT_MS)])).length;
}

const SETTLE_WEBHOOKS = statement<
  [number[], string[], number[], number[], Date[], string, (Date | null)[], number[]],
  { id: WebhookEventId }
>(
  'settle_webhooks',
  `update webhook_inbox w set status = $6, next_action_at = k.next_action_at, lease_until = null, attempts = k.attempts_after
   from unnest($1::smallint[], $2::text[], $3::smallint[], $4::smallint[], $5::timestamptz[], $7::timestamptz[], $8::smallint[])
     k(bucket, event_id, provider_account_id, attempts, lease_until, next_action_at, attempts_after)
   where w.bucket = any($1) and w.bucket = k.bucket and w.event_id = k.event_id and w.provider_account_id = k.provider_account_id
     and w.status = 'new' and w.attempts = k.attempts and w.lease_until = k.lease_until
   returning w.id`,
);

/**
 * What becomes of a claimed event: an end; another try at an instant; or back to the queue as if it had not been claimed, which is no try.
 */
export type WebhookOutcome =
  | { status: 'done' | 'ignored' | 'parked' }
  | { status: 'new'; nextActionAt: Date; countsAsTry: boolean };

/** Ends the claim of stored events. What somebody else has claimed since stays as it is. @returns those whose claim still held */
export async function settleWebhooks(
  uow: UnitOfWork,
  webhooks: readonly ClaimedWebhook[],
  outcomeOf: (webhook: ClaimedWebhook) => WebhookOutcome,
): Promise<ClaimedWebhook[]> {
  const settled = new Set<string>();
  for (const [status, group] of Map.groupBy(webhooks, (webhook) => outcomeOf(webhook).status)) {
    const outcomes = group.map(outcomeOf);
    const rows = await uow.run(SETTLE_WEBHOOKS, [
      group.map((webhook) => webhook.bucket),
      group.map((webhook) => webhook.eventId),
      group.map((webhook) => webhook.providerAccountId),
      group.map((webhook) => webhook.attempts),
      group.map((webhook) => webhook.leaseUntil),
      status,
      outcomes.map((outcome) => (outcome.status === 'new' ? outcome.nextActionAt : null)),
      group.map(({ attempts }, i) => {
        const outcome = outcomes[i];
        return outcome?.status === 'new' && !outcome.countsAsTry ? attempts - 1 : attempts;
      }),
    ]);
    for (const { id } of rows) settled.add(id);
  }
  return webhooks.filter((webhook) => settled.has(webhook.id));
}

const MENTIONED = statement<[string, Date], { isMentioned: boolean }>(
  'webhook_mentions',
  `select exists (select from webhook_payload where id >= id_floor($2) and position(convert_to($1, 'UTF8') in body) > 0) as "isMentioned"`,
);

/** Whether any event kept since an instant, applied or not, names one of our references. Reads raw bodies: for rare questions only. */
export async function isMentioned(uow: UnitOfWork, reference: string, since: Date): Promise<boolean> {
  const [row] = await uow.run(MENTIONED, [reference, since]);
  return row?.isMentioned ?? false;
}

const CLAIM_LISTING = statement<[number, Date, Date], { listedUntil: Date | null }>(
  'claim_listing',
  `insert into listing_cursor as c (provider_account_id, next_listing_at) values ($1, $3)
   on conflict (provider_account_id) do update set next_listing_at = excluded.next_listing_at where c.next_listing_at <= $2
   returning listed_until as "listedUntil"`,
);
const MOVE_LISTED_UNTIL = statement<[number, Date, Date], never>(
  'move_listed_until',
  'update listing_cursor set listed_until = $2, next_listing_at = $3 where provider_account_id = $1',
);
const UNKNOWN_EVENTS = statement<[number[], string[], number], { event_id: string }>(
  'unknown_events',
  `select k.event_id from unnest($1::smallint[], $2::text[]) k(bucket, event_id)
   where (select true from webhook_inbox w where w.bucket = k.bucket and w.event_id = k.event_id and w.provider_account_id = $3) is null`,
);

/**
 * Takes the turn to list a provider's events, which no other worker has for so long, milliseconds.
 * @returns up to when the list was read, null in it before the first time; null when the turn is not free
 */
export async function claimListing(
  uow: UnitOfWork,
  providerAccountId: number,
  forMs: number,
): Promise<{ listedUntil: Date | null } | null> {
  const [claimed] = await uow.run(CLAIM_LISTING, [providerAccountId, uow.now, new Date(uow.now.getTime() + forMs)]);
  return claimed ?? null;
}

/** Sets that mark, and keeps the turn for so long again. */
export async function moveListedUntil(uow: UnitOfWork, providerAccountId: number, until: Date, forMs: number): Promise<void> {
  await uow.run(MOVE_LISTED_UNTIL, [providerAccountId, until, new Date(uow.now.getTime() + forMs)]);
}

/** Those of these events that were never kept. */
export async function unknownEvents(uow: UnitOfWork, providerAccountId: number, eventIds: string[]): Promise<Set<string>> {
  const rows = await uow.run(UNKNOWN_EVENTS, [eventIds.map(keyBucket), eventIds, providerAccountId]);
  return new Set(rows.map((row) => row.event_id));
}
