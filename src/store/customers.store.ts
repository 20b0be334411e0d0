import { residenceNow, type ToldResidence } from '../domain/customer/residence.js';
import type { PaymentMethodId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { CustomerRow } from '../entities/customer.entity.js';
import { keyBucket } from '../platform/json.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { CustomerRow };

const ADD_CUSTOMER = statement<[number, string], never>(
  'add_customer',
  'insert into customer (bucket, user_id) values ($1, $2) on conflict (bucket, user_id) do nothing',
);
const ADD_PROVIDER_CUSTOMER = statement<[number, string, number, string], never>(
  'add_provider_customer',
  `insert into provider_customer (bucket, user_id, provider_account_id, object_id) values ($1, $2, $3, $4)
   on conflict (bucket, user_id, provider_account_id) do nothing`,
);

const LOAD_PROVIDER_CUSTOMER = statement<[number, string, number], { object_id: string }>(
  'load_provider_customer',
  'select object_id from provider_customer where bucket = $1 and user_id = $2 and provider_account_id = $3',
);
const LOCK_CUSTOMER = entityStatement<[number, string], CustomerRow>(
  'lock_customer',
  'select * from customer where bucket = $1 and user_id = $2 for update',
);

const KEEP_RESIDENCE = statement<[number, string, string | null, string], never>(
  'keep_residence',
  'update customer set country = $3, zone = $4 where bucket = $1 and user_id = $2',
);

/** Takes the customer's lock, making the customer if new: every unit of work that changes a user begins here. */
export async function lockCustomer(uow: UnitOfWork, userId: string): Promise<CustomerRow> {
  const known = await lockExistingCustomer(uow, userId);
  if (known !== null) return known;
  await uow.run(ADD_CUSTOMER, [keyBucket(userId), userId]);
  const customer = await lockExistingCustomer(uow, userId);
  invariant(customer !== null, 'a customer just added is there', { userId });
  return customer;
}

/** The same for a customer who acts, and keeps where the platform now says that they live. */
export async function lockCaller(
  uow: UnitOfWork,
  { userId, residence }: { userId: string; residence?: ToldResidence },
): Promise<CustomerRow> {
  const customer = await lockCustomer(uow, userId);
  const { country, zone } = residenceNow(customer, residence);
  if (country === customer.country && zone === customer.zone) return customer;
  await uow.run(KEEP_RESIDENCE, [keyBucket(userId), userId, country, zone]);
  return Object.assign(customer, { country, zone });
}

/** Takes the lock of a customer who may have no account here: null then. */
export async function lockExistingCustomer(uow: UnitOfWork, userId: string): Promise<CustomerRow | null> {
  const [customer] = await uow.run(LOCK_CUSTOMER, [keyBucket(userId), userId]);
  return customer ?? null;
}

/** The user's account, without its lock; null when there is none. */
export async function loadCustomer(uow: UnitOfWork, userId: string): Promise<CustomerRow | null> {
  return uow.manager.findOneBy(CustomerRow, { bucket: keyBucket(userId), userId });
}

/** Whether the user has an account here. */
export async function hasCustomer(uow: UnitOfWork, userId: string): Promise<boolean> {
  return uow.manager.existsBy(CustomerRow, { bucket: keyBucket(userId), userId });
}

/** The customer's object at a provider account, e.g. cus_...; null before the first setup. */
export async function loadProviderCustomer(uow: UnitOfWork, userId: string, providerAccountId: number): Promise<string | null> {
  const [row] = await uow.run(LOAD_PROVIDER_CUSTOMER, [keyBucket(userId), userId, providerAccountId]);
  return row?.object_id ?? null;
}

/** Keeps the customer's object; a second one is ignored, the first stays. */
export async function recordProviderCustomer(
  uow: UnitOfWork,
  userId: string,
  providerAccountId: number,
  objectId: string,
): Promise<void> {
  await uow.run(ADD_PROVIDER_CUSTOMER, [keyBucket(userId), userId, providerAccountId, objectId]);
}

/** Sets what renewals charge first, and tells the feed; null for none. */
export async function setDefaultMethod(uow: UnitOfWork, userId: string, methodId: PaymentMethodId | null): Promise<void> {
  await uow.manager.update(CustomerRow, { bucket: keyBucket(userId), userId }, { defaultPaymentMethodId: methodId });
  if (methodId === null) return;
  uow.emit({ change: 'payment_method', userId, subjectId: methodId, version: 0, status: 'active', previousStatus: 'active' });
}
