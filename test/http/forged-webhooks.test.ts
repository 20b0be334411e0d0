import { randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import type Stripe from 'stripe';
import type { PriceId } from '../../src/domain/ids.js';
import { addGatewayRoutes } from '../../src/http/routes.js';
import { receiveWebhook } from '../../src/usecases/receive-webhook.js';
import { stripeProvider } from '../../src/providers/stripe/adapter.js';
import type { Actor } from '../../src/usecases/contract.js';
import { stateOf, subscription } from '../support/lives.js';
import { priceId, signedBy, someUser, startWorld, type World, WEBHOOK_SECRET, withCard } from '../support/world.js';

/** Webhooks that are mutated; `MUTATED_WEBHOOKS=10000 npm test -- test/http/forged-webhooks` sends more. */
const MUTANTS = Number(process.env['MUTATED_WEBHOOKS'] ?? 2_000);
const LIMIT_BYTES = 256 * 1024;

let world: World;
let app: FastifyInstance;
let agent: http.Agent;
let address: { host: string; port: number };
/** Somebody whose payment waits: an event that says it was paid would give access. */
let ana: Actor;
let event: Stripe.Event;
const errors: unknown[] = [];

beforeAll(async () => {
  world = await startWorld();
  ana = await withCard(world, someUser('ana'), 'pm_card_authenticationRequired');
  await world.commands.subscribe(ana, subscription((await priceId(world, { tier: 'premium' })) as PriceId));
  const waiting = (await world.events()).findLast((one) => one.type === 'payment_intent.requires_action');
  if (!waiting) throw new Error('no payment waits');
  // What an attacker would like to have said.
  event = { ...waiting, id: 'evt_forged', type: 'payment_intent.succeeded' } as Stripe.Event;
  app = Fastify();
  const receive = receiveWebhook(world.gateway);
  addGatewayRoutes(app, {
    checks: {},
    isDraining: () => false,
    registry: new Registry(),
    receiveWebhook: (_provider, rawBody, headers) => receive(rawBody, headers),
    webhookProviders: ['stripe'],
    report: (error) => errors.push(error),
    playground: null,
  });
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  address = { host: url.hostname, port: Number(url.port) };
  agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
});
afterAll(async () => {
  agent.destroy();
  await app.close();
  await world.stop();
});

interface Sent {
  body: Buffer;
  /** As one line a header, so that a name may come twice. */
  headers: [name: string, value: string][];
  path?: string;
}

function send({ body, headers, path = '/webhooks/stripe' }: Sent): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const lines = [...headers, ['content-length', String(body.length)], ['host', 'gateway']].flat();
    const request = http.request({ ...address, agent, method: 'POST', path, headers: lines }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** A body as the provider signs and sends it now. */
function signed(body: Buffer | string, secret = WEBHOOK_SECRET, at = world.clock.now()): Sent {
  const bytes = Buffer.from(body);
  return { body: bytes, headers: withSignature(signedBy(secret, bytes, at)) };
}

function withSignature(...signatures: string[]): [string, string][] {
  return [
    ['content-type', 'application/json; charset=utf-8'],
    ...signatures.map((signature): [string, string] => ['stripe-signature', signature]),
  ];
}

const good = (): Sent => signed(JSON.stringify(event));
const signatureOf = (sent: Sent): string => sent.headers.find(([name]) => name === 'stripe-signature')?.[1] ?? '';
/** The good request with its signature's header changed. */
const header = (change: (signature: string, v1: string, t: string) => string | string[]) => (): Sent => {
  const sent = good();
  const signature = signatureOf(sent);
  const [, t = '', v1 = ''] = /^t=(\d+),v1=(\w+)$/.exec(signature) ?? [];
  return { ...sent, headers: withSignature(...[change(signature, v1, t)].flat()) };
};
/** The good request with its body changed. */
const body = (change: (body: Buffer) => Buffer) => (): Sent => {
  const sent = good();
  return { ...sent, body: change(sent.body) };
};
const seconds = (more: number) => new Date(world.clock.now().getTime() + more * 1000);
const ahead = (more: number): string => String(Math.floor(seconds(more).getTime() / 1000));
const signedAt = (t: string) => (): Sent => {
  const sent = good();
  const v1 = /v1=(\w+)/.exec(signedBy(WEBHOOK_SECRET, Buffer.concat([Buffer.from(`${t}.`), sent.body]), new Date(0)))?.[1] ?? '';
  return { ...sent, headers: withSignature(`t=${t},v1=${v1}`) };
};

const FORGED: Record<string, () => Sent> = {
  'signed with another key': () => signed(JSON.stringify(event), 'whsec_another'),
  'signed with the secret without its prefix': () => signed(JSON.stringify(event), WEBHOOK_SECRET.replace('whsec_', '')),
  'signed with an empty key': () => signed(JSON.stringify(event), ''),
  'signed with the secret of another endpoint': () => signed(JSON.stringify(event), 'whsec_live_endpoint'),
  'signed with a secret that was rolled away': () => signed(JSON.stringify(event), 'whsec_last_year'),
  'signed with the key of the API': () => signed(JSON.stringify(event), 'sk_test_sandbox'),
  'signed 301 seconds ago': () => signed(JSON.stringify(event), WEBHOOK_SECRET, seconds(-302)),
  'signed a day ago': () => signed(JSON.stringify(event), WEBHOOK_SECRET, seconds(-86_400)),
  'signed more than a minute ahead': () => signed(JSON.stringify(event), WEBHOOK_SECRET, seconds(63)),
  'signed a day ahead': () => signed(JSON.stringify(event), WEBHOOK_SECRET, seconds(86_400)),
  'without a header': () => ({ ...good(), headers: [['content-type', 'application/json']] }),
  'with an empty header': header(() => ''),
  'with a header of blanks': header(() => '   '),
  'with a header of commas': header(() => ',,,'),
  'without t': header((_all, v1) => `v1=${v1}`),
  'with an empty t': header((_all, v1) => `t=,v1=${v1}`),
  'with a t that is no number': header((_all, v1) => `t=now,v1=${v1}`),
  'with a t in hexadecimal': header((_all, v1, t) => `t=0x${Number(t).toString(16)},v1=${v1}`),
  'with a t that ends in letters': header((_all, v1, t) => `t=${t}abc,v1=${v1}`),
  'with a t that begins with zero': header((_all, v1, t) => `t=0${t},v1=${v1}`),
  'with a negative t': signedAt('-1'),
  'with t zero': signedAt('0'),
  'with a huge t': signedAt('9'.repeat(20)),
  'with t in milliseconds': header((_all, v1, t) => `t=${t}000,v1=${v1}`),
  'with t a second later': header((_all, v1) => `t=${ahead(1)},v1=${v1}`),
  'with two t': header((all, _v1, t) => `t=${t},${all}`),
  'with a good t after a later one': header((all) => `t=${ahead(3_600)},${all}`),
  'without v1': header((_all, _v1, t) => `t=${t}`),
  'with an empty v1': header((_all, _v1, t) => `t=${t},v1=`),
  'with v0 only': header((_all, v1, t) => `t=${t},v0=${v1}`),
  'with v2 only': header((_all, v1, t) => `t=${t},v2=${v1}`),
  'with V1 in capitals': header((_all, v1, t) => `t=${t},V1=${v1}`),
  'with the signature in capitals': header((_all, v1, t) => `t=${t},v1=${v1.toUpperCase()}`),
  'with a signature too short': header((_all, v1, t) => `t=${t},v1=${v1.slice(0, -2)}`),
  'with a signature too long': header((_all, v1, t) => `t=${t},v1=${v1}00`),
  'with a signature in base64': header((_all, v1, t) => `t=${t},v1=${Buffer.from(v1, 'hex').toString('base64')}`),
  'with a signature of zeros': header((_all, _v1, t) => `t=${t},v1=${'0'.repeat(64)}`),
  'with a signature in other script': header((_all, v1, t) => `t=${t},v1=${v1.slice(0, -1)}é`),
  'with a blank in the header': header((_all, v1, t) => `t=${t}, v1=${v1}`),
  'with a semicolon for the comma': header((_all, v1, t) => `t=${t};v1=${v1}`),
  'with an equals sign too many': header((all) => `${all}=`),
  'with a comma at the end': header((all) => `${all},`),
  'with the header twice in one': header((all) => `${all},${all}`),
  'with two headers': header((all) => [all, all]),
  'with a bad header before the good': header((all, _v1, t) => [`t=${t},v1=${'0'.repeat(64)}`, all]),
  'with a thousand signatures': header(
    (_all, _v1, t) => `t=${t},${Array.from({ length: 1_000 / 10 }, () => `v1=${randomBytes(32).toString('hex')}`).join(',')}`,
  ),
  'with one byte of the body changed': body((bytes) =>
    Buffer.from(bytes.toString().replace('requires_action', 'requires_actioN')),
  ),
  'with a byte more': body((bytes) => Buffer.concat([bytes, Buffer.from('\n')])),
  'with a byte less': body((bytes) => bytes.subarray(0, -1)),
  'with a byte order mark': body((bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes])),
  'with its JSON written anew': body((bytes) => Buffer.from(JSON.stringify(JSON.parse(bytes.toString()), null, 2))),
  'with its body compressed': () => {
    const sent = good();
    return { body: gzipSync(sent.body), headers: [...sent.headers, ['content-encoding', 'gzip']] };
  },
  'with its body in UTF-16': body((bytes) => Buffer.from(bytes.toString(), 'utf16le')),
  'without a body': body(() => Buffer.alloc(0)),
  'with the body of another event': body((bytes) => Buffer.from(bytes.toString().replace('evt_forged', 'evt_other'))),
  'as a form': () => ({
    body: Buffer.from(new URLSearchParams({ payload: JSON.stringify(event) }).toString()),
    headers: [['content-type', 'application/x-www-form-urlencoded'], ...withSignature(signatureOf(good())).slice(1)],
  }),
  'larger than 256 kB': () => signed(JSON.stringify({ ...event, padding: 'x'.repeat(LIMIT_BYTES) })),
  'signed, but no JSON': () => signed('{"id":"evt_forged"'),
  'signed, but no event': () => signed('{"object":"v2.core.event","id":"evt_forged"}'),
  'signed, but a list': () => signed('[]'),
  'signed, but null': () => signed('null'),
  'signed, but with an id that is no id': () => signed(JSON.stringify({ ...event, id: 'evt_\u0000' })),
  'signed, but made at no instant': () => signed(JSON.stringify({ ...event, created: 1e300 })),
};

test.each(Object.keys(FORGED))('a webhook %s is refused like every other, and nothing is stored', async (name) => {
  const before = await stateOf(world, ana);
  const answer = await send(FORGED[name]?.() ?? good());
  expect(answer).toEqual({ status: 400, text: '{}' });
  await world.work('webhooks');
  expect(await world.query('select event_id from webhook_inbox')).toEqual([]);
  expect(await world.query('select id from webhook_payload')).toEqual([]);
  expect(await stateOf(world, ana)).toEqual(before);
});

test('a body with a broken byte is refused where the text that is read of it is the one that was signed', async () => {
  const sent = signed(JSON.stringify({ ...event, note: '\ufffd' }));
  const at = sent.body.indexOf(Buffer.from([0xef, 0xbf, 0xbd]));
  const broken = Buffer.concat([sent.body.subarray(0, at), Buffer.from([0xff]), sent.body.subarray(at + 3)]);
  expect(broken.toString()).toBe(sent.body.toString());
  expect((await send({ ...sent, body: broken })).status).toBe(400);
});

test.each(['/webhooks/stripe/', '/webhooks', '/webhooks/Stripe', '/webhooks/paypal', '/webhooks/stripe%00', '/'])(
  'a signed webhook at %s is not taken',
  async (path) => {
    expect((await send({ ...good(), path })).status).toBe(404);
    expect(await world.query('select event_id from webhook_inbox')).toEqual([]);
  },
);

test(
  `${MUTANTS} webhooks that were changed in any way after they were signed are refused, and none breaks anything`,
  async () => {
    const statuses = new Map<number, number>();
    let mutants = 0;
    const samples = fc.sample(mutation, { numRuns: MUTANTS, seed: 20_261_127 });
    const lane = async (mine: readonly Mutation[]): Promise<void> => {
      for (const mutate of mine) {
        const original = good();
        const changed = mutate(original);
        if (isSame(original, changed)) continue;
        mutants++;
        const { status } = await send(changed);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, i) => lane(samples.filter((_sample, at) => at % 8 === i))));
    // Next to none of them leave the bytes as they were.
    expect(mutants).toBeGreaterThan(MUTANTS * 0.99);
    expect([...statuses]).toEqual([[400, mutants]]);
    expect(errors).toEqual([]);
    expect(await world.query('select event_id from webhook_inbox')).toEqual([]);
  },
  60_000 + MUTANTS * 30,
);

