/** What we owe a customer, by currency; the ledger's customer_credit is posted in the same unit of work. */
import { keyBucket } from '../platform/json.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const CHANGE_CREDIT = statement<[number, string, string, bigint], never>(
  'change_customer_credit',
  `insert into customer_credit as c (bucket, user_id, currency, balance) values ($1, $2, $3, $4)
   on conflict (bucket, user_id, currency) do update set balance = c.balance + excluded.balance`,
);
const LOAD_CREDIT = statement<[number, string, string], { balance: bigint }>(
  'load_customer_credit',
  'select balance from customer_credit where bucket = $1 and user_id = $2 and currency = $3',
);

/** Gives a customer credit in a currency, or takes it. @param change.byMinor minor units; negative: less is owed to the customer */
export async function changeCredit(
  uow: UnitOfWork,
  change: { userId: string; currency: string; byMinor: bigint },
): Promise<void> {
  if (change.byMinor === 0n) return;
  await uow.run(CHANGE_CREDIT, [keyBucket(change.userId), change.userId, change.currency, change.byMinor]);
}

/** What we owe the customer in a currency, minor units; negative: what the customer owes us. The customer's lock is held. */
export async function loadCredit(uow: UnitOfWork, userId: string, currency: string): Promise<bigint> {
  return (await uow.run(LOAD_CREDIT, [keyBucket(userId), userId, currency]))[0]?.balance ?? 0n;
}
