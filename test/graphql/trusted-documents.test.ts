import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readTrustedDocuments } from '../../src/graphql/trusted-documents.js';
import { Secret } from '../../src/platform/secret.js';
import { startSmallServer, type SmallServer } from './small-graph.js';

const KNOWN = 'query Known($text: String) { echo(text: $text) }';
const STREAM = 'subscription Known { count(to: 2) }';
const UNKNOWN = '{ whoami }';
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const idOf = (text: string): string => `sha256:${hashOf(text)}`;
const documents = new Map([KNOWN, STREAM].map((text) => [idOf(text), text]));
const ECHO = { data: { echo: 'hello' } };
const TOKEN = { authorization: 'Bearer ana' };
const variables = { text: 'hello' };

let enforcing: SmallServer;
let logging: SmallServer;
let off: SmallServer;
beforeAll(async () => {
  const routerSecrets = [new Secret('the secret of the router')];
  enforcing = await startSmallServer({ settings: { trustedDocuments: 'enforce', routerSecrets }, trustedDocuments: documents });
  logging = await startSmallServer({ settings: { trustedDocuments: 'log' }, trustedDocuments: documents });
  off = await startSmallServer();
});
afterAll(async () => {
  for (const server of [enforcing, logging, off]) await server.stop(0);
});

async function ask(server: SmallServer, body: unknown, headers: Record<string, string> = {}) {
  const answer = await server.post(body, headers);
  const { errors, ...rest } = (await answer.json()) as { errors?: { extensions: { code: string } }[]; data?: unknown };
  return { status: answer.status, code: errors?.[0]?.extensions.code, answer: rest };
}

describe('a list of trusted documents that is enforced', () => {
  test.each<[string, Record<string, unknown>]>([
    ['its id', { documentId: idOf(KNOWN), variables }],
    [
      'its hash, as a persisted query that was never sent',
      { extensions: { persistedQuery: { version: 1, sha256Hash: hashOf(KNOWN) } }, variables },
    ],
    ['its text', { query: KNOWN, variables }],
  ])('lets a document of the list in by %s', async (_how, body) => {
    expect(await ask(enforcing, body)).toEqual({ status: 200, code: undefined, answer: ECHO });
  });

  test('lets a document of the list in by GET', async () => {
    const search = new URLSearchParams({ documentId: idOf(KNOWN), variables: JSON.stringify(variables) });
    const answer = await fetch(`${enforcing.url}/graphql?${search.toString()}`, { headers: { 'apollo-require-preflight': '1' } });
    expect([answer.status, await answer.json()]).toEqual([200, ECHO]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['another text', { query: UNKNOWN }],
    ['a text of the list with a space more', { query: `${KNOWN} ` }],
    ['a text that is none', { query: '{ never closed' }],
    ['an id of nothing', { documentId: idOf(UNKNOWN) }],
    ['an id of another form', { documentId: 'Known' }],
    ['an id that is no text', { documentId: { $ne: null } }],
    [
      'a text that it is to remember by its hash',
      { query: UNKNOWN, extensions: { persistedQuery: { version: 1, sha256Hash: hashOf(UNKNOWN) } } },
    ],
  ])('refuses %s', async (_what, body) => {
    expect(await ask(enforcing, body, TOKEN)).toEqual({ status: 400, code: 'OPERATION_NOT_ALLOWED', answer: {} });
  });

  test('refuses a text that stands beside a known id: the text is what would run', async () => {
    expect((await ask(enforcing, { documentId: idOf(KNOWN), query: UNKNOWN })).code).toBe('OPERATION_NOT_ALLOWED');
  });

  test('never remembers a text that it refused', async () => {
    const extensions = { persistedQuery: { version: 1, sha256Hash: hashOf(UNKNOWN) } };
    await ask(enforcing, { query: UNKNOWN, extensions });
    expect((await ask(enforcing, { extensions })).code).toBe('PERSISTED_QUERY_NOT_FOUND');
  });

  test('asks nothing of the router, which hands no ids on', async () => {
    const router = { 'x-router-authorization': 'the secret of the router' };
    expect((await ask(enforcing, { query: UNKNOWN }, router)).answer).toEqual({ data: { whoami: null } });
  });

  test('holds for streams too', async () => {
    const accept = { ...TOKEN, accept: 'text/event-stream' };
    const stream = await enforcing.post({ query: 'subscription { count(to: 2) }' }, accept);
    expect(stream.status).toBe(400);
    expect((await (await enforcing.post({ documentId: idOf(STREAM) }, accept)).text()).match(/"count":\d/g)).toEqual([
      '"count":1',
      '"count":2',
    ]);
  });
});

test('while it is only logged, a document that is not in the list runs, is counted each time and named once', async () => {
  for (let sent = 0; sent < 3; sent += 1)
    expect((await ask(logging, { query: UNKNOWN })).answer).toEqual({ data: { whoami: null } });
  await ask(logging, { query: KNOWN, variables });
  expect(logging.logged.filter((line) => line.includes(idOf(UNKNOWN)))).toHaveLength(1);
  expect(logging.logged.join('')).not.toContain(idOf(KNOWN));
  expect(await logging.registry.getSingleMetricAsString('graphql_untrusted_documents_total')).toMatch(/ 3$/m);
});

test('while it is off, everything runs and no id is known', async () => {
  expect((await ask(off, { query: UNKNOWN })).status).toBe(200);
  expect((await ask(off, { documentId: idOf(KNOWN) })).code).toBe('OPERATION_NOT_ALLOWED');
});

describe('the list of our own clients', () => {
  const kept = readFileSync('schema/persisted-documents.json', 'utf8');

  test('is what codegen made', () => {
    expect(JSON.parse(kept)).toEqual(JSON.parse(readFileSync('test/generated/persisted-documents.json', 'utf8')));
  });

  test('is a list that a gateway takes', () => {
    expect(readTrustedDocuments(kept).size).toBeGreaterThan(10);
  });

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['an id that is not the hash of its text', JSON.stringify({ [idOf('a')]: 'b' })],
    ['another kind of id', JSON.stringify({ [hashOf('a')]: 'a' })],
    ['no text', JSON.stringify({ [idOf('a')]: 1 })],
  ])('is refused when it holds %s', (_what, text) => {
    expect(() => readTrustedDocuments(text)).toThrow(/list of trusted documents/);
  });
});

describe('the tag of a public answer', () => {
  const get = (query: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${off.url}/graphql?query=${encodeURIComponent(query)}`, { headers: { 'apollo-require-preflight': '1', ...headers } });

  test('saves a client that has the answer from getting it again', async () => {
    const first = await get('{ tiers { name } }');
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await get('{ tiers { name } }', { 'if-none-match': known });
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
      expect(again.headers.get('cache-control')).toBe('max-age=300, public');
    }
  });

  test('differs between two answers', async () => {
    const { headers } = await get('{ tiers { name } }');
    const other = await get('{ tiers { id name } }', { 'if-none-match': headers.get('etag') ?? '' });
    expect([other.status, await other.json()]).toEqual([200, { data: { tiers: [{ id: 'a', name: 'Plus' }] } }]);
  });

  test('is given to nothing that is for one user, or fails', async () => {
    expect((await get('{ whoami tiers { name } }')).headers.get('etag')).toBeNull();
    expect((await get('{ nothing }')).headers.get('etag')).toBeNull();
    expect((await off.post({ query: '{ tiers { name } }' })).headers.get('etag')).toBeNull();
  });
});
