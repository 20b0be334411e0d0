/** What waits for the worker, and what has come of it: for whoever moves the time and wants to see everything done in its order. */
import { invariant } from '../domain/invariant.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** Rows that wait. `relay`: changes not yet carried to the gateways; `renewals`: attempts that were billed and not sent. */
export type WaitingWork =
  | 'payments'
  | 'renewals'
  | 'refunds'
  | 'orphans'
  | 'webhooks'
  | 'subscriptions'
  | 'notices'
  | 'gifts'
  | 'relay';

const WAITING_WORK = statement<[Date], { what: WaitingWork; at: Date | null }>(
  'waiting_work',
  `select 'payments' as what, min(greatest(next_action_at, lease_until)) as at from payment_attempt
     where next_action_at is not null and not (status = 'created' and cause in ('renewal', 'retry'))
   union all select 'renewals', min(next_action_at) from payment_attempt
     where next_action_at is not null and status = 'created' and cause in ('renewal', 'retry')
   union all select 'refunds', min(greatest(next_action_at, lease_until)) from refund where next_action_at is not null
   union all select 'orphans', min(greatest(next_action_at, lease_until)) from recon_finding where next_action_at is not null
   union all select 'webhooks', min(greatest(next_action_at, lease_until)) from webhook_inbox where next_action_at is not null
   union all select 'subscriptions', min(next_action_at) from subscription where next_action_at is not null
   union all select 'notices', min(next_action_at) from notice where next_action_at is not null
   union all select 'gifts', min(next_action_at) from gift where next_action_at is not null
   union all select 'relay', case when exists (select from outbox_event where published_at is null) then $1::timestamptz end`,
);

/** Of each kind of work that waits, when the first of it is due; what does not wait is left out. */
export async function readWaitingWork({ run, now }: Pick<UnitOfWork, 'run' | 'now'>): Promise<Map<WaitingWork, Date>> {
  const rows = await run(WAITING_WORK, [now]);
  return new Map(rows.flatMap(({ what, at }) => (at === null ? [] : [[what, at]])));
}

/** What a worker looks for many times a second. `lost`: renewals that were sent and not recorded, by whomever. */
export type Waiting = 'relay' | 'webhooks' | 'payments' | 'refunds' | 'orphans' | 'notices' | 'lost' | 'documents';

/** As the claims of each say it, or wider: what is not seen here is not claimed. */
const ANY_WAITING = statement<[Date, Date], Record<Waiting, boolean>>(
  'any_waiting',
  `select exists (select from outbox_event where published_at is null) as relay,
     exists (select from webhook_inbox where next_action_at <= $1 and (lease_until is null or lease_until < $1)) as webhooks,
     exists (select from payment_attempt where next_action_at <= $1 and (lease_until is null or lease_until < $1)
       and (status <> 'created' or cause <> 'renewal')) as payments,
     exists (select from refund where next_action_at <= $1 and (lease_until is null or lease_until < $1)) as refunds,
     exists (select from recon_finding where next_action_at <= $1 and (lease_until is null or lease_until < $1)) as orphans,
     exists (select from notice where next_action_at <= $1) as notices,
     exists (select from payment_attempt where status = 'sent' and cause = 'renewal' and next_action_at <= $2) as lost,
     exists (select from invoice where number is null and status <> 'draft')
       or exists (select from credit_note where number is null and canceled_at is null) as documents`,
);

/** Which of it waits, by one question. @param claimedUntil renewals claimed up to now are looked at before this */
export async function readWhetherAnyWaits(uow: UnitOfWork, claimedUntil: Date): Promise<Record<Waiting, boolean>> {
  const [row] = await uow.run(ANY_WAITING, [uow.now, claimedUntil]);
  invariant(row !== undefined, 'a select without a table answers with one row');
  return row;
}

const HAPPENED = statement<[Date, Date], { what: string; currency: string | null; count: number; amountMinor: bigint | null }>(
  'happened',
  `select replace(kind, '_', ' ') as what, null as currency, count(*)::int as count, null::bigint as "amountMinor"
     from subscription_event where at > $1 and at <= $2 group by kind
   union all
   select t.kind || ' ' || e.status, t.currency, count(*)::int, sum(t.amount)::bigint
     from transaction_event e join transaction t on t.bucket = e.bucket and t.id = e.transaction_id
     where e.at > $1 and e.at <= $2 and e.status <> 'pending' group by 1, 2
   order by 2 nulls first, 1`,
);

/** One kind of thing that happened in a span of time. */
export interface Happened {
  /** A change of subscriptions, e.g. `renewed`; or of transactions, e.g. `charge succeeded`. */
  what: string;
  /** Of transactions. */
  currency: string | null;
  count: number;
  /** Of transactions: together, minor units. */
  amountMinor: bigint | null;
}

/** What happened after one instant and up to another. */
export async function readHappened({ run }: Pick<UnitOfWork, 'run'>, span: { after: Date; until: Date }): Promise<Happened[]> {
  return run(HAPPENED, [span.after, span.until]);
}
