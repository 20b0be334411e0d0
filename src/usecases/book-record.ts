import { fxSettlement, providerFee } from '../domain/ledger/journals.js';
import type { ProviderRecordFact } from '../ports/provider.js';
import { postJournal } from '../store/ledger.store.js';
import { recordProviderRecord } from '../store/provider.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { newId, type Cashier } from './cashier.js';

/**
 * Keeps a line of the provider's books and posts its fee, and its settlement where the currency differs.
 * @returns the id of the line, or null when it was known already and nothing was posted
 */
export async function bookRecord(
  uow: UnitOfWork,
  cashier: Cashier,
  line: {
    /** Whose line it is: the charge, or anything in its bucket. */
    owner: { bucket: number; userId: string; providerAccountId: number };
    record: ProviderRecordFact;
    ourRef: string | null;
    /** The transaction it belongs to; null when nobody asked for it. */
    matchedId: string | null;
    /** The charge was in another currency than the provider's books. */
    isForeign: boolean;
  },
): Promise<string | null> {
  const { owner, record } = line;
  const id = newId(cashier, 'txn', owner.bucket);
  const isNew = await recordProviderRecord(uow, {
    id,
    providerAccountId: owner.providerAccountId,
    fact: record,
    ourRef: line.ourRef,
    matchedId: line.matchedId,
  });
  if (!isNew) return null;
  const journal = {
    sourceId: id,
    userId: owner.userId,
    invoiceId: null,
    effectiveAt: record.occurredAt,
    providerAccountId: owner.providerAccountId,
  };
  if (line.isForeign) await postJournal(uow, { ...journal, movements: fxSettlement(record.grossMinor, record.currency) });
  // A dispute's fee is part of its own journal.
  if (record.kind !== 'dispute' && record.kind !== 'dispute_reversal') {
    await postJournal(uow, { ...journal, movements: providerFee(record.feeMinor, record.currency) });
  }
  return id;
}
