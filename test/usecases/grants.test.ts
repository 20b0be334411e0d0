import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Actor, GrantEntitlementCommand } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { newKey, someStaff, someUser, startWorld, type World } from '../support/world.js';

const DAY = 86_400_000;

let world: World;
let sue: Actor;

beforeAll(async () => {
  world = await startWorld();
  sue = someStaff('support');
});
afterAll(async () => world.stop());

const grant = (userId: string, more: Partial<GrantEntitlementCommand> = {}): GrantEntitlementCommand => ({
  userId,
  feature: 'no_ads',
  expiresAt: new Date(world.clock.now().getTime() + 30 * DAY),
  note: 'three days without service',
  idempotencyKey: newKey(),
  ...more,
});
const grantsOf = (userId: string) =>
  world.query<{ feature_key: string; granted_by: string; note: string; expires_at: Date }>(
    'select feature_key, granted_by, note, expires_at from entitlement_grant where user_id = $1',
    [userId],
  );
const codes = (answer: { refusals: { code: string }[] }) => answer.refusals.map(({ code }) => code);

test('staff give a feature for a while to whoever it may be, once for each key, and it is written who and why', async () => {
  const { userId } = someUser('ana');
  const command = grant(userId);
  const answer = await world.commands.grantEntitlement(sue, command);
  expect(answer).toMatchObject({ refusals: [], isReplay: false });
  expect(await world.commands.grantEntitlement(sue, command)).toEqual({ ...answer, isReplay: true });
  expect(await grantsOf(userId)).toEqual([
    { feature_key: 'no_ads', granted_by: sue.userId, note: command.note, expires_at: command.expiresAt },
  ]);
  const audited = await world.query('select actor, action, object_id, reason from audit_entry where acting_for = $1', [userId]);
  expect(audited).toEqual([{ actor: sue.userId, action: 'entitlement.grant', object_id: 'no_ads', reason: command.note }]);
  await expectSoundBooks(world);
});

test.each<[string, () => Partial<GrantEntitlementCommand>, string]>([
  ['of what is no feature', () => ({ feature: 'free_beer' }), 'NOT_FOUND'],
  ['without a reason', () => ({ note: ' ' }), 'INVALID_INPUT'],
  ['that is over', () => ({ expiresAt: world.clock.now() }), 'INVALID_INPUT'],
  ['for more than a year', () => ({ expiresAt: new Date(world.clock.now().getTime() + 367 * DAY) }), 'INVALID_INPUT'],
])('a right %s is not given', async (_, more, code) => {
  const { userId } = someUser('ben');
  expect(codes(await world.commands.grantEntitlement(sue, grant(userId, more())))).toEqual([code]);
  expect(await grantsOf(userId)).toEqual([]);
  expect(await world.query('select from audit_entry where acting_for = $1', [userId])).toEqual([]);
});
