import { createHmac, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { print } from 'graphql';
import WebSocket from 'ws';
import { issueSandboxToken } from '../../src/platform/sandbox-issuer.js';
import {
  CancelDocument,
  CompleteSetupDocument,
  ConfirmDocument,
  CustomerAccountDocument,
  NodeDocument,
  PaymentStatusChangedDocument,
  PurchaseDocument,
  RefundDocument,
  RemoveDocument,
  ResumeDocument,
  SetDefaultDocument,
  SubscribeDocument,
  TransactionDocument,
  TransactionsDocument,
  ViewerDocument,
} from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { monthlyPrice, newKey, post, startProduct, WEBHOOK_SECRET, type Person, type Product } from '../support/product.js';

let product: Product;
/** Has a card, a subscription and an open setup. */
let ana: Person;
/** Has a card and nothing else; does all the harm. */
let eve: Person;
let sue: Person;
let price: string;
let things: { subscription: string; transaction: string; method: string; setup: string };

beforeAll(async () => {
  product = await startProduct();
  [ana, eve, sue] = [await product.person('ana'), await product.person('eve'), await product.person('sue', ['support'])];
  price = await monthlyPrice(product.url, 'premium', 'USD');
  const method = await ana.addCard();
  const { subscription, transaction } = await ana.subscribe();
  things = { subscription: subscription?.id ?? '', transaction: transaction?.id ?? '', method, setup: await ana.startSetup() };
  await eve.addCard();
  await eventually(async () => {
    const [open] = await product.query<{ n: number }>(
      `select ((select count(*) from webhook_inbox where status = 'new') + (select count(*) from outbox_event where published_at is null)
         + (select count(*) from invoice where number is null)
         + (case when (select count(*) from webhook_inbox) < 2 then 1 else 0 end))::int as n`,
    );
    expect(open?.n).toBe(0);
  });
});
afterAll(async () => product.stop());

/** Rows of every table, and where every feed stands. */
async function everything(): Promise<Record<string, unknown>> {
  const tables = await product.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`,
  );
  const counts = tables.map(({ name }) => `(select count(*)::int from ${name}) as ${name}`).join(', ');
  const [row] = await product.query(
    `select ${counts}, (select sum(feed_seq) from customer)::int as told, (select sum(version) from subscription)::int as versions`,
  );
  return row ?? {};
}

/** Does something that must leave no trace in any table, kept refusals of keyed commands excepted where told. */
async function leavingNoTrace<T>(work: () => Promise<T>, except: string[] = []): Promise<T> {
  const before = await everything();
  const result = await work();
  const after = await everything();
  for (const table of except) after[table] = before[table];
  expect(after).toEqual(before);
  return result;
}

const LEAKS =
  /\bat .+\.[jt]s:\d|node_modules|\/dist\/|\/src\/|stack|select .+ from|insert into|update .+ set|relation "|syntax error at|QueryFailed|typeorm|postgres/i;

interface Refused {
  status: number;
  text: string;
}

function expectRefused(
  { status, text: body }: Refused,
  wanted: { status: number | number[]; code: string; reason?: string },
): void {
  expect(body).not.toMatch(LEAKS);
  const { errors, data } = JSON.parse(body) as {
    data?: unknown;
    errors: { extensions: { code: string; reason?: string; requestId: string } }[];
  };
  expect([status, errors[0]?.extensions.code, errors[0]?.extensions.reason]).toEqual([
    Array.isArray(wanted.status) ? expect.any(Number) : wanted.status,
    wanted.code,
    wanted.reason,
  ]);
  if (Array.isArray(wanted.status)) expect(wanted.status).toContain(status);
  expect(errors[0]?.extensions.requestId).toEqual(expect.any(String));
  if (data) expect(Object.values(data).filter((value) => value !== null)).toEqual([]);
}

const send = (who: Person | null, query: string, variables?: unknown, more: object = {}): Promise<Refused> =>
  post(product.url, JSON.stringify({ query, variables, ...more }), who ? { authorization: `Bearer ${who.token}` } : {});

const SUBSCRIBE = print(SubscribeDocument);
const VIEWER = print(ViewerDocument);
const good = () => ({ priceId: price, idempotencyKey: newKey() });

describe('values of a wrong type or form', () => {
  test.each<[string, string, () => unknown]>([
    ['no input', SUBSCRIBE, () => ({})],
    ['a number for a key', SUBSCRIBE, () => ({ input: { ...good(), idempotencyKey: 12 } })],
    ['an object for an id', SUBSCRIBE, () => ({ input: { ...good(), priceId: { $ne: null } } })],
    ['a list for an input', SUBSCRIBE, () => ({ input: [good(), good()] })],
    ['an unknown field', SUBSCRIBE, () => ({ input: { ...good(), isAdmin: true } })],
    ['null for a required field', SUBSCRIBE, () => ({ input: { ...good(), priceId: null } })],
    ['a fraction of a cent', SUBSCRIBE, () => ({ input: { ...good(), expectedAmount: { amountMinor: 8.5, currency: 'USD' } } })],
    [
      'an amount beyond all numbers',
      SUBSCRIBE,
      () => ({ input: { ...good(), expectedAmount: { amountMinor: 1e300, currency: 'USD' } } }),
    ],
    [
      'a currency that is none',
      SUBSCRIBE,
      () => ({ input: { ...good(), expectedAmount: { amountMinor: 800, currency: 'usd$' } } }),
    ],
    ['half a quantity', print(PurchaseDocument), () => ({ input: { ...good(), quantity: 0.5 } })],
    [
      'a reason that is none',
      print(RefundDocument),
      () => ({ input: { transactionId: things.transaction, reason: 'FUN', idempotencyKey: newKey() } }),
    ],
    ['a page size in words', print(TransactionsDocument), () => ({ first: 'ten' })],
  ])('%s is BAD_USER_INPUT', async (_what, query, variables) => {
    const answer = await leavingNoTrace(() => send(eve, query, variables()));
    expectRefused(answer, { status: [200, 400], code: 'BAD_USER_INPUT' });
  });

  test.each<[string, () => unknown]>([
    ['an empty key', () => ({ idempotencyKey: '' })],
    ['a short key', () => ({ idempotencyKey: 'short' })],
    ['a key of 129 characters', () => ({ idempotencyKey: 'k'.repeat(129) })],
    ['a return address of somebody else', () => ({ returnUrl: 'https://evil.example/' })],
    ['a return address that runs', () => ({ returnUrl: 'javascript:alert(1)' })],
    ['an id that is SQL', () => ({ priceId: "' or 1=1; drop table customer; --" })],
    ['an id of another kind', () => ({ priceId: things.subscription })],
    ['a raw UUID', () => ({ priceId: '01941f29-7c10-79c4-8143-ffb497ea1227' })],
    ['an id with a zero byte', () => ({ priceId: 'price_\u0000' })],
  ])('%s is refused as data or BAD_USER_INPUT', async (_what, change) => {
    const input = { ...good(), ...(change() as object) };
    const answer = await leavingNoTrace(() => send(eve, SUBSCRIBE, { input }), ['idempotency_key']);
    expect(answer.text).not.toMatch(LEAKS);
    expect(answer.status).toBeLessThan(500);
    const { data, errors } = JSON.parse(answer.text) as {
      data?: { subscribe: { userErrors: { code: string }[] } | null };
      errors?: { extensions: { code: string } }[];
    };
    const codes = [
      ...(data?.subscribe?.userErrors ?? []).map(({ code }) => code),
      ...(errors ?? []).map(({ extensions }) => extensions.code),
    ];
    expect(codes).toHaveLength(1);
    expect(['INVALID_INPUT', 'BAD_USER_INPUT', 'NOT_FOUND', 'NOT_FOR_SALE']).toContain(codes[0]);
  });
});

describe('what belongs to another user', () => {
  test('can not be read', async () => {
    await leavingNoTrace(async () => {
      expect((await eve.get(TransactionDocument, { id: things.transaction })).transaction).toBeNull();
      for (const id of [things.subscription, things.transaction, things.method]) {
        expect((await eve.get(NodeDocument, { id })).monetizationNode).toBeNull();
      }
      const { errors } = await eve.ask(CustomerAccountDocument, { userId: ana.userId });
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    });
  });

  test('can not be changed, and looks as if it did not exist', async () => {
    const { subscription: subscriptionId, transaction: transactionId, method: paymentMethodId, setup: setupId } = things;
    const codes = await leavingNoTrace(
      async () => [
        (await eve.get(CancelDocument, { input: { subscriptionId, idempotencyKey: newKey() } })).cancelSubscription.userErrors,
        (await eve.get(ResumeDocument, { input: { subscriptionId, idempotencyKey: newKey() } })).resumeSubscription.userErrors,
        (await eve.get(ConfirmDocument, { input: { transactionId } })).confirmPayment.userErrors,
        (await eve.get(RemoveDocument, { input: { paymentMethodId } })).removePaymentMethod.userErrors,
        (await eve.get(SetDefaultDocument, { input: { paymentMethodId } })).setDefaultPaymentMethod.userErrors,
        (await eve.get(CompleteSetupDocument, { input: { setupId, providerToken: 'pm_card_visa' } })).completePaymentMethodSetup
          .userErrors,
      ],
      ['idempotency_key'],
    );
    expect(codes.map((errors) => errors.map(({ code }) => code))).toEqual(codes.map(() => ['NOT_FOUND']));
  });

  test('can not be paid with', async () => {
    const { subscribe } = await leavingNoTrace(
      () => eve.get(SubscribeDocument, { input: { ...good(), paymentMethodId: things.method } }),
      ['idempotency_key'],
    );
    expect(subscribe.subscription).toBeNull();
    expect(subscribe.userErrors.map(({ code }) => code)).toEqual([
      expect.stringMatching(/^(NOT_FOUND|PAYMENT_METHOD_UNUSABLE)$/),
    ]);
    const { paymentIntents } = await product.truth();
    expect(paymentIntents).toHaveLength(1);
  });

  test('can not be paid back by its owner or by another customer', async () => {
    const input = { transactionId: things.transaction, reason: 'REQUESTED' as const, idempotencyKey: newKey() };
    for (const person of [ana, eve]) {
      const { errors } = await leavingNoTrace(() => person.ask(RefundDocument, { input }));
      expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    }
  });
});

/** A number that a card could have, made now: none stands in this file. */
function cardNumber(separator = ''): string {
  const digits = ['4', ...Array.from({ length: 14 }, () => String(randomInt(10)))];
  const sum = digits.toReversed().reduce((total, digit, i) => {
    const doubled = Number(digit) * (i % 2 === 0 ? 2 : 1);
    return total + (doubled > 9 ? doubled - 9 : doubled);
  }, 0);
  const all = [...digits, String((10 - (sum % 10)) % 10)].join('');
  return all.replaceAll(/(.{4})(?=.)/g, `$1${separator}`);
}

describe('the number of a card', () => {
  const refused = { status: 400, code: 'BAD_USER_INPUT', reason: 'CARD_DATA' };
  const cases: [string, (number: string) => Promise<Refused>][] = [
    ['a variable', (number) => send(eve, SUBSCRIBE, { input: { ...good(), paymentMethodId: number } })],
    ['a key', (number) => send(eve, SUBSCRIBE, { input: { ...good(), idempotencyKey: number } })],
    [
      'a comment of support',
      (number) =>
        send(sue, print(RefundDocument), {
          input: { transactionId: things.transaction, reason: 'REQUESTED', note: `card ${number}`, idempotencyKey: newKey() },
        }),
    ],
    [
      'a number instead of a text',
      (number) => send(eve, SUBSCRIBE, { input: { ...good(), coupon: Number(number.replaceAll(/\D/g, '')) } }),
    ],
    ['the name of a variable', (number) => send(eve, VIEWER, { [number]: 1 })],
    ['a literal of the document', (number) => send(eve, `{ monetizationNode(id: "${number}") { id } }`)],
    ['a comment of the document', (number) => send(eve, `# ${number}\n${VIEWER}`)],
    ['the name of the operation', (number) => send(eve, VIEWER, {}, { operationName: number })],
    ['an extension', (number) => send(eve, VIEWER, {}, { extensions: { card: { number } } })],
    ['a body that is no JSON', (number) => post(product.url, `card=${number}`)],
    ['a header', (number) => post(product.url, JSON.stringify({ query: VIEWER }), { 'x-request-id': number })],
    [
      'the address',
      async (number) => {
        const answer = await fetch(
          `${product.url}/graphql?query=${encodeURIComponent('{ tiers { key } }')}&card=${encodeURIComponent(number)}`,
        );
        return { status: answer.status, text: await answer.text() };
      },
    ],
  ];
  for (const separator of ['', ' ', '-']) {
    test.each(cases)(`in %s, written with "${separator}", is refused unread and not sent back`, async (_where, request) => {
      const number = cardNumber(separator);
      const answer = await leavingNoTrace(() => request(number));
      expectRefused(answer, refused);
      expect(answer.text).not.toContain(number);
    });
  }

  test('in a frame of the WebSocket ends the operation, or the connection when there is none yet', async () => {
    await leavingNoTrace(async () => {
      const number = cardNumber();
      const early = await open();
      early.send({ type: 'connection_init', payload: { token: eve.token, card: number } });
      expect(await early.closed).toBe(4400);

      const socket = await open();
      socket.send({ type: 'connection_init', payload: { token: eve.token } });
      await eventually(() => expect(socket.messages).toContainEqual({ type: 'connection_ack' }));
      socket.send({
        id: '1',
        type: 'subscribe',
        payload: { query: print(PaymentStatusChangedDocument), variables: { streamKey: number } },
      });
      await eventually(() =>
        expect(socket.messages.at(-1)).toMatchObject({
          id: '1',
          type: 'error',
          payload: [{ extensions: { code: 'BAD_USER_INPUT', reason: 'CARD_DATA' } }],
        }),
      );
      expect(JSON.stringify(socket.messages)).not.toContain(number);
      socket.close();
    });
  });
});

