/** What of a gift may be given back, and what becomes of the gift when it is (rules V11). */
import { invariant } from '../domain/invariant.js';
import { unusedPeriodsOf, unusedValueOf, type BoughtGift, type GiftStatus } from '../domain/subscription/gift.js';
import {
  changeGift,
  countLaterPeriods,
  loadReceived,
  lockGift,
  type GiftReceivedRow,
  type GiftRow,
} from '../store/gifts.store.js';
import type { InvoiceRow } from '../store/invoices.store.js';
import { loadSubscription } from '../store/subscriptions.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** A gift with what was paid for it, and how much of it has not begun. Its row is locked. */
export interface ReadGift {
  row: GiftRow;
  received: GiftReceivedRow | null;
  facts: BoughtGift;
}

/** The gift that an invoice is for; null where it is for something else. Only staff and the worker see the recipient's side. */
export async function readGiftOf(uow: UnitOfWork, invoice: Pick<InvoiceRow, 'giftId' | 'net' | 'tax'>): Promise<ReadGift | null> {
  if (invoice.giftId === null) return null;
  const row = await lockGift(uow, invoice.giftId);
  invariant(row !== null, 'an invoice of a gift has it', { id: invoice.giftId });
  const received = row.recipientId === null ? null : await loadReceived(uow, row.recipientId, row.id);
  // What a canceled gift was used for is written down when the rest of it is taken back.
  const isSettled = row.status === 'canceled' && row.nextActionAt === null;
  const facts: BoughtGift = {
    // Column check: one of these words.
    status: row.status as GiftStatus,
    claimBy: row.claimBy,
    periods: row.periods,
    usedPeriods: isSettled ? row.periodsUsed : row.periods - (await unusedOf(uow, row, received)),
    perPeriodMinor: (invoice.net + invoice.tax) / BigInt(row.periods),
  };
  return { row, received, facts };
}

/** How many periods of a gift have not begun. */
async function unusedOf(uow: UnitOfWork, row: GiftRow, received: GiftReceivedRow | null): Promise<number> {
  if (received === null || received.claimedAt === null) return row.periods;
  // What went to the balance is the recipient's to spend.
  const subscription = received.subscriptionId === null ? null : await loadSubscription(uow, received.subscriptionId);
  if (subscription === null || subscription.endedAt !== null) return 0;
  return unusedPeriodsOf({
    prepaidPeriods: subscription.prepaidPeriods,
    laterPeriods: await countLaterPeriods(uow, received),
    periods: row.periods - received.revoked,
  });
}

/** Minor units that may still be given back of a gift. @param refundedMinor given back before */
export function giftRefundable(gift: ReadGift, refundedMinor: bigint): bigint {
  const left = unusedValueOf(gift.facts) - refundedMinor;
  return left > 0n ? left : 0n;
}

/** A part of a gift's payment was given back. What that takes from its recipient only the worker can see: it looks at it next. */
export async function lookAtGift(uow: UnitOfWork, giftId: string): Promise<void> {
  const row = await lockGift(uow, giftId);
  invariant(row !== null, 'an invoice of a gift has it', { id: giftId });
  if (row.status === 'claimable' || row.status === 'claimed') await changeGift(uow, row, { nextActionAt: uow.now });
}

/** The gift is canceled, as its payment was given back or lost: nobody claims it any more, and the worker takes back what has not begun. */
export async function cancelGift(uow: UnitOfWork, { row }: ReadGift): Promise<void> {
  if (row.status !== 'claimable' && row.status !== 'claimed') return;
  await changeGift(uow, row, { status: 'canceled', nextActionAt: row.status === 'claimed' ? uow.now : null });
}