test('requests whose length is a lie are cut or refused, and the next one is served', async () => {
  const { body: bytes, headers } = good();
  for (const length of [0, 1, bytes.length - 1, bytes.length + 1, LIMIT_BYTES + 1, '-1', '1e3', 'x', '1, 2']) {
    const lines = [...headers, ['content-length', String(length)], ['host', 'gateway']].map((line) => line.join(': '));
    const answer = await raw(
      Buffer.concat([Buffer.from(`POST /webhooks/stripe HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`), bytes]),
    );
    expect(answer).not.toMatch(/^HTTP\/1.1 [25]/);
  }
  expect(errors).toEqual([]);
  expect(await world.query('select event_id from webhook_inbox')).toEqual([]);
});

test('a webhook of the provider is stored, and stored once however often it is sent again', async () => {
  const sent = good();
  const answers = await Promise.all(Array.from({ length: 5 }, () => send(sent)));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200]);
  expect(await world.query('select event_id from webhook_inbox')).toEqual([{ event_id: 'evt_forged' }]);
  // Even the real thing is no more than a hint: the payment still waits, whatever the event says.
  await world.work('webhooks');
  const state = await stateOf(world, ana);
  expect(state['subscriptions']).toMatchObject([{ status: 'incomplete' }]);
  expect(state['attempts']).toMatchObject([{ status: 'requires_action' }]);
});