async function open() {
  const socket = new WebSocket(`${product.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const messages: unknown[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString())));
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  return { messages, closed, send: (message: object) => socket.send(JSON.stringify(message)), close: () => socket.terminate() };
}

describe('requests that are none', () => {
  test('a body of two megabytes', async () => {
    const answer = await leavingNoTrace(() => send(eve, VIEWER, { filler: 'x'.repeat(2 << 20) }));
    expectRefused(answer, { status: 413, code: 'BAD_REQUEST' });
  });

  test.each([
    ['half a body', '{"query": "{ tiers { key } }"'],
    ['no JSON', 'query=%7B%7D'],
    ['nothing', ''],
    ['a text', '"hello"'],
    ['a number', '7'],
    ['null', 'null'],
    ['no query', '{"variables": {}}'],
    ['a query that is no text', '{"query": {"a": 1}}'],
    ['a batch', JSON.stringify([{ query: '{ tiers { key } }' }, { query: '{ tiers { key } }' }])],
    ['an empty batch', '[]'],
  ])('%s', async (_what, body) => {
    expectRefused(await leavingNoTrace(() => post(product.url, body)), { status: 400, code: 'BAD_REQUEST' });
  });

  test.each([
    ['no GraphQL', '{ tiers {', 'GRAPHQL_PARSE_FAILED'],
    ['a field that does not exist', '{ tiers { secret } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['an argument that does not exist', '{ tiers(where: "1=1") { key } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['two operations and no name', 'query A { tiers { key } } query B { tiers { key } }', 'OPERATION_RESOLUTION_FAILURE'],
    ['a subscription by POST', 'subscription { paymentStatusChanged { type } }', 'BAD_REQUEST'],
    [
      'a verb of money twice',
      'mutation { a: subscribe(input: {priceId: "x", idempotencyKey: "y"}) { subscription { id } } b: subscribe(input: {priceId: "x", idempotencyKey: "z"}) { subscription { id } } }',
      'OPERATION_TOO_COMPLEX',
    ],
  ])('%s', async (_what, query, code) => {
    expectRefused(await leavingNoTrace(() => send(eve, query)), { status: 400, code });
  });

  test('an operation name that the document does not have', async () => {
    const answer = await leavingNoTrace(() => send(eve, VIEWER, {}, { operationName: 'Other' }));
    expectRefused(answer, { status: 400, code: 'OPERATION_RESOLUTION_FAILURE' });
  });

  test('a mutation by GET changes nothing', async () => {
    const query = new URLSearchParams({ query: SUBSCRIBE, variables: JSON.stringify({ input: good() }) });
    const answer = await leavingNoTrace(async () => {
      const got = await fetch(`${product.url}/graphql?${query.toString()}`, {
        headers: { authorization: `Bearer ${eve.token}`, 'apollo-require-preflight': '1' },
      });
      return { status: got.status, text: await got.text() };
    });
    expect(answer.text).not.toMatch(LEAKS);
    expect([400, 405]).toContain(answer.status);
  });

  test.each([
    '/nothing-here',
    '/graphql/',
    '/graphql/x',
    '/webhooks/paypal',
    '/../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/.env',
    '/%zz',
  ])('the path %s', async (address) => {
    await leavingNoTrace(async () => {
      for (const method of ['GET', 'POST']) {
        const answer = await fetch(`${product.url}${address}`, { method });
        const body = await answer.text();
        expect([400, 404, 405]).toContain(answer.status);
        expect(body).not.toMatch(LEAKS);
      }
    });
  });
});

describe('tokens that are not to be believed', () => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = (): object => JSON.parse(Buffer.from(ana.token.split('.')[1] ?? '', 'base64url').toString()) as object;
  const issue = (dataDir: string, now: Date): Promise<string> =>
    issueSandboxToken({ dataDir, userId: ana.userId, scopes: ['support'], ttlSeconds: 60, now });

  test.each<[string, () => Promise<string>]>([
    ['an expired one', () => issue(product.dataDir, new Date(Date.now() - 3_600_000))],
    ['one of tomorrow', () => issue(product.dataDir, new Date(Date.now() + 86_400_000))],
    [
      "one of another issuer's key",
      async () => {
        const folder = await mkdtemp(path.join(os.tmpdir(), 'issuer-'));
        try {
          return await issue(folder, new Date());
        } finally {
          await rm(folder, { recursive: true });
        }
      },
    ],
    ['one without a signature (alg none)', async () => `${part({ alg: 'none', typ: 'at+jwt' })}.${part(claims())}.`],
    [
      'one signed by a guess (HS256)',
      async () => {
        const signed = `${part({ alg: 'HS256', typ: 'at+jwt' })}.${part(claims())}`;
        return `${signed}.${createHmac('sha256', 'secret').update(signed).digest('base64url')}`;
      },
    ],
    [
      'one with more scopes than were given',
      async () => {
        const [header, , signature] = ana.token.split('.');
        return `${header}.${part({ ...claims(), scope: 'monetization:support' })}.${signature}`;
      },
    ],
    ['no token at all', async () => 'hello'],
  ])('%s is UNAUTHENTICATED over HTTP and closes a WebSocket with 4403', async (_what, make) => {
    const token = await make();
    await leavingNoTrace(async () => {
      expectRefused(await post(product.url, JSON.stringify({ query: VIEWER }), { authorization: `Bearer ${token}` }), {
        status: 401,
        code: 'UNAUTHENTICATED',
      });
      const socket = await open();
      socket.send({ type: 'connection_init', payload: { token } });
      expect(await socket.closed).toBe(4403);
    });
  });

  test('another scheme than Bearer is UNAUTHENTICATED', async () => {
    const answer = await post(product.url, JSON.stringify({ query: VIEWER }), {
      authorization: `Basic ${Buffer.from('ana:ana').toString('base64')}`,
    });
    expectRefused(answer, { status: 401, code: 'UNAUTHENTICATED' });
  });

  test('without a token there is no user, and what needs one is UNAUTHENTICATED', async () => {
    const { text: body } = await send(null, VIEWER);
    expect(JSON.parse(body)).toEqual({ data: { viewer: null } });
    const answer = await leavingNoTrace(() => send(null, SUBSCRIBE, { input: good() }));
    expectRefused(answer, { status: [200, 401], code: 'UNAUTHENTICATED' });
  });
});

describe('webhooks', () => {
  const event = (): string =>
    JSON.stringify({
      id: `evt_${newKey()}`,
      object: 'event',
      api_version: '2026-10-28.endive',
      created: Math.floor(Date.now() / 1000),
      data: { object: { id: 'pi_none', object: 'payment_intent' } },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type: 'payment_intent.created',
    });
  const seconds = (shift = 0): number => Math.floor(Date.now() / 1000) + shift;
  const mac = (body: string, at: number, secret = WEBHOOK_SECRET): string =>
    createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  const signed = (body: string, at = seconds(), secret = WEBHOOK_SECRET): string => `t=${at},v1=${mac(body, at, secret)}`;

  /** Sends headers as they are, twice where they are given twice. */
  async function deliver(body: string, signatures: string[]): Promise<Refused> {
    const request = http.request(`${product.url}/webhooks/stripe`, {
      method: 'POST',
      headers: [
        'host',
        new URL(product.url).host,
        'content-type',
        'application/json',
        ...signatures.flatMap((one) => ['stripe-signature', one]),
      ],
    });
    request.end(body);
    const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
    return { status: answer.statusCode ?? 0, text: await text(answer) };
  }

  test.each<[string, (body: string) => { body?: string; signatures: string[] }]>([
    ['without a signature', () => ({ signatures: [] })],
    ['with an empty one', () => ({ signatures: [''] })],
    ['signed with another key', (body) => ({ signatures: [signed(body, seconds(), 'whsec_guess')] })],
    ['with a byte changed', (body) => ({ body: body.replace('pi_none', 'pi_nono'), signatures: [signed(body)] })],
    ['with a byte more', (body) => ({ body: `${body} `, signatures: [signed(body)] })],
    ['of ten minutes ago', (body) => ({ signatures: [signed(body, seconds(-600))] })],
    ['of ten minutes ahead', (body) => ({ signatures: [signed(body, seconds(600))] })],
    ['of now, signed for ten minutes ago', (body) => ({ signatures: [`t=${seconds()},v1=${mac(body, seconds(-600))}`] })],
    ['without a time', (body) => ({ signatures: [`v1=${mac(body, seconds())}`] })],
    ['with a time in words', (body) => ({ signatures: [`t=now,v1=${mac(body, seconds())}`] })],
    ['without v1', () => ({ signatures: [`t=${seconds()}`] })],
    ['with a good signature of an old scheme', (body) => ({ signatures: [`t=${seconds()},v0=${mac(body, seconds())}`] })],
    ['with half a signature', (body) => ({ signatures: [signed(body).slice(0, -8)] })],
    [
      'with two forged headers',
      (body) => ({ signatures: [signed(body, seconds(), 'whsec_a'), signed(body, seconds(), 'whsec_b')] }),
    ],
    ['with no event in it', () => ({ body: 'hello', signatures: [signed('hello')] })],
  ])('%s are refused and leave no trace', async (_what, forge) => {
    const original = event();
    const { body = original, signatures } = forge(original);
    const answer = await leavingNoTrace(() => deliver(body, signatures));
    expect([answer.status, answer.text]).toEqual([400, '{}']);
  });

  test('signed as Stripe does are kept, once', async () => {
    const body = event();
    const { id } = JSON.parse(body) as { id: string };
    expect((await deliver(body, [signed(body)])).status).toBe(200);
    expect((await deliver(body, [signed(body)])).status).toBe(200);
    const rows = await product.query('select event_id from webhook_inbox where event_id = $1', [id]);
    expect(rows).toHaveLength(1);
  });
});
