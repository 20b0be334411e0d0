import { keyedStatement } from './reader.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { ownedColumns, type OwnedKey } from './viewer.js';

/** A purchase as the graph shows it. */
export interface PurchaseRow {
  o: number;
  id: string;
  userId: string;
  priceId: string;
  quantity: number;
  status: 'pending_payment' | 'completed' | 'failed' | 'refunded';
}

const COLUMNS = `p.id, p.user_id as "userId", p.price_id as "priceId", p.quantity, p.status`;

/** Purchases of their owners by id. */
export const purchasesById = keyedStatement<OwnedKey, PurchaseRow>(
  'purchases_by_id',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join purchase p on p.bucket = k.bucket and p.id = k.id
   where p.user_id = k.user_id`,
  ownedColumns,
);

/** Stretches of users' purchases, newest first. */
export const purchasesDown = keyedStatement<Stretch, PurchaseRow>(
  'purchases_down',
  `select k.o::int as o, p.*
   from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::int[]) with ordinality as k(bucket, user_id, below, above, limit_count, o)
   cross join lateral (
     select ${COLUMNS}
     from purchase p
     where p.bucket = k.bucket and p.user_id = k.user_id and p.id < k.below and p.id > k.above
     order by p.id desc
     limit k.limit_count) p`,
  stretchColumns,
);
