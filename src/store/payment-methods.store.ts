import { bucketOf, type PaymentMethodId, type SetupId } from '../domain/ids.js';
import { PaymentMethodRow, PaymentMethodSetupRow } from '../entities/payment-method.entity.js';
import { keyBucket } from '../platform/json.js';
import type { MethodFact } from '../ports/provider.js';
import { entityStatement, statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

export type { PaymentMethodRow, PaymentMethodSetupRow };

const LOAD_METHOD = entityStatement<[number, string], PaymentMethodRow>(
  'load_method',
  'select * from payment_method where bucket = $1 and id = $2',
);

/** One method by id; row security hides other users' from a customer. */
export async function loadMethod(uow: UnitOfWork, id: string): Promise<PaymentMethodRow | null> {
  return (await uow.run(LOAD_METHOD, [bucketOf(id), id]))[0] ?? null;
}

/** Every method of the user that is not removed, oldest first. */
export async function listMethods(uow: UnitOfWork, userId: string): Promise<PaymentMethodRow[]> {
  const rows = await uow.manager.find(PaymentMethodRow, { where: { bucket: keyBucket(userId), userId }, order: { id: 'ASC' } });
  return rows.filter((row) => row.status !== 'removed');
}

/** The user's row of a provider's method, if it is known already. */
export async function loadMethodByObject(
  uow: UnitOfWork,
  userId: string,
  providerAccountId: number,
  providerObjectId: string,
): Promise<PaymentMethodRow | null> {
  return uow.manager.findOneBy(PaymentMethodRow, { bucket: keyBucket(userId), providerAccountId, providerObjectId });
}

/** Writes a method as the provider describes it, and tells the feed. */
export async function insertMethod(
  uow: UnitOfWork,
  method: {
    id: PaymentMethodId;
    userId: string;
    providerAccountId: number;
    status: 'pending_verification' | 'active';
    fact: MethodFact;
    mandate: object;
  },
): Promise<void> {
  const { objectId, ...card } = method.fact;
  await uow.manager.insert(PaymentMethodRow, {
    ...card,
    bucket: bucketOf(method.id),
    id: method.id,
    userId: method.userId,
    status: method.status,
    providerAccountId: method.providerAccountId,
    providerObjectId: objectId,
    mandate: method.mandate,
  });
  const { id: subjectId, userId, status } = method;
  uow.emit({ change: 'payment_method', userId, subjectId, version: 0, status, previousStatus: null });
}

const SET_STATUS = statement<[number, string, string], { user_id: string; previous: string }>(
  'set_method_status',
  `with before as (select bucket, id, status from payment_method where bucket = $1 and id = $2)
   update payment_method m set status = $3 from before b
   where m.bucket = b.bucket and m.id = b.id and b.status not in ('removed', $3) returning m.user_id, b.status as previous`,
);

/** Moves a method on, and tells the feed. One that its owner removed stays removed, whatever is told of it later. The customer's lock is held. */
export async function setMethodStatus(
  uow: UnitOfWork,
  id: string,
  status: 'pending_verification' | 'active' | 'expired' | 'failed' | 'removed',
): Promise<void> {
  const [moved] = await uow.run(SET_STATUS, [bucketOf(id), id, status]);
  if (!moved) return;
  const { user_id: userId, previous: previousStatus } = moved;
  uow.emit({ change: 'payment_method', userId, subjectId: id, version: 0, status, previousStatus });
}

/** Writes an open setup. */
export async function insertSetup(
  uow: UnitOfWork,
  setup: {
    id: SetupId;
    userId: string;
    kind: string;
    providerAccountId: number;
    returnUrl: string;
    makesDefault: boolean;
    expiresAt: Date;
  },
): Promise<void> {
  await uow.manager.insert(PaymentMethodSetupRow, { ...setup, bucket: bucketOf(setup.id), status: 'open' });
}

/** One setup by id; row security hides other users' from a customer. */
export async function loadSetup(uow: UnitOfWork, id: string): Promise<PaymentMethodSetupRow | null> {
  return uow.manager.findOneBy(PaymentMethodSetupRow, { bucket: bucketOf(id), id });
}

/** Changes a setup. The customer's lock is held. */
export async function changeSetup(
  uow: UnitOfWork,
  id: string,
  set: Partial<Pick<PaymentMethodSetupRow, 'status' | 'providerObjectId' | 'nextAction' | 'paymentMethodId'>>,
): Promise<void> {
  await uow.manager.update(PaymentMethodSetupRow, { bucket: bucketOf(id), id }, set as object);
}
