import { In } from 'typeorm';
import { bucketOf, type PriceId, type PurchaseId, type SubscriptionId, type TierId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { PriceRow, ProductRow, TierRow } from '../entities/catalogue.entity.js';
import { EntitlementGrantRow, PurchaseRow, SubscriptionEventRow, SubscriptionRow } from '../entities/subscription.entity.js';
import { keyBucket } from '../platform/json.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { PriceRow, ProductRow, PurchaseRow, SubscriptionRow, TierRow };

/** States in which a subscription stands in the way of another of its group (fence 8). */
const LIVE = ['incomplete', 'trialing', 'active', 'past_due', 'paused'];

/** A price with the tier it belongs to; null when there is none, or it is a product's. */
export async function loadTierPrice(uow: UnitOfWork, priceId: PriceId): Promise<{ price: PriceRow; tier: TierRow } | null> {
  const price = await uow.manager.findOneBy(PriceRow, { id: priceId });
  if (!price?.tierId) return null;
  return { price, tier: await uow.manager.findOneByOrFail(TierRow, { id: price.tierId }) };
}

/** The price that a row of ours refers to. */
export async function requirePrice(uow: UnitOfWork, id: string): Promise<PriceRow> {
  const [price] = await uow.run(LOAD_PRICE, [id]);
  invariant(price !== undefined, 'a price that was used is never removed', { id });
  return price;
}

const LOAD_PRICE = entityStatement<[string], PriceRow>('load_price', 'select * from price where id = $1');
const LOAD_PRODUCT = entityStatement<[string], ProductRow>('load_product', 'select * from product where id = $1');

/** A price with the product it belongs to; null when there is none, or it is a tier's. */
export async function loadProductPrice(
  uow: UnitOfWork,
  priceId: PriceId,
): Promise<{ price: PriceRow; product: ProductRow } | null> {
  const [price] = await uow.run(LOAD_PRICE, [priceId]);
  if (!price?.productId) return null;
  const [product] = await uow.run(LOAD_PRODUCT, [price.productId]);
  return product === undefined ? null : { price, product };
}

/** The user's live subscription of a group, if any. */
export async function loadLiveSubscription(uow: UnitOfWork, userId: string, tierGroup: string): Promise<SubscriptionRow | null> {
  return uow.manager.findOneBy(SubscriptionRow, { bucket: keyBucket(userId), userId, tierGroup, status: In(LIVE) });
}

/** All live subscriptions of the user. */
export async function listLiveSubscriptions(uow: UnitOfWork, userId: string): Promise<SubscriptionRow[]> {
  return uow.manager.findBy(SubscriptionRow, { bucket: keyBucket(userId), userId, status: In(LIVE) });
}

/** One subscription by id; row security hides other users' from a customer. */
export async function loadSubscription(uow: UnitOfWork, id: string): Promise<SubscriptionRow | null> {
  return uow.manager.findOneBy(SubscriptionRow, { bucket: bucketOf(id), id });
}

/** What a new subscription needs. */
export interface NewSubscription {
  id: SubscriptionId;
  userId: string;
  tierGroup: string;
  tierId: TierId;
  priceId: PriceId;
  /** null: the default method is used. */
  paymentMethodId: string | null;
  /** `incomplete`: until the first payment is done. */
  status: 'incomplete' | 'trialing' | 'active';
  /** Civil date-time, whole seconds, in `zone`. */
  anchorLocal: string;
  zone: string;
  periodStart: Date;
  periodEnd: Date;
  entitledUntil: Date;
  /** null: it begins with no trial. */
  trialEndsAt: Date | null;
  /** When something falls due by itself; null while the first payment is open, which has its own. */
  nextActionAt: Date | null;
}

/** What a user agreed to when a subscription began. */
export interface NewConsent {
  id: string;
  textVersion: string;
}

type SubscriptionParams = [
  bucket: number,
  id: string,
  userId: string,
  tierGroup: string,
  tierId: string,
  priceId: string,
  paymentMethodId: string | null,
  status: string,
  anchorLocal: string,
  zone: string,
  periodStart: Date,
  periodEnd: Date,
  entitledUntil: Date,
  trialEndsAt: Date | null,
  nextActionAt: Date | null,
  at: Date,
  consentId: string,
  textVersion: string,
];

const ADD_SUBSCRIPTION = statement<SubscriptionParams, never>(
  'add_subscription',
  `with subscription as (
     insert into subscription (bucket, id, user_id, tier_group, tier_id, price_id, payment_method_id, status, anchor_local, zone,
       period_start, period_end, entitled_until, trial_ends_at, next_action_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8::text, $9, $10, $11, $12, $13, $14, $15))
   , event as (
     insert into subscription_event (bucket, subscription_id, version, user_id, kind, status, cause, at)
     values ($1, $2, 0, $3, 'created', $8::text, 'user', $16))
   insert into consent (bucket, id, user_id, subscription_id, text_version) values ($1, $17, $3, $2, $18)`,
);

/** Writes a subscription with its first event, and what its user agreed to, and tells the feed. */
export async function insertSubscription(uow: UnitOfWork, subscription: NewSubscription, consent: NewConsent): Promise<void> {
  await uow.run(ADD_SUBSCRIPTION, [
    bucketOf(subscription.id),
    subscription.id,
    subscription.userId,
    subscription.tierGroup,
    subscription.tierId,
    subscription.priceId,
    subscription.paymentMethodId,
    subscription.status,
    subscription.anchorLocal,
    subscription.zone,
    subscription.periodStart,
    subscription.periodEnd,
    subscription.entitledUntil,
    subscription.trialEndsAt,
    subscription.nextActionAt,
    uow.now,
    consent.id,
    consent.textVersion,
  ]);
  const { id: subjectId, userId, status } = subscription;
  uow.emit({ change: 'subscription', userId, subjectId, version: 0, status, previousStatus: null });
  if (subscription.entitledUntil > uow.now) tellEntitlements(uow, userId, subjectId);
}

/** What the user may use has changed, or how long. */
function tellEntitlements(uow: UnitOfWork, userId: string, subjectId: string): void {
  uow.emit({ change: 'entitlements', userId, subjectId, version: 0, status: null, previousStatus: null });
}

/** A change of a subscription: new columns, and the event that tells why. */
export interface SubscriptionChange {
  kind:
    | 'activated'
    | 'renewed'
    | 'converted'
    | 'paused'
    | 'trial_extended'
    | 'change_dropped'
    | 'renewal_put_off'
    | 'periods_skipped'
    | 'past_due'
    | 'payment_failed'
    | 'cancel_requested'
    | 'canceled'
    | 'resumed'
    | 'pause_requested'
    | 'gift_added'
    | 'gift_revoked'
    | 'coupon_applied'
    | 'held'
    | 'released'
    | 'gave_up'
    | 'tier_changed'
    | 'change_planned';
  cause: string;
  set: Partial<Omit<SubscriptionRow, 'bucket' | 'id' | 'version' | 'userId'>>;
  data?: Record<string, unknown>;
}

/** Applies a change, version + 1, writes its event and tells the feed. The customer's lock is held, so nobody else changes it meanwhile. */
export async function changeSubscription(uow: UnitOfWork, row: SubscriptionRow, change: SubscriptionChange): Promise<void> {
  const version = row.version + 1;
  const done = await uow.manager.update(
    SubscriptionRow,
    { bucket: row.bucket, id: row.id, version: row.version },
    { ...change.set, version },
  );
  invariant(done.affected === 1, 'a subscription changes only under its customer lock', { id: row.id, version: row.version });
  await uow.manager.insert(SubscriptionEventRow, {
    bucket: row.bucket,
    subscriptionId: row.id,
    version,
    userId: row.userId,
    kind: change.kind,
    status: change.set.status ?? row.status,
    cause: change.cause,
    at: uow.now,
    ...(change.data === undefined ? {} : { data: change.data }),
  });
  const { id: subjectId, userId, status: previousStatus } = row;
  const status = change.set.status ?? previousStatus;
  uow.emit({ change: 'subscription', userId, subjectId, version, status, previousStatus });
  if (changesAccess(row, change.set)) tellEntitlements(uow, userId, subjectId);
}

/** Whether a change touches what the subscription gives access to, or until when (rules S1). */
function changesAccess(row: SubscriptionRow, { entitledUntil, tierId, hold }: SubscriptionChange['set']): boolean {
  return (
    (entitledUntil !== undefined && entitledUntil.getTime() !== row.entitledUntil.getTime()) ||
    (tierId !== undefined && tierId !== row.tierId) ||
    (hold !== undefined && hold !== row.hold)
  );
}

/** Every status that a subscription has had, oldest first, and since when. */
export async function listStatuses(uow: UnitOfWork, row: SubscriptionRow): Promise<{ status: string; at: Date }[]> {
  return uow.manager.find(SubscriptionEventRow, {
    where: { bucket: row.bucket, subscriptionId: row.id },
    order: { version: 'ASC' },
    select: { status: true, at: true },
  });
}

const ADD_PURCHASE = statement<[number, string, string, string, number], never>(
  'add_purchase',
  `insert into purchase (bucket, id, user_id, price_id, quantity, status) values ($1, $2, $3, $4, $5, 'pending_payment')`,
);
const COMPLETE_PURCHASE = statement<[number, string], { unlocks: string | null }>(
  'complete_purchase',
  `update purchase p set status = 'completed' from price c join product o on o.id = c.product_id
   where p.bucket = $1 and p.id = $2 and c.id = p.price_id returning o.unlocks`,
);

/** Writes a purchase that waits for its payment. */
export async function insertPurchase(
  uow: UnitOfWork,
  purchase: { id: PurchaseId; userId: string; priceId: PriceId; quantity: number },
): Promise<void> {
  await uow.run(ADD_PURCHASE, [bucketOf(purchase.id), purchase.id, purchase.userId, purchase.priceId, purchase.quantity]);
}

/** Hands a purchase over; answers with the feature that its product unlocks, if any. */
export async function completePurchase(uow: UnitOfWork, id: string): Promise<string | null> {
  const [bought] = await uow.run(COMPLETE_PURCHASE, [bucketOf(id), id]);
  invariant(bought !== undefined, 'a purchase is of a product', { id });
  return bought.unlocks;
}

/** Moves a purchase on. */
export async function setPurchaseStatus(uow: UnitOfWork, id: string, status: 'failed' | 'refunded'): Promise<void> {
  await uow.manager.update(PurchaseRow, { bucket: bucketOf(id), id }, { status });
}

const ADD_GRANT = statement<[number, string, string, string, string], never>(
  'add_grant',
  'insert into entitlement_grant (bucket, id, user_id, feature_key, purchase_id) values ($1, $2, $3, $4, $5)',
);

/** Grants what a purchase unlocks. */
export async function insertGrant(
  uow: UnitOfWork,
  grant: { id: string; userId: string; featureKey: string; purchaseId: string },
): Promise<void> {
  await uow.run(ADD_GRANT, [bucketOf(grant.id), grant.id, grant.userId, grant.featureKey, grant.purchaseId]);
  tellEntitlements(uow, grant.userId, grant.purchaseId);
}

/** Takes back what a purchase unlocked. */
export async function revokeGrants(uow: UnitOfWork, userId: string, purchaseId: string): Promise<void> {
  await uow.manager.update(EntitlementGrantRow, { bucket: keyBucket(userId), purchaseId }, { revokedAt: uow.now });
  tellEntitlements(uow, userId, purchaseId);
}
