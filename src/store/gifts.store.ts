/** Gifts. A gift is a row of its giver's; what it gave is a row of its recipient's. Locks: customers, in the order of their keys, then the gift. */
import { bucketOf, type GiftId, type SubscriptionId, type TransactionId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { GiftReceivedRow, GiftRow } from '../entities/gift.entity.js';
import { SubscriptionEventRow, SubscriptionRow } from '../entities/subscription.entity.js';
import { keyBucket } from '../platform/json.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { GiftReceivedRow, GiftRow };

/** What a new gift needs; it waits for its payment. */
export interface NewGift {
  id: GiftId;
  /** Who gives. */
  userId: string;
  /** null: by a code. */
  recipientId: string | null;
  isAnonymous: boolean;
  priceId: string;
  periods: number;
  /** SHA-256 of the secret in its code. */
  claimSecretHash: Buffer;
  claimBy: Date;
}

/** Writes a gift that waits for its payment. */
export async function insertGift(uow: UnitOfWork, gift: NewGift): Promise<void> {
  await uow.manager.insert(GiftRow, { ...gift, bucket: bucketOf(gift.id), status: 'pending_payment', periodsUsed: 0 });
}

/** One gift by id; row security hides other users' from a customer. */
export async function loadGift(uow: UnitOfWork, id: string): Promise<GiftRow | null> {
  return uow.manager.findOneBy(GiftRow, { bucket: bucketOf(id), id });
}

const LOCK_GIFT = entityStatement<[number, string], GiftRow>(
  'lock_gift',
  'select * from gift where bucket = $1 and id = $2 for update',
);

/** The same, and nobody else changes it until the unit ends: giver and recipient meet here. Their customers are locked before it. */
export async function lockGift(uow: UnitOfWork, id: string): Promise<GiftRow | null> {
  return (await uow.run(LOCK_GIFT, [bucketOf(id), id]))[0] ?? null;
}

const SHOW_SECRET = statement<[string], never>('show_gift_secret', `select set_config('app.gift_secret_hash', $1, true)`);
const LOCK_CLAIMED = entityStatement<[number, string, string, Buffer | null], GiftRow>(
  'lock_claimed_gift',
  'select * from gift where bucket = $1 and id = $2 and (recipient_id = $3 or claim_secret_hash = $4) for update',
);

/** The gift that a user may claim: given by name, or by the secret of its code. Nobody else claims it until the unit ends. */
export async function lockGiftToClaim(
  uow: UnitOfWork,
  claim: { id: GiftId; userId: string; secretHash: Buffer | null },
): Promise<GiftRow | null> {
  await uow.run(SHOW_SECRET, [claim.secretHash?.toString('hex') ?? '']);
  return (await uow.run(LOCK_CLAIMED, [bucketOf(claim.id), claim.id, claim.userId, claim.secretHash]))[0] ?? null;
}

/** Changes a gift whose row is locked. */
export async function changeGift(
  uow: UnitOfWork,
  row: GiftRow,
  set: Partial<Pick<GiftRow, 'status' | 'recipientId' | 'subscriptionId' | 'periodsUsed' | 'nextActionAt'>>,
): Promise<void> {
  const done = await uow.manager.update(GiftRow, { bucket: row.bucket, id: row.id, status: row.status }, set);
  invariant(done.affected === 1, 'a gift changes only under its lock', { id: row.id, status: row.status });
}

/** Due gifts: to be told to their recipient, to be settled after a claim, or not claimed in time. */
const DUE_GIFTS = statement<[Slot, Date, number], { id: GiftId; user_id: string }>(
  'due_gifts',
  'select id, user_id from gift where bucket between ($1::smallint[])[1] and ($1::smallint[])[2] and next_action_at <= $2 order by next_action_at limit $3',
);

/** Up to `limit` gifts of these buckets that are due. They are looked at again under their locks. */
export async function listDueGifts(uow: UnitOfWork, buckets: Slot, limit: number): Promise<{ id: GiftId; userId: string }[]> {
  const rows = await uow.run(DUE_GIFTS, [buckets, uow.now, limit]);
  return rows.map((row) => ({ id: row.id, userId: row.user_id }));
}

const GIFT_CHARGE = statement<[number, string], { id: TransactionId }>(
  'gift_charge',
  `select t.id from invoice i join transaction t on t.bucket = i.bucket and t.invoice_id = i.id and t.kind = 'charge'
   where i.bucket = $1 and i.gift_id = $2 order by t.id desc limit 1`,
);

/** The charge that paid for a gift, or was to. */
export async function loadGiftCharge(uow: UnitOfWork, giftId: string): Promise<TransactionId | null> {
  return (await uow.run(GIFT_CHARGE, [bucketOf(giftId), giftId]))[0]?.id ?? null;
}

const KEEP_RECEIVED = statement<[number, string, string, string, number, Date | null, string | null], never>(
  'keep_received_gift',
  `insert into gift_received as r (bucket, user_id, gift_id, id, periods, claimed_at, subscription_id) values ($1, $2, $3, $4, $5, $6, $7)
   on conflict (bucket, user_id, gift_id) do update
     set id = excluded.id, claimed_at = excluded.claimed_at, subscription_id = excluded.subscription_id
     where r.claimed_at is null and excluded.claimed_at is not null`,
);

/** Writes the recipient's side of a gift: that it is there, or what it became. Once claimed it stays as it was. */
export async function keepReceived(
  uow: UnitOfWork,
  received: {
    /** In the recipient's bucket, made now: the order of claims. */
    id: GiftId;
    userId: string;
    giftId: string;
    periods: number;
    claimedAt: Date | null;
    subscriptionId: string | null;
  },
): Promise<void> {
  const { id, userId, giftId, periods, claimedAt, subscriptionId } = received;
  await uow.run(KEEP_RECEIVED, [keyBucket(userId), userId, giftId, id, periods, claimedAt, subscriptionId]);
}

/** The recipient's side of a gift. */
export async function loadReceived(uow: UnitOfWork, userId: string, giftId: string): Promise<GiftReceivedRow | null> {
  return uow.manager.findOneBy(GiftReceivedRow, { bucket: keyBucket(userId), userId, giftId });
}

const LATER_PERIODS = statement<[number, string, string], { periods: number }>(
  'later_gift_periods',
  `select coalesce(sum(periods - revoked), 0)::int as periods from gift_received
   where bucket = $1 and subscription_id = $2 and claimed_at is not null and id > $3`,
);

/** Periods of the gifts to the same subscription that were claimed after this one. */
export async function countLaterPeriods(uow: UnitOfWork, row: GiftReceivedRow): Promise<number> {
  if (row.subscriptionId === null) return 0;
  return (await uow.run(LATER_PERIODS, [row.bucket, row.subscriptionId, row.id]))[0]?.periods ?? 0;
}

/** Notes how many periods of a received gift were taken back. The recipient's lock is held. */
export async function keepRevoked(uow: UnitOfWork, row: GiftReceivedRow, revoked: number): Promise<void> {
  await uow.manager.update(GiftReceivedRow, { bucket: row.bucket, userId: row.userId, giftId: row.giftId }, { revoked });
}

/** A subscription that a gift begins. */
export interface GiftedSubscription {
  id: SubscriptionId;
  userId: string;
  /** Who gave; null when the recipient is not to know. */
  payerId: string | null;
  giftId: string;
  prepaidPeriods: number;
  tierGroup: string;
  tierId: string;
  priceId: string;
  anchorLocal: string;
  zone: string;
  periodStart: Date;
  periodEnd: Date;
  entitledUntil: Date;
}

/** Writes a subscription that is active from its first moment, paid by a gift, and its first event. */
export async function insertGifted(uow: UnitOfWork, subscription: GiftedSubscription): Promise<void> {
  const bucket = bucketOf(subscription.id);
  const { id, userId, giftId } = subscription;
  await uow.manager.insert(SubscriptionRow, {
    ...subscription,
    bucket,
    status: 'active',
    epoch: 0,
    periodNumber: 0,
    nextActionAt: subscription.periodEnd,
    version: 0,
  });
  await uow.manager.insert(SubscriptionEventRow, {
    bucket,
    subscriptionId: id,
    version: 0,
    userId,
    kind: 'created',
    status: 'active',
    cause: 'user',
    at: uow.now,
    data: { giftId },
  });
}
