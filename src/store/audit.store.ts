import { bucketOf, type AuditEntryId } from '../domain/ids.js';
import { AuditEntryRow } from '../entities/audit.entity.js';
import type { UnitOfWork } from './unit-of-work.js';

/** One act of staff, or of the system on somebody's behalf. */
export interface NewAuditEntry {
  /** In the bucket of the user concerned; where there is none, in the actor's. */
  id: AuditEntryId;
  actor: string;
  /** The user concerned; null for a look at everybody. */
  actingFor: string | null;
  /** What was done, e.g. refund or account.read. */
  action: string;
  /** Public id of what it was done to, or what was searched for. */
  objectId: string;
  reason: string | null;
  requestId: string;
}

/** Writes an audit entry; nothing ever changes or removes one. */
export async function insertAuditEntry(uow: UnitOfWork, entry: NewAuditEntry): Promise<void> {
  await uow.manager.insert(AuditEntryRow, { ...entry, bucket: bucketOf(entry.id) });
}
