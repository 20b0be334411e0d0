/** Charges at the provider that nothing of ours explains. The finding is the row, and the job of giving the money back. */
import { bucketOf } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { ReconFindingRow } from '../entities/provider.entity.js';
import type { OrphanRefund } from '../domain/payment/orphan.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export const ORPHAN = 'missing_here_orphan';

export type { ReconFindingRow };

const DUE_ORPHANS = statement<[Slot, Date, number], { id: string }>(
  'due_orphans',
  `select id from recon_finding
   where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 and (lease_until is null or lease_until < $2)
   order by next_action_at limit $3`,
);

/** Up to `limit` orphans of these buckets that are to be given back now; each is claimed before anything is done. */
export async function listDueOrphans(uow: UnitOfWork, buckets: Slot, limit: number): Promise<string[]> {
  return (await uow.run(DUE_ORPHANS, [buckets, uow.now, limit])).map(({ id }) => id);
}

/** The finding of an orphan; null when the id names none. */
export async function loadOrphan(uow: UnitOfWork, id: string): Promise<ReconFindingRow | null> {
  return uow.manager.findOneBy(ReconFindingRow, { bucket: bucketOf(id), id, kind: ORPHAN });
}

const CLAIM_ORPHAN = statement<[number, string, Date, Date], { tries: number }>(
  'claim_orphan',
  `update recon_finding set lease_until = $4, tries = least(tries + 1, 32000)
   where bucket = $1 and id = $2 and next_action_at <= $3 and (lease_until is null or lease_until < $3) returning tries`,
);

/** Takes an orphan that is due until `leaseUntil`; false when somebody else has it, or it is not due any more. */
export async function claimOrphan(uow: UnitOfWork, id: string, leaseUntil: Date): Promise<boolean> {
  return (await uow.run(CLAIM_ORPHAN, [bucketOf(id), id, uow.now, leaseUntil])).length > 0;
}

/** Gives an orphan its status and next look (null: none). Resolved ones say how and when. */
export async function settleOrphan(
  uow: UnitOfWork,
  id: string,
  set: { status: 'open' | 'healing' | 'resolved'; nextActionAt: Date | null; resolvedBy?: 'refunded' },
): Promise<void> {
  const { status, nextActionAt, resolvedBy = null } = set;
  await uow.manager.update(
    ReconFindingRow,
    { bucket: bucketOf(id), id },
    { status, nextActionAt, leaseUntil: null, resolvedBy, resolvedAt: resolvedBy === null ? null : uow.now },
  );
}

const ORPHAN_REFUNDS = statement<[number, string], { leg: string; amount: bigint }>(
  'orphan_refunds',
  `select leg, amount from ledger_movement where bucket = $1 and source_id = $2 and event = 'orphan_refunded' order by leg`,
);
const UNDO = 'undo:';

/** What of an orphan was given back, as the ledger has it. */
export async function listOrphanRefunds(uow: UnitOfWork, id: string): Promise<OrphanRefund[]> {
  const rows = await uow.run(ORPHAN_REFUNDS, [bucketOf(id), id]);
  const undone = new Set(rows.filter(({ leg }) => leg.startsWith(UNDO)).map(({ leg }) => leg.slice(UNDO.length)));
  return rows
    .filter(({ leg }) => !leg.startsWith(UNDO))
    .map(({ leg, amount }) => ({ objectId: leg, amountMinor: amount, isUndone: undone.has(leg) }));
}
