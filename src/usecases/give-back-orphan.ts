/**
 * Gives back, in full, what was taken for an attempt that we had told its customer never happened. The finding is the row and its own job.
 * All of a charge can be given back only once, whatever becomes of a key: the provider refuses to refund more than was taken. So a lost
 * answer needs no search here: the next try is refused or played back, and the refund that is there is found.
 */
import { publicId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { orphanRefunded, orphanRefundFailed } from '../domain/ledger/journals.js';
import { decideOrphanRefund } from '../domain/payment/orphan.js';
import { LEASE_MS, nextProbeAt } from '../domain/payment/schedule.js';
import type { ForEach } from '../platform/repeat.js';
import type { Called, RefundFact } from '../ports/provider.js';
import { lockCustomer } from '../store/customers.store.js';
import { postJournal } from '../store/ledger.store.js';
import {
  claimOrphan,
  listDueOrphans,
  listOrphanRefunds,
  loadOrphan,
  settleOrphan,
  type ReconFindingRow,
} from '../store/orphans.store.js';
import { loadAttempt, type PaymentAttemptRow } from '../store/payments.store.js';
import { recordRef } from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { bookRecord } from './book-record.js';
import { mayStillSend, own, SYSTEM, type Cashier } from './cashier.js';

/** Looks at up to `limit` orphans that are to be given back. @returns whether there may be more */
export async function giveBackOrphans(cashier: Cashier, buckets: Slot, limit: number, forEach: ForEach): Promise<boolean> {
  const due = await inTx(cashier.tx, SYSTEM, (uow) => listDueOrphans(uow, buckets, limit));
  await forEach(due, (id) => giveBack(cashier, id));
  return due.length === limit;
}

interface Orphan {
  finding: ReconFindingRow;
  attempt: PaymentAttemptRow;
}

async function giveBack(cashier: Cashier, id: string): Promise<void> {
  const claimed = await inTx(cashier.tx, SYSTEM, async (uow) => {
    const leaseUntil = new Date(uow.now.getTime() + LEASE_MS);
    return (await claimOrphan(uow, id, leaseUntil))
      ? { ...(await requireOrphan(uow, id)), claimedAtMs: cashier.monotonicMs() }
      : null;
  });
  if (!claimed || !mayStillSend(cashier, claimed.claimedAtMs)) return;
  const { finding, attempt } = claimed;
  const { providerObjectId: paymentObjectId } = attempt;
  invariant(paymentObjectId !== null && finding.theirs !== null, 'an orphan has its object and its amount', { id });
  const refundRef = publicId('txn', id);
  let called: Called<RefundFact | null> = await cashier.provider.refund({
    idempotencyKey: `orf:${cashier.env}:${refundRef}`,
    paymentObjectId,
    amountMinor: finding.theirs,
    currency: attempt.currency,
    refundRef,
    env: cashier.env,
    reason: 'duplicate',
  });
  cashier.events.providerCalled('refund', called.kind);
  if (called.kind === 'refused') {
    called = await cashier.provider.findRefund({ paymentObjectId, refundRef });
    cashier.events.providerCalled('findRefund', called.kind);
  }
  if (called.kind !== 'fact') return putOff(cashier, id);
  if (called.fact !== null) await applyOrphanRefund(cashier, id, called.fact);
  // Refused, and none of ours is there: somebody gave some of it back by hand. A person rules.
  else await inTx(cashier.tx, SYSTEM, (uow) => settleOrphan(uow, id, { status: 'open', nextActionAt: null }));
}

/** Books what the provider says of a refund of an orphan, ours or made by hand. @returns false when there is no such orphan */
export async function applyOrphanRefund(cashier: Cashier, id: string, fact: RefundFact): Promise<boolean> {
  const orphan = await inTx(cashier.tx, SYSTEM, async (uow) => ((await loadOrphan(uow, id)) ? requireOrphan(uow, id) : null));
  if (!orphan) return false;
  const { userId } = orphan.attempt;
  await inTx(cashier.tx, own(userId), async (uow) => {
    await lockCustomer(uow, userId);
    await book(uow, cashier, await requireOrphan(uow, id), fact);
  });
  return true;
}

async function book(uow: UnitOfWork, cashier: Cashier, { finding, attempt }: Orphan, fact: RefundFact): Promise<void> {
  const { id, theirs } = finding;
  invariant(theirs !== null, 'an orphan has its amount', { id });
  const { posting, status } = decideOrphanRefund(theirs, await listOrphanRefunds(uow, id), fact);
  const { providerAccountId, userId, bucket } = attempt;
  await recordRef(uow, { objectId: fact.objectId, providerAccountId, kind: 'orphan', id });
  for (const record of fact.records) {
    await bookRecord(uow, cashier, {
      owner: { bucket, userId, providerAccountId },
      record,
      ourRef: null,
      matchedId: null,
      isForeign: false,
    });
  }
  if (posting !== null) {
    const isGiven = posting === 'give';
    const record = fact.records.find(({ kind }) => kind === (isGiven ? 'refund' : 'refund_failure'));
    const movements = isGiven ? orphanRefunded : orphanRefundFailed;
    await postJournal(uow, {
      sourceId: id,
      movements: movements(fact.objectId, fact.amountMinor, fact.currency),
      userId,
      invoiceId: null,
      effectiveAt: record?.occurredAt ?? uow.now,
      providerAccountId,
    });
  }
  const { nextActionAt } = finding;
  if (status === 'resolved') await settleOrphan(uow, id, { status, nextActionAt: null, resolvedBy: 'refunded' });
  else if (status === 'open' || nextActionAt === null) await settleOrphan(uow, id, { status: 'open', nextActionAt: null });
  else await settleOrphan(uow, id, { status, nextActionAt });
}

/** Nothing was learned: the next try comes by the table of probes. */
async function putOff(cashier: Cashier, id: string): Promise<void> {
  await inTx(cashier.tx, SYSTEM, async (uow) => {
    const { finding } = await requireOrphan(uow, id);
    if (finding.nextActionAt === null) return;
    const nextActionAt = nextProbeAt({
      status: 'unknown',
      probes: finding.tries,
      callDeadlineAt: uow.now,
      enteredAt: uow.now,
      now: uow.now,
      jitter: cashier.tx.random.fraction(),
    });
    await settleOrphan(uow, id, { status: 'healing', nextActionAt });
  });
}

async function requireOrphan(uow: UnitOfWork, id: string): Promise<Orphan> {
  const finding = await loadOrphan(uow, id);
  const attempt = finding?.subjectId ? await loadAttempt(uow, finding.subjectId) : null;
  invariant(finding !== null && attempt !== null, 'an orphan has its finding and its attempt', { id });
  return { finding, attempt };
}
