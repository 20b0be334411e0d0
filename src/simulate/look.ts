/** What a person sees of himself before he acts, and staff of him: one look at the rows. */
import type { PaymentMethodId, SubscriptionId, TransactionId } from '../domain/ids.js';
import { keyBucket } from '../platform/json.js';
import type { SimulatedWorld } from './world.js';

/** How a person stands. */
export interface Situation {
  /** The live one; null without. */
  subscription: {
    id: SubscriptionId;
    status: 'incomplete' | 'trialing' | 'active' | 'past_due' | 'paused';
    cancelAtPeriodEnd: boolean;
    tier: string;
  } | null;
  /** Whether there ever was one. */
  hasSubscribed: boolean;
  /** The usable default. */
  method: { id: PaymentMethodId; objectId: string } | null;
  /** The newest charge that succeeded. */
  charge: { id: TransactionId; amountMinor: bigint; currency: string } | null;
}

const LOOK = `
  select s.id as subscription_id, s.status, s.cancel_at_period_end, t.name as tier,
    exists (select from subscription e where e.bucket = c.bucket and e.user_id = c.user_id) as has_subscribed,
    m.id as method_id, m.provider_object_id, h.id as charge_id, h.amount, h.currency
  from customer c
  left join lateral (select * from subscription s where s.bucket = c.bucket and s.user_id = c.user_id
    and s.status in ('incomplete', 'trialing', 'active', 'past_due', 'paused') limit 1) s on true
  left join tier t on t.id = s.tier_id
  left join payment_method m on m.bucket = c.bucket and m.id = c.default_payment_method_id and m.status = 'active'
  left join lateral (select * from transaction h where h.bucket = c.bucket and h.user_id = c.user_id and h.kind = 'charge'
    and h.status = 'succeeded' order by h.id desc limit 1) h on true
  where c.bucket = $1 and c.user_id = $2`;

interface Row {
  subscription_id: SubscriptionId | null;
  status: 'incomplete' | 'trialing' | 'active' | 'past_due' | 'paused' | null;
  cancel_at_period_end: boolean | null;
  tier: string | null;
  has_subscribed: boolean;
  method_id: PaymentMethodId | null;
  provider_object_id: string | null;
  charge_id: TransactionId | null;
  amount: bigint | null;
  currency: string | null;
}

/** Looks at one person. */
export async function lookAt(world: Pick<SimulatedWorld, 'query'>, userId: string): Promise<Situation> {
  const [row] = await world.query<Row>(LOOK, [keyBucket(userId), userId]);
  if (!row) return { subscription: null, hasSubscribed: false, method: null, charge: null };
  return {
    subscription:
      row.subscription_id !== null && row.status !== null
        ? {
            id: row.subscription_id,
            status: row.status,
            cancelAtPeriodEnd: row.cancel_at_period_end ?? false,
            tier: row.tier ?? '',
          }
        : null,
    hasSubscribed: row.has_subscribed,
    method:
      row.method_id !== null && row.provider_object_id !== null ? { id: row.method_id, objectId: row.provider_object_id } : null,
    charge:
      row.charge_id !== null && row.amount !== null && row.currency !== null
        ? { id: row.charge_id, amountMinor: row.amount, currency: row.currency }
        : null,
  };
}

/** A price that is for sale. */
export interface Offer {
  id: string;
  /** The tier's or product's key. */
  key: string;
  name: string;
  isTier: boolean;
  interval: 'week' | 'month' | 'year' | null;
  currency: string;
  amountMinor: bigint;
}

/** Everything that is for sale, cheapest first. */
export async function readShelf(world: Pick<SimulatedWorld, 'query'>): Promise<Offer[]> {
  return world.query<Offer>(
    `select p.id, coalesce(t.key, o.key) as key, coalesce(t.name, o.name) as name, t.id is not null as "isTier",
       p.interval_unit as interval, p.currency, p.amount as "amountMinor"
     from price p left join tier t on t.id = p.tier_id left join product o on o.id = p.product_id
     where p.valid_to is null order by p.currency, p.amount, p.id`,
  );
}
