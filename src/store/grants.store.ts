/** Rights that staff give. */
import { bucketOf } from '../domain/ids.js';
import { FeatureRow } from '../entities/catalogue.entity.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** Whether there is a feature of this name. */
export async function hasFeature(uow: UnitOfWork, key: string): Promise<boolean> {
  return uow.manager.existsBy(FeatureRow, { key });
}

const ADD_STAFF_GRANT = statement<[number, string, string, string, string, string, Date], never>(
  'add_staff_grant',
  `insert into entitlement_grant (bucket, id, user_id, feature_key, granted_by, note, expires_at) values ($1, $2, $3, $4, $5, $6, $7)`,
);

/** Writes a right that a staff member gives until an instant. */
export async function insertStaffGrant(
  uow: UnitOfWork,
  grant: { id: string; userId: string; featureKey: string; grantedBy: string; note: string; expiresAt: Date },
): Promise<void> {
  const { id, userId, featureKey, grantedBy, note, expiresAt } = grant;
  await uow.run(ADD_STAFF_GRANT, [bucketOf(id), id, userId, featureKey, grantedBy, note, expiresAt]);
}
