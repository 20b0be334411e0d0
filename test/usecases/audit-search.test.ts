import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { someStaff, startWorld, type World } from '../support/world.js';

let world: World;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => world.stop());

async function entriesOf(actor: string): Promise<unknown[]> {
  return world.query(
    'select acting_for, action, object_id, request_id from audit_entry where actor = $1 order by action, acting_for',
    [actor],
  );
}

test('a search of staff leaves an entry with what was asked, and one for each user whose transactions were shown', async () => {
  const sue = someStaff('support');
  await world.commands.auditSearch(sue, { userId: null, asked: '{"created":"march"}', shownUserIds: ['ana', 'ben'] });
  const common = { request_id: sue.requestId };
  expect(await entriesOf(sue.userId)).toEqual([
    { ...common, acting_for: 'ana', action: 'transactions.read', object_id: 'ana' },
    { ...common, acting_for: 'ben', action: 'transactions.read', object_id: 'ben' },
    { ...common, acting_for: null, action: 'transactions.search', object_id: '{"created":"march"}' },
  ]);
});

test('a search that found nothing leaves its entry all the same, about the user it was narrowed to', async () => {
  const fin = someStaff('finance');
  await world.commands.auditSearch(fin, { userId: 'cyd', asked: 'x'.repeat(3_000), shownUserIds: [] });
  expect(await entriesOf(fin.userId)).toEqual([
    { acting_for: 'cyd', action: 'transactions.search', object_id: 'x'.repeat(2_000), request_id: fin.requestId },
  ]);
});
