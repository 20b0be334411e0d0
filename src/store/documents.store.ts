/**
 * Numbers of documents. They are given by a chore, soon after a document is issued: one counter for each legal entity and kind, whose locked row is
 * the turn. Number and counter move in one transaction, so a gap or a double can not come to be, whoever dies when (rules P8).
 */
import type { DocumentKind } from '../domain/invoice/invoice.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** A counter whose turn this unit of work has. */
export interface DocumentCounter {
  legalEntity: string;
  /** The last number given. */
  last: bigint;
}

const ADD_COUNTER = statement<[number, DocumentKind], never>(
  'add_document_counter',
  `insert into document_counter (legal_entity, kind, last) select legal_entity, $2, 0 from provider_account where id = $1
   on conflict (legal_entity, kind) do nothing`,
);
const LOCK_COUNTER = statement<[number, DocumentKind], DocumentCounter>(
  'lock_document_counter',
  `select c.legal_entity as "legalEntity", c.last from document_counter c
   where c.legal_entity = (select legal_entity from provider_account where id = $1) and c.kind = $2 for update skip locked`,
);

/** Takes the turn at the counter of a merchant account's legal entity until the commit; null while somebody else has it. */
export async function lockCounter(
  uow: UnitOfWork,
  providerAccountId: number,
  kind: DocumentKind,
): Promise<DocumentCounter | null> {
  const [free] = await uow.run(LOCK_COUNTER, [providerAccountId, kind]);
  if (free !== undefined) return free;
  // The first document of all: where there is a counter already, somebody else has the turn.
  await uow.run(ADD_COUNTER, [providerAccountId, kind]);
  return (await uow.run(LOCK_COUNTER, [providerAccountId, kind]))[0] ?? null;
}

/** A document without a number. */
export interface UnnumberedDocument {
  bucket: number;
  id: string;
}

/** One that somebody is changing waits for the next turn, so that numbering waits for nobody. */
const UNNUMBERED = {
  invoice: statement<[number], UnnumberedDocument>(
    'unnumbered_invoices',
    `select bucket, id from invoice where number is null and status <> 'draft' order by finalized_at, id limit $1 for no key update skip locked`,
  ),
  // A note of a refund is a document from when the provider has accepted the refund; until then it may still be canceled.
  credit_note: statement<[number], UnnumberedDocument>(
    'unnumbered_credit_notes',
    `select n.bucket, n.id from credit_note n
     where n.number is null and n.canceled_at is null and (n.refund_id is null or exists (
       select from refund r where r.bucket = n.bucket and r.id = n.refund_id and r.status in ('pending', 'succeeded', 'failed')))
     order by n.id limit $1 for no key update of n skip locked`,
  ),
};

/**
 * Up to `limit` documents that were issued and have no number, in the order in which they were issued. Asked under the counter's lock and in
 * a statement of its own, or those that another turn has numbered meanwhile would show.
 */
export async function listUnnumbered(uow: UnitOfWork, kind: DocumentKind, limit: number): Promise<UnnumberedDocument[]> {
  return uow.run(UNNUMBERED[kind], [limit]);
}

type NumberParams = [buckets: number[], ids: string[], numbers: string[], legalEntity: string];
const NUMBER = {
  invoice: statement<NumberParams, { id: string }>(
    'number_invoices',
    `update invoice d set number = k.number, legal_entity = $4 from unnest($1::smallint[], $2::uuid[], $3::text[]) k (bucket, id, number)
     where d.bucket = k.bucket and d.id = k.id and d.number is null returning d.id`,
  ),
  credit_note: statement<NumberParams, { id: string }>(
    'number_credit_notes',
    `update credit_note d set number = k.number, legal_entity = $4 from unnest($1::smallint[], $2::uuid[], $3::text[]) k (bucket, id, number)
     where d.bucket = k.bucket and d.id = k.id and d.number is null returning d.id`,
  ),
};
const MOVE_COUNTER = statement<[string, DocumentKind, bigint], never>(
  'move_document_counter',
  'update document_counter set last = $3 where legal_entity = $1 and kind = $2',
);

/** Gives each document its number and moves the counter. @returns how many took it: all, or the caller must not commit */
export async function writeNumbers(
  uow: UnitOfWork,
  kind: DocumentKind,
  numbered: readonly (UnnumberedDocument & { number: string })[],
  counter: DocumentCounter,
): Promise<number> {
  const done = await uow.run(NUMBER[kind], [
    numbered.map(({ bucket }) => bucket),
    numbered.map(({ id }) => id),
    numbered.map(({ number }) => number),
    counter.legalEntity,
  ]);
  await uow.run(MOVE_COUNTER, [counter.legalEntity, kind, counter.last]);
  return done.length;
}