test('while a secret is rolled a webhook under either is taken, and one that carries both signatures', () => {
  const provider = stripeProvider({
    apiKey: 'sk_test_sandbox',
    webhookSecrets: ['whsec_old', 'whsec_new'],
    publishableKey: null,
    apiBase: world.standIn.url,
    accountId: 1,
    timeoutMs: 1_000,
  });
  const [now, bytes] = [world.clock.now(), Buffer.from(JSON.stringify(event))];
  const [byOld, byNew] = [signedBy('whsec_old', bytes, now), signedBy('whsec_new', bytes, now)];
  const v1 = (signature: string): string => signature.slice(signature.indexOf('v1='));
  for (const signature of [byOld, byNew, `${byOld},${v1(byNew)}`, `${byNew},v0=${'a'.repeat(64)}`]) {
    expect(provider.openEvent(bytes, { 'stripe-signature': signature }, now)?.eventId).toBe('evt_forged');
  }
});

type Mutation = (sent: Sent) => Sent;

/** Changes of one or several places of a text, of a kind each. */
const edits = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    kind: fc.constantFrom('replace', 'insert', 'delete', 'swap', 'repeat', 'cut', 'flip'),
    byte: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);
type Edit = typeof edits extends fc.Arbitrary<(infer E)[]> ? E : never;

