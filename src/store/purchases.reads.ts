import { keyedStatement } from './reader.js';
import { stretchColumns, type Stretch } from './keyset.js';
import { viewedColumns, type ViewedKey } from './viewer.js';

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

/** Purchases by id: the viewer's own, or anyone's for staff. */
export const purchasesById = keyedStatement<ViewedKey, PurchaseRow>(
  'purchases_by_id',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[], $3::text[], $4::boolean[]) with ordinality as k(bucket, id, viewer, is_staff, o)
   join purchase p on p.bucket = k.bucket and p.id = k.id
   where p.user_id = k.viewer or k.is_staff`,
  viewedColumns,
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
