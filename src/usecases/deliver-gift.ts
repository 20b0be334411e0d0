import { invariant } from '../domain/invariant.js';
import { changeGift, lockGift, type GiftRow } from '../store/gifts.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** A gift is paid: it may be claimed. @returns whether it still waits for that; what is not wanted any more goes back */
export async function deliverGift(uow: UnitOfWork, giftId: string): Promise<boolean> {
  const gift = await requireGift(uow, giftId);
  if (gift.status !== 'pending_payment') return false;
  // The worker tells whom it is for; then it waits for its claim.
  await changeGift(uow, gift, { status: 'claimable', nextActionAt: gift.recipientId === null ? gift.claimBy : uow.now });
  return true;
}

/** A gift is not paid, and never will be: trying again is a new gift. */
export async function dropGift(uow: UnitOfWork, giftId: string): Promise<void> {
  const gift = await requireGift(uow, giftId);
  if (gift.status === 'pending_payment') await changeGift(uow, gift, { status: 'canceled', nextActionAt: null });
}

async function requireGift(uow: UnitOfWork, id: string): Promise<GiftRow> {
  const gift = await lockGift(uow, id);
  invariant(gift !== null, 'an invoice of a gift has it', { id });
  return gift;
}