function edited(bytes: Buffer, { at, kind, byte }: Edit): Buffer {
  const i = Math.floor(at * bytes.length);
  const [head, rest] = [bytes.subarray(0, i), bytes.subarray(i)];
  switch (kind) {
    case 'replace':
      return Buffer.concat([head, Buffer.from([byte]), rest.subarray(1)]);
    case 'insert':
      return Buffer.concat([head, Buffer.from([byte]), rest]);
    case 'delete':
      return Buffer.concat([head, rest.subarray(1 + (byte % 8))]);
    case 'swap':
      return Buffer.concat([head, rest.subarray(1, 2), rest.subarray(0, 1), rest.subarray(2)]);
    case 'repeat':
      return Buffer.concat([head, rest.subarray(0, 1 + byte), rest]);
    case 'cut':
      return Buffer.from(head);
    case 'flip':
      return Buffer.concat([head, Buffer.from([(rest[0] ?? 0) ^ (1 << (byte % 8))]), rest.subarray(1)]);
  }
}

/** Characters that a header's value may have on the wire. */
const sendable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '~');

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  edits.map((list): Mutation => (sent) => ({ ...sent, body: list.reduce(edited, sent.body) })),
  edits.map((list): Mutation => (sent) => ({
    ...sent,
    headers: withSignature(sendable(list.reduce(edited, Buffer.from(signatureOf(sent))).toString('latin1'))),
  })),
  fc.tuple(edits, edits).map(([ofBody, ofHeader]): Mutation => (sent) => ({
    body: ofBody.reduce(edited, sent.body),
    headers: withSignature(sendable(ofHeader.reduce(edited, Buffer.from(signatureOf(sent))).toString('latin1'))),
  })),
);

/**
 * Whether a change left all that counts: the body, its one instant, and the signature of both. A further signature beside the good one is
 * how the provider signs while a secret is rolled.
 */
function isSame(one: Sent, other: Sent): boolean {
  const [t = '', v1 = ''] = signatureOf(one).split(',');
  const parts = signatureOf(other).trim().split(',');
  const isWhole = parts.every((part) => /^(t|v\d)=[0-9a-f]+$/.test(part)) && new Set(parts).size === parts.length;
  const instants = parts.filter((part) => part.startsWith('t='));
  return one.body.equals(other.body) && isWhole && instants.length === 1 && instants[0] === t && parts.includes(v1);
}

/** Sends bytes as they are, says no more, and reads what comes until the end. */
function raw(bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(address);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.end(bytes);
  });
}
