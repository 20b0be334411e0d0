import { keyedStatement } from './reader.js';
import { userColumns, ownedColumns, type OwnedKey } from './viewer.js';

/** A payment method as the graph shows it. */
export interface PaymentMethodRow {
  o: number;
  id: string;
  userId: string;
  kind: 'card' | 'paypal' | 'bank_account';
  status: 'pending_verification' | 'active' | 'expired' | 'failed' | 'removed';
  providerAccountId: number;
  brand: string | null;
  last4: string | null;
  expiryMonth: number | null;
  expiryYear: number | null;
  wallet: string | null;
  issuingCountry: string | null;
  isDefault: boolean;
}

const COLUMNS = `m.id, m.user_id as "userId", m.kind, m.status, m.provider_account_id as "providerAccountId", m.brand, m.last4,
  m.expiry_month as "expiryMonth", m.expiry_year as "expiryYear", m.wallet, m.issuing_country as "issuingCountry",
  (c.default_payment_method_id = m.id) is true as "isDefault"`;

/** Payment methods of their owners by id, removed ones included. */
export const paymentMethodsById = keyedStatement<OwnedKey, PaymentMethodRow>(
  'payment_methods_by_id',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::uuid[], $3::text[]) with ordinality as k(bucket, id, user_id, o)
   join payment_method m on m.bucket = k.bucket and m.id = k.id
   join customer c on c.bucket = m.bucket and c.user_id = m.user_id
   where m.user_id = k.user_id`,
  ownedColumns,
);

/** The methods each user has on file, the default first, then the newest. */
export const paymentMethodsOnFile = keyedStatement<string, PaymentMethodRow>(
  'payment_methods_on_file',
  `select k.o::int as o, ${COLUMNS}
   from unnest($1::smallint[], $2::text[]) with ordinality as k(bucket, user_id, o)
   join customer c on c.bucket = k.bucket and c.user_id = k.user_id
   join payment_method m on m.bucket = k.bucket and m.user_id = k.user_id and m.status <> 'removed'
   order by "isDefault" desc, m.id desc`,
  userColumns,
);
