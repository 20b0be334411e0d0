import { keyedStatement } from './reader.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { ownedColumns, type OwnedKey } from './viewer.js';

/** A gift as the graph shows it, to its giver or its recipient. */
export interface GiftRow {
  o: number;
  id: string;
  giverId: string;
  recipientId: string | null;
  isAnonymous: boolean;
  priceId: string;
  periods: number;
  status: 'pending_payment' | 'claimable' | 'claimed' | 'expired' | 'canceled';
  /** The recipient's. */
  subscriptionId: string | null;
  claimBy: Date;
}

const COLUMNS = `g.id, g.user_id as "giverId", g.recipient_id as "recipientId", g.is_anonymous as "isAnonymous", g.price_id as "priceId",
  g.periods, g.status, g.subscription_id as "subscriptionId", g.claim_by as "claimBy"`;

/** What a recipient sees: neither what was never paid nor what was taken back before it was claimed. */
const IS_RECEIVED = `g.status <> 'pending_payment' and (g.status <> 'canceled' or g.subscription_id is not null)`;

/** Gifts by id, of those who gave them or for whom they are. */
export const giftsById = keyedStatement<OwnedKey, GiftRow>(
  'gifts_by_id',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join gift g on g.bucket = k.bucket and g.id = k.id
   where g.user_id = k.user_id or (g.recipient_id = k.user_id and ${IS_RECEIVED})`,
  ownedColumns,
);

/** Stretches of the gifts that users gave or were given, newest first. */
export const giftsDown = keyedStatement<Stretch, GiftRow>(
  'gifts_down',
  `select k.o::int as o, g.*
   from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::int[]) with ordinality as k(bucket, user_id, below, above, limit_count, o)
   cross join lateral (
     select * from (
       (select ${COLUMNS}
        from gift g
        where g.bucket = k.bucket and g.user_id = k.user_id and g.id < k.below and g.id > k.above
        order by g.id desc
        limit k.limit_count)
       union all
       (select ${COLUMNS}
        from gift_received r
        join gift g on g.bucket = id_bucket(r.gift_id) and g.id = r.gift_id
        where r.bucket = k.bucket and r.user_id = k.user_id and r.gift_id < k.below and r.gift_id > k.above and ${IS_RECEIVED}
        order by r.gift_id desc
        limit k.limit_count)) g
     order by g.id desc
     limit k.limit_count) g`,
  stretchColumns,
);
