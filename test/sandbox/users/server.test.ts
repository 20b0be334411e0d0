import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startUsersStandIn } from '../../../src/sandbox/users/server.js';

let users: Awaited<ReturnType<typeof startUsersStandIn>>;
beforeAll(async () => {
  users = await startUsersStandIn({
    port: 0,
    tokens: { verify: async (token) => (token.startsWith('good-') ? { userId: token.slice(5) } : null) },
  });
});
afterAll(() => users.stop());

async function ask(query: string, variables: object = {}, token?: string): Promise<unknown> {
  const answer = await fetch(`${users.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return await answer.json();
}

test('the viewer is whoever the token belongs to, and nobody without a good one', async () => {
  expect(await ask('{ viewer { id handle } }', {}, 'good-ana')).toEqual({ data: { viewer: { id: 'ana', handle: '@ana' } } });
  expect(await ask('{ viewer { id } }')).toEqual({ data: { viewer: null } });
  expect(await ask('{ viewer { id } }', {}, 'bad')).toEqual({ data: { viewer: null } });
});

test('every user id of the right form is believed, no other', async () => {
  const query = 'query($r: [_Any!]!) { _entities(representations: $r) { ... on User { id handle } } }';
  const representations = ['bob', 'x-1_Y', 'a b', ''].map((id) => ({ __typename: 'User', id }));
  expect(await ask(query, { r: representations })).toEqual({
    data: { _entities: [{ id: 'bob', handle: '@bob' }, { id: 'x-1_Y', handle: '@x-1_Y' }, null, null] },
  });
});

test('it tells its schema to a composer', async () => {
  expect(JSON.stringify(await ask('{ _service { sdl } }'))).toContain('@key(fields: \\"id\\")');
});

test('a taken port is told by the name of its setting', async () => {
  const port = Number(new URL(users.url).port);
  await expect(startUsersStandIn({ port, tokens: { verify: async () => null } })).rejects.toThrow(
    'set USERS_PORT to a free port',
  );
});
