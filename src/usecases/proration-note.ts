/**
 * Credit notes of what was not used: their rows, their posting, the customer's balance, and what of the period's revenue is not earned any
 * more. A note may be taken back, when the change that it was given for is not paid after all (rules P5, V4).
 */
import { deriveId, idTimeMs } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import type { LineCredit } from '../domain/invoice/line.js';
import { prorationCredit, prorationCreditTakenBack } from '../domain/ledger/journals.js';
import { reopenAfterCanceledRefund, splitAfterPartialRefund, unearnedOn } from '../domain/ledger/revenue.js';
import { isoDay } from '../domain/time/periods.js';
import { sha256 } from '../platform/json.js';
import { insertCreditNotes } from '../store/credit-notes.store.js';
import { changeCredit } from '../store/credit.store.js';
import {
  listSchedules,
  openSchedule,
  requireInvoice,
  stopSchedule,
  type InvoiceRow,
  type RevenueScheduleRow,
} from '../store/invoices.store.js';
import { listJournal, postJournal } from '../store/ledger.store.js';
import { loadSubscription } from '../store/subscriptions.store.js';
import { creditLine, loadCreditNote, voidCreditNote } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';
import { readLines } from './period-lines.js';
import { scheduleOf } from './revenue.js';

/** A note about to be given, for a line of a paid invoice. */
export interface NewNote {
  /** The invoice of the change that it is given for: an invoice has one note of a reason. */
  forInvoiceId: string;
  reason: 'tier_change' | 'change_not_made' | 'withdrawal';
  userId: string;
  currency: string;
  line: { invoiceId: string; position: number };
  credit: LineCredit;
  /** Whose revenue it is taken from: the line's own, then others that were invoiced for the same time. */
  invoiceIds: readonly string[];
  providerAccountId: number;
}

/** Gives a part of a line to the customer's balance. The customer's lock is held, and the part is left of the line. */
export async function giveNote(uow: UnitOfWork, note: NewNote): Promise<void> {
  const { userId, currency, line, credit } = note;
  const id = noteId(note.forInvoiceId, note.reason);
  const of = { userId, invoiceId: line.invoiceId, reason: note.reason, refundId: null };
  await insertCreditNotes(uow, of, [{ id, place: line.position, ...credit }]);
  const unearnedMinor = await takeUnearned(uow, note.invoiceIds, credit.netMinor);
  await postJournal(uow, {
    sourceId: id,
    movements: prorationCredit({ ...credit, unearnedMinor }, currency),
    userId,
    invoiceId: line.invoiceId,
    effectiveAt: uow.now,
    providerAccountId: note.providerAccountId,
  });
  await changeCredit(uow, { userId, currency, byMinor: credit.netMinor + credit.taxMinor });
}

/** Takes back the note that was given for a change, if one was. The customer's lock is held. */
export async function takeBackNote(uow: UnitOfWork, change: InvoiceRow, providerAccountId: number): Promise<void> {
  const note = await loadCreditNote(uow, noteId(change.id, 'tier_change'));
  if (note === null) return;
  const { currency } = await requireInvoice(uow, note.invoiceId);
  const { userId, net: netMinor, tax: taxMinor } = note;
  const given = await listJournal(uow, note.id, 'proration_credit');
  await voidCreditNote(uow, note.id);
  await creditLine(uow, note, { netMinor: -netMinor, taxMinor: -taxMinor });
  const unearned = given.find(({ leg }) => leg === 'unearned');
  if (unearned !== undefined) await giveUnearnedBack(uow, note.invoiceId, change, unearned.amountMinor);
  await postJournal(uow, {
    sourceId: note.id,
    movements: prorationCreditTakenBack(given),
    userId,
    invoiceId: note.invoiceId,
    effectiveAt: uow.now,
    providerAccountId,
  });
  await changeCredit(uow, { userId, currency, byMinor: -netMinor - taxMinor });
}

/** Takes up to an amount of what invoices have not earned yet; what is left of each is earned over the days that remain. @returns what was taken */
async function takeUnearned(uow: UnitOfWork, invoiceIds: readonly string[], wantedMinor: bigint): Promise<bigint> {
  const today = isoDay(uow.now);
  let taken = 0n;
  for (const invoiceId of invoiceIds) {
    const running = (await listSchedules(uow, invoiceId)).find((row) => row.stoppedOn === null);
    if (running === undefined) continue;
    const unearned = unearnedOn(scheduleOf(running), today);
    const part = unearned < wantedMinor - taken ? unearned : wantedMinor - taken;
    if (part === 0n) continue;
    const { stopped, next } = splitAfterPartialRefund(scheduleOf(running), today, part);
    await stopSchedule(uow, running, stopped.stoppedOn, stopped.reversedMinor);
    if (next) await openSchedule(uow, running, next);
    taken += part;
  }
  return taken;
}

/** What had been taken is earned again, with what the line's invoice has still to earn; where that earns nothing, with another's of that time. */
async function giveUnearnedBack(uow: UnitOfWork, invoiceId: string, change: InvoiceRow, amountMinor: bigint): Promise<void> {
  const subscription = change.subscriptionId === null ? null : await loadSubscription(uow, change.subscriptionId);
  const others = subscription === null ? [] : (await readLines(uow, subscription)).map((line) => line.invoiceId);
  let last: RevenueScheduleRow | undefined;
  for (const id of [invoiceId, ...others]) last ??= (await listSchedules(uow, id)).at(-1);
  invariant(last !== undefined, 'what was not earned is of an invoice that earns', { invoiceId });
  const { stopped, next } = reopenAfterCanceledRefund(scheduleOf(last), isoDay(uow.now), amountMinor);
  if (stopped) await stopSchedule(uow, last, stopped.stoppedOn, stopped.reversedMinor);
  await openSchedule(uow, last, next);
}

/** The id of the note that goes with a change's invoice: there is one of a reason, and whoever takes it back finds it. */
function noteId(invoiceId: string, reason: NewNote['reason']): string {
  return deriveId('inv', invoiceId, sha256(`credit note ${reason} ${invoiceId}`).toString('hex'), idTimeMs(invoiceId));
}
