/**
 * What follows from a gift for two users at once, which neither may write for the other: the worker locks both and does it. A gift that is due is
 * one for a recipient who was not told yet, one just claimed or taken back, or one that nobody claimed in time.
 */
import type { GiftId, TransactionId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { giftCredited } from '../domain/ledger/journals.js';
import { daysOf, moveSchedule, stopSchedule as decideStop } from '../domain/ledger/revenue.js';
import { hasLapsed, refundEndsGift, spanOfGift, type GiftPlace } from '../domain/subscription/gift.js';
import { entitledUntilFor } from '../domain/subscription/subscription.js';
import { anchorLocalOf, isoDay, type PeriodUnit } from '../domain/time/periods.js';
import { keyBucket } from '../platform/json.js';
import { changeCredit } from '../store/credit.store.js';
import { lockCustomer } from '../store/customers.store.js';
import {
  changeGift,
  countLaterPeriods,
  keepReceived,
  keepRevoked,
  listDueGifts,
  loadGift,
  loadGiftCharge,
  type GiftReceivedRow,
  type GiftRow,
} from '../store/gifts.store.js';
import { listSchedules, openSchedule, requireInvoice, stopSchedule, type InvoiceRow } from '../store/invoices.store.js';
import { postJournal } from '../store/ledger.store.js';
import { listDisputes, listRefunds, loadAttempt, loadTransaction, type TransactionRow } from '../store/payments.store.js';
import { changeSubscription, loadSubscription, requirePrice, type SubscriptionRow } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { newId, own, SYSTEM, type Cashier } from './cashier.js';
import { readGiftOf, type ReadGift } from './gift-value.js';
import { requestRefund } from './request-refund.js';
import { scheduleOf } from './revenue.js';
import { sendRefund } from './send-refund.js';

/** A gift that can not be given back now, as its payment is disputed, is looked at again after this. */
const AGAIN_MS = 86_400_000;

/** Looks at up to `limit` gifts that are due. @returns whether there may be more */
export async function settleDueGifts(cashier: Cashier, buckets: Slot, limit: number): Promise<boolean> {
  const due = await inTx(cashier.tx, SYSTEM, (uow) => listDueGifts(uow, buckets, limit));
  for (const { id, userId } of due) {
    const refundId = await inTx(cashier.tx, own(userId), (uow) => settle(uow, cashier, id));
    if (refundId !== null) await sendRefund(cashier, { id: refundId, userId });
  }
  return due.length === limit;
}

/** @returns the refund that was decided on, to be sent */
async function settle(uow: UnitOfWork, cashier: Cashier, id: GiftId): Promise<TransactionId | null> {
  const seen = await loadGift(uow, id);
  if (seen === null) return null;
  // In one order, so that two gifts in opposite directions do not wait for each other.
  const users = seen.recipientId === null ? [seen.userId] : [seen.userId, seen.recipientId].sort();
  for (const user of users) await lockCustomer(uow, user);
  const charge = await chargeOf(uow, id);
  const invoice = await requireInvoice(uow, charge.invoiceId ?? '');
  const gift = await readGiftOf(uow, invoice);
  invariant(gift !== null, 'a gift has its invoice', { id });
  const { row, received } = gift;
  // Claimed meanwhile by somebody who is not locked: it stays due, and the next look locks both.
  if (row.recipientId !== seen.recipientId || row.nextActionAt === null || row.nextActionAt > uow.now) return null;
  if (hasLapsed(gift.facts, uow.now)) return lapse(uow, cashier, gift, charge);
  const accepted = (await listRefunds(uow, charge.id)).filter(({ status }) => status === 'pending' || status === 'succeeded');
  const isPaidBack = refundEndsGift(
    gift.facts,
    accepted.reduce((sum, { amount }) => sum + amount, 0n),
  );
  if (row.status === 'claimable' && !isPaidBack) {
    await tellRecipient(uow, cashier, row);
    return null;
  }
  if (received?.claimedAt != null) {
    if (row.status === 'canceled' || isPaidBack) await revoke(uow, gift, received, invoice);
    else if (received.subscriptionId === null) await creditRecipient(uow, cashier, received, invoice);
    else await moveEarning(uow, invoice, await placeOf(uow, received, row.periods - received.revoked));
  }
  await changeGift(uow, row, { ...(isPaidBack ? { status: 'canceled' } : {}), nextActionAt: null });
  return null;
}

/** Nobody claimed it in time: it goes back to its buyer, and can not be claimed any more. */
async function lapse(
  uow: UnitOfWork,
  cashier: Cashier,
  { row }: ReadGift,
  charge: TransactionRow,
): Promise<TransactionId | null> {
  const disputes = await listDisputes(uow, charge.id);
  if (disputes.some(({ status }) => status === 'open' || status === 'under_review')) {
    await changeGift(uow, row, { nextActionAt: new Date(uow.now.getTime() + AGAIN_MS) });
    return null;
  }
  await changeGift(uow, row, { status: 'expired', nextActionAt: null });
  const attempt = await loadAttempt(uow, charge.id);
  invariant(attempt !== null, 'a charge has its attempt', { id: charge.id });
  const asked = await requestRefund(uow, cashier, {
    charge,
    attempt,
    amount: null,
    reason: 'requested',
    note: 'A gift that nobody claimed.',
    requestedBy: 'system',
    cause: 'timeout',
    endSubscription: false,
  });
  // Refused where all of it was given back before.
  return 'refused' in asked ? null : asked.refundId;
}

/** Whoever a gift is for finds it among the gifts received. */
async function tellRecipient(uow: UnitOfWork, cashier: Cashier, row: GiftRow): Promise<void> {
  if (row.recipientId !== null) {
    await keepReceived(uow, {
      id: newId(cashier, 'gift', keyBucket(row.recipientId)),
      userId: row.recipientId,
      giftId: row.id,
      periods: row.periods,
      claimedAt: null,
      subscriptionId: null,
    });
  }
  await changeGift(uow, row, { nextActionAt: row.claimBy });
}

/** The value of a gift to who has another tier: it is the recipient's to spend, and nothing of it is earned until then. */
async function creditRecipient(uow: UnitOfWork, cashier: Cashier, received: GiftReceivedRow, invoice: InvoiceRow): Promise<void> {
  const today = isoDay(uow.now);
  const running = (await listSchedules(uow, invoice.id)).find((one) => one.stoppedOn === null);
  if (!running) return;
  const { stoppedOn, reversedMinor: netMinor } = decideStop(scheduleOf(running), today);
  await stopSchedule(uow, running, stoppedOn, netMinor);
  // As much of the tax as of the net: what was given back before took its share of both.
  const taxMinor = (invoice.tax * netMinor) / invoice.net;
  await postJournal(uow, {
    sourceId: received.id,
    movements: giftCredited({ netMinor, taxMinor }, invoice.currency),
    userId: received.userId,
    invoiceId: null,
    effectiveAt: uow.now,
    providerAccountId: cashier.provider.accountId,
  });
  await changeCredit(uow, { userId: received.userId, currency: invoice.currency, byMinor: netMinor + taxMinor });
}

/** Periods that have not begun are taken back; the one that runs is the recipient's to its end, and what is left is earned by then. */
async function revoke(uow: UnitOfWork, gift: ReadGift, received: GiftReceivedRow, invoice: InvoiceRow): Promise<void> {
  const { row } = gift;
  const subscription = received.subscriptionId === null ? null : await loadSubscription(uow, received.subscriptionId);
  const unused = gift.facts.periods - gift.facts.usedPeriods;
  if (subscription !== null && unused > 0) {
    const prepaidPeriods = subscription.prepaidPeriods - unused;
    const endsNow = subscription.status === 'active' && prepaidPeriods === 0 && !subscription.renewsAfterGift;
    const { periodEnd } = subscription;
    await changeSubscription(uow, subscription, {
      kind: 'gift_revoked',
      cause: 'provider_event',
      set: {
        prepaidPeriods,
        ...(endsNow ? { entitledUntil: entitledUntilFor({ status: 'active', periodEnd, endsAtPeriodEnd: true }) } : {}),
      },
      data: { giftId: row.id, periods: unused },
    });
    await keepRevoked(uow, received, received.revoked + unused);
    await moveEarning(uow, invoice, await placeOf(uow, received, row.periods - received.revoked - unused));
  }
  await changeGift(uow, row, { periodsUsed: row.periods - unused });
}

/** What a gift has still to earn is earned over the periods that it pays for. */
async function moveEarning(uow: UnitOfWork, invoice: InvoiceRow, place: GiftPlace | null): Promise<void> {
  const running = (await listSchedules(uow, invoice.id)).find((one) => one.stoppedOn === null);
  if (!running || place === null) return;
  const today = isoDay(uow.now);
  const { stopped, next } = moveSchedule(scheduleOf(running), today, daysOf(spanOfGift(place), today));
  await stopSchedule(uow, running, stopped.stoppedOn, stopped.reversedMinor);
  if (next) await openSchedule(uow, running, next);
}

/** Where the periods that are left of a gift lie in its recipient's subscription; null where it has none. */
async function placeOf(uow: UnitOfWork, received: GiftReceivedRow, periods: number): Promise<GiftPlace | null> {
  const subscription = received.subscriptionId === null ? null : await loadSubscription(uow, received.subscriptionId);
  if (subscription === null) return null;
  return {
    ...(await runningPeriod(uow, subscription)),
    prepaidPeriods: subscription.prepaidPeriods,
    laterPeriods: await countLaterPeriods(uow, received),
    periods,
  };
}

/** By what rule periods follow the one that runs, and its number; after a trial they are counted from its end. */
async function runningPeriod(uow: UnitOfWork, row: SubscriptionRow): Promise<Pick<GiftPlace, 'rule' | 'periodNumber'>> {
  const price = await requirePrice(uow, row.priceId);
  const isTrial = row.status === 'trialing';
  return {
    rule: {
      anchorLocal: isTrial ? anchorLocalOf(row.periodEnd, row.zone) : row.anchorLocal,
      zone: row.zone,
      // Column checks: a tier's price has a unit and a count.
      unit: price.intervalUnit as PeriodUnit,
      count: price.intervalCount ?? 1,
    },
    periodNumber: isTrial ? -1 : row.periodNumber,
  };
}

async function chargeOf(uow: UnitOfWork, giftId: string): Promise<TransactionRow> {
  const chargeId = await loadGiftCharge(uow, giftId);
  const charge = chargeId === null ? null : await loadTransaction(uow, chargeId);
  invariant(charge !== null, 'a gift has its charge', { giftId });
  return charge;
}
