import { keyBucket } from '../platform/json.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const ADD_CREDIT = statement<[number, string, string, bigint], never>(
  'add_customer_credit',
  `insert into customer_credit as c (bucket, user_id, currency, balance) values ($1, $2, $3, $4)
   on conflict (bucket, user_id, currency) do update set balance = c.balance + excluded.balance`,
);

/** Gives a customer credit in a currency; the ledger's customer_credit is posted in the same unit of work. */
export async function addCredit(
  uow: UnitOfWork,
  credit: { userId: string; currency: string; amountMinor: bigint },
): Promise<void> {
  await uow.run(ADD_CREDIT, [keyBucket(credit.userId), credit.userId, credit.currency, credit.amountMinor]);
}
