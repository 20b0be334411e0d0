import { bucketOf } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import type { Movement } from '../domain/ledger/journals.js';
import { statement } from './statement.js';
import { takeTurn } from './turn.js';
import type { UnitOfWork } from './unit-of-work.js';

/** One journal: the movements of one event of one source. */
export interface Journal {
  /** Id of the row that caused it. */
  sourceId: string;
  movements: readonly Movement[];
  /** The customer dimension; null for platform events. */
  userId: string | null;
  invoiceId: string | null;
  /** Business time: for every movement on a provider's balance, the instant of the provider's own record. */
  effectiveAt: Date;
  /** Whose clearing, fees and held accounts. */
  providerAccountId: number;
}

const POST = statement<
  [number, string, string[], string[], string[], string[], string[], bigint[], string | null, string | null, Date, Date, number],
  { leg: string }
>(
  'post_movements',
  `insert into ledger_movement (bucket, source_id, event, leg, debit_account_id, credit_account_id, currency, amount, user_id, invoice_id, effective_at, posted_at)
   select $1, $2, m.event, m.leg, d.id, c.id, m.currency, m.amount, $9, $10, $11, $12
   from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::char(3)[], $8::bigint[]) m(event, leg, debit, credit, currency, amount)
   join ledger_account d on d.code = m.debit and d.currency = m.currency and (d.provider_account_id is null or d.provider_account_id = $13)
   join ledger_account c on c.code = m.credit and c.currency = m.currency and (c.provider_account_id is null or c.provider_account_id = $13)
   returning leg`,
);

/** Posts a journal. A second posting of the same event of the same source meets the primary key and fails: that is a bug. */
export async function postJournal(uow: UnitOfWork, journal: Journal): Promise<void> {
  const { movements } = journal;
  if (movements.length === 0) return;
  const posted = await uow.run(POST, [
    bucketOf(journal.sourceId),
    journal.sourceId,
    movements.map((m) => m.event),
    movements.map((m) => m.leg),
    movements.map((m) => m.debit),
    movements.map((m) => m.credit),
    movements.map((m) => m.currency),
    movements.map((m) => m.amountMinor),
    journal.userId,
    journal.invoiceId,
    journal.effectiveAt,
    uow.now,
    journal.providerAccountId,
  ]);
  invariant(posted.length === movements.length, 'the chart has the accounts of every movement', {
    sourceId: journal.sourceId,
    movements: movements.map((m) => `${m.event} ${m.debit} ${m.credit} ${m.currency}`),
  });
}

const ROLL_UP = statement<[Date], never>(
  'roll_up_ledger',
  `insert into ledger_balance as b (account_id, rolled_up_to, balance)
   select a.id, $1, coalesce(sum(e.amount), 0)
   from ledger_account a
   left join ledger_balance o on o.account_id = a.id
   left join ledger_entry e on e.account_id = a.id and e.posted_at < $1 and e.posted_at >= coalesce(o.rolled_up_to, '-infinity')
   where o.rolled_up_to is null or o.rolled_up_to < $1
   group by a.id
   on conflict (account_id) do update set balance = b.balance + excluded.balance, rolled_up_to = excluded.rolled_up_to
   where b.rolled_up_to < excluded.rolled_up_to`,
);

/** Transaction lock of whoever rolls up; a number of our own, the same for ever. */
const ROLL_UP_LOCK = 7_020_423;

/**
 * Adds to each account's balance what was posted before `until` and is not in it yet. `until` must be older than any unit of work that still runs.
 * One at a time: of two at once the second would add to what the first has made of a balance all that is new since before the first. Does nothing
 * while somebody else has the turn.
 */
export async function rollUpBalances(uow: UnitOfWork, until: Date): Promise<void> {
  if (await takeTurn(uow, ROLL_UP_LOCK)) await uow.run(ROLL_UP, [until]);
}

const LIST_JOURNAL = statement<
  [number, string, string],
  {
    event: Movement['event'];
    leg: string;
    debit: Movement['debit'];
    credit: Movement['credit'];
    amount: bigint;
    currency: string;
  }
>(
  'list_journal',
  `select m.event, m.leg, d.code as debit, c.code as credit, m.amount, m.currency from ledger_movement m
   join ledger_account d on d.id = m.debit_account_id join ledger_account c on c.id = m.credit_account_id
   where m.bucket = $1 and m.source_id = $2 and m.event = $3 and m.leg not like 'undo:%' order by m.leg`,
);

/** The movements posted for one event of a source, without those that undid them. */
export async function listJournal(uow: UnitOfWork, sourceId: string, event: Movement['event']): Promise<Movement[]> {
  const rows = await uow.run(LIST_JOURNAL, [bucketOf(sourceId), sourceId, event]);
  return rows.map(({ amount, ...row }) => ({ ...row, amountMinor: amount }));
}
