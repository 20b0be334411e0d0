import { publicId, type PriceId, type SubscriptionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { decideClaim, type ClaimedGift, type GiftStatus } from '../domain/subscription/gift.js';
import { entitledUntilFor, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import { anchorLocalOf, periodOf, type PeriodUnit } from '../domain/time/periods.js';
import { keyBucket, sha256 } from '../platform/json.js';
import { lockCaller, type CustomerRow } from '../store/customers.store.js';
import { changeGift, insertGifted, keepReceived, lockGiftToClaim, type GiftRow } from '../store/gifts.store.js';
import {
  changeSubscription,
  loadLiveSubscription,
  loadTierPrice,
  type PriceRow,
  type SubscriptionRow,
  type TierRow,
} from '../store/subscriptions.store.js';
import { beginInTx, type UnitOfWork } from '../store/unit-of-work.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, ClaimGiftAnswer, ClaimGiftCommand } from './contract.js';

/**
 * Takes a gift, once: it begins a subscription, prolongs the one at the same price, or goes to the balance. Asked again by who has it, it is
 * answered alike. What follows in its giver's books, the worker writes. Refusals: those of decideClaim.
 */
export const claimGift =
  (cashier: Cashier) =>
  async (actor: Actor, { giftId, secret }: ClaimGiftCommand): Promise<ClaimGiftAnswer> => {
    const { userId } = actor;
    return beginInTx(cashier.tx, own(userId), async (uow): Promise<ClaimGiftAnswer> => {
      const customer = await lockCaller(uow, actor);
      const secretHash = secret === null ? null : sha256(secret);
      const gift = await lockGiftToClaim(uow, { id: giftId, userId, secretHash });
      if (gift?.status === 'claimed' && gift.recipientId === userId) {
        // A column of ids of subscriptions.
        return { giftId, subscriptionId: gift.subscriptionId as SubscriptionId | null, refusals: [], isReplay: true };
      }
      // The id of a price's row names a price.
      const found = gift && (await loadTierPrice(uow, gift.priceId as PriceId));
      const live = found && (await loadLiveSubscription(uow, userId, found.tier.tierGroup));
      const decision = decideClaim(gift && found && claimedGift(gift, found.tier), userId, live && liveFacts(live), uow.now);
      if (decision.kind === 'refused') {
        const field = secret === null ? decision.field : ['input', 'claimCode'];
        uow.abandon();
        return {
          giftId: null,
          subscriptionId: null,
          refusals: [refusal(decision.code, decision.message, field)],
          isReplay: false,
        };
      }
      invariant(gift !== null && found !== null, 'what is claimed is there', { giftId: publicId('gift', giftId) });
      const subscriptionId =
        decision.kind === 'begins'
          ? await begin(uow, cashier, customer, gift, found, decision.prepaidPeriods)
          : decision.kind === 'extends' && live
            ? await extend(uow, live, gift)
            : null;
      await keepReceived(uow, {
        id: newId(cashier, 'gift', keyBucket(userId)),
        userId,
        giftId,
        periods: gift.periods,
        claimedAt: uow.now,
        subscriptionId,
      });
      await changeGift(uow, gift, { status: 'claimed', recipientId: userId, subscriptionId, nextActionAt: uow.now });
      return { giftId, subscriptionId, refusals: [], isReplay: false };
    });
  };

/** A subscription whose first period the gift has paid. */
async function begin(
  uow: UnitOfWork,
  cashier: Cashier,
  customer: CustomerRow,
  gift: GiftRow,
  { price, tier }: { price: PriceRow; tier: TierRow },
  prepaidPeriods: number,
): Promise<SubscriptionId> {
  const { userId, zone } = customer;
  const id = newId(cashier, 'sub', keyBucket(userId));
  const anchorLocal = anchorLocalOf(uow.now, zone);
  // Column checks: a tier's price has a unit and a count.
  const rule = { anchorLocal, zone, unit: price.intervalUnit as PeriodUnit, count: price.intervalCount ?? 1 };
  const period = periodOf({ ...rule, n: 0 });
  await insertGifted(uow, {
    id,
    userId,
    payerId: gift.isAnonymous ? null : gift.userId,
    giftId: gift.id,
    prepaidPeriods,
    tierGroup: tier.tierGroup,
    tierId: tier.id,
    priceId: price.id,
    anchorLocal,
    zone,
    periodStart: period.start,
    periodEnd: period.end,
    entitledUntil: entitledUntilFor({ status: 'active', periodEnd: period.end, endsAtPeriodEnd: prepaidPeriods === 0 }),
  });
  return id;
}

/** More periods of the same, used before anything is charged; what its user pays for goes on afterwards. */
async function extend(uow: UnitOfWork, live: SubscriptionRow, gift: GiftRow): Promise<SubscriptionId> {
  const isGift = live.giftId !== null;
  const isToPause = live.pauseAtPeriodEnd || live.status !== 'active';
  await changeSubscription(uow, live, {
    kind: 'gift_added',
    cause: 'user',
    set: {
      giftId: live.giftId ?? gift.id,
      renewsAfterGift: isGift ? live.renewsAfterGift : true,
      prepaidPeriods: live.prepaidPeriods + gift.periods,
      // A gift in its last period was to end with it.
      ...(isToPause
        ? {}
        : { entitledUntil: entitledUntilFor({ status: 'active', periodEnd: live.periodEnd, endsAtPeriodEnd: false }) }),
    },
    data: { giftId: gift.id },
  });
  // The id of a subscription's row names a subscription.
  return live.id as SubscriptionId;
}

function claimedGift(gift: GiftRow, tier: TierRow): ClaimedGift {
  return {
    // Column check: one of these words.
    status: gift.status as GiftStatus,
    giverId: gift.userId,
    recipientId: gift.recipientId,
    claimBy: gift.claimBy,
    tierId: tier.id,
    priceId: gift.priceId,
    periods: gift.periods,
  };
}

function liveFacts({ status, cancelAtPeriodEnd, tierId, priceId }: SubscriptionRow) {
  // Column check: one of these words.
  return { status: status as SubscriptionStatus, cancelAtPeriodEnd, tierId, priceId };
}
