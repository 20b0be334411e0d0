/**
 * Requests that nobody should send: generated from the schema, then bent. The same seed gives the same requests, so that one that broke
 * something can be sent again. None of them may ever be answered with a 5xx.
 */
import http from 'node:http';
import {
  getNamedType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
} from 'graphql';
import { Chance } from './chance.js';

/** A request as it goes over the wire. */
export interface HostileRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | null;
}

/** What the gateway said to one. */
export interface HostileAnswer {
  /** 0: it hung up. */
  status: number;
  text: string;
}

/** What requests may name: tokens of people of every kind, ids of things that exist. */
export interface Known {
  tokens: readonly string[];
  ids: readonly string[];
}

const DEEPEST = 4;
/** Texts on which parsers, databases and regular expressions have stumbled before. */
const NASTY_TEXTS = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udfff\ud800',
  '\u202e\u200b\ufeff',
  '💸'.repeat(40),
  'é'.normalize('NFD').repeat(200),
  "' or 1=1; drop table customer; --",
  '"; select pg_sleep(10); --',
  '../../../../etc/passwd',
  '${jndi:ldap://127.0.0.1/a}',
  '<script>alert(1)</script>',
  '%00%0a%0d',
  'null',
  'NaN',
  '-0',
  '1e999',
  '__proto__',
  'constructor',
  'x'.repeat(300),
  'x'.repeat(19_000),
  '9'.repeat(400),
  'txn_' + '0'.repeat(26),
  'txn_' + '7' + 'z'.repeat(25),
  'tier_' + 'o'.repeat(26),
  'sub_',
  'https://127.0.0.1:1/',
  'javascript:alert(1)',
  '2026-02-30T25:61:61Z',
  '+275760-09-13T00:00:00.000Z',
  '0000-01-01T00:00:00Z',
];
const NASTY_NUMBERS = [
  0,
  -1,
  -0,
  1,
  100,
  101,
  0.1,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53 - 1,
  2 ** 53,
  1e21,
  1e308,
  -1e308,
  5e-324,
];
const TOKENS = [
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  ':',
  '!',
  '=',
  '@',
  '$',
  '...',
  '|',
  '&',
  '"',
  '"""',
  '#',
  '\\',
  ',',
  '\u0000',
  '\ufeff',
  ' on ',
  'fragment F on Query',
  '@skip(if: true)',
  '@include(if: $v)',
  '@defer',
  '@x',
  '__typename',
  '__schema',
  '_entities',
  '_service',
  'query',
  'mutation',
  'subscription',
  '-',
  '1e',
  '$a: [[Int!]!]! = null',
];
const CONTENT_TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=utf-16',
  'APPLICATION/JSON',
  'application/graphql',
  'application/graphql-response+json',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/jsonp',
  'x',
  ';',
  'application/json;;;charset',
  '',
];
const ACCEPTS = [
  'application/json',
  '*/*',
  'application/graphql-response+json',
  'text/event-stream',
  'multipart/mixed;subscriptionSpec="1.0"',
  'application/json;callbackSpec=1.0',
  'text/html',
  'q=0',
  ';;;',
  'image/png',
];
const PATHS = [
  '/graphql',
  '/graphql?',
  '/graphql?query',
  '/graphql?query=%',
  '/graphql?query=%7B',
  '/graphql?variables=%5B',
  '/graphql?extensions=null',
  '/graphql/',
  '/graphql//',
  '/%67raphql',
  '/webhooks/stripe',
  '/webhooks/',
  '/healthz',
  '/',
  '/metrics',
  '/%zz',
  '/graphql?documentId=',
  '/graphql?documentId=sha256:x&query=%7Ba%7D',
];
const METHODS = ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'POST'];

/** Makes requests one after the other. */
export class HostileRequests {
  readonly #schema: GraphQLSchema;
  readonly #known: Known;
  readonly #dice: Chance;

  constructor(schema: GraphQLSchema, known: Known, seed: number) {
    this.#schema = schema;
    this.#known = known;
    this.#dice = new Chance(seed);
  }

  next(): HostileRequest {
    const dice = this.#dice;
    const request = this.#plain();
    if (request.body !== null && dice.is(0.15)) request.body = this.#bentText(request.body);
    if (dice.is(0.2)) this.#bendHeaders(request.headers);
    if (dice.is(0.05)) request.method = dice.of(METHODS);
    if (dice.is(0.05)) request.path = dice.of(PATHS);
    if (['GET', 'HEAD', 'OPTIONS'].includes(request.method)) {
      if (request.body !== null && dice.is(0.7)) request.path = `/graphql?${this.#search(request.body)}`;
      request.body = null;
    }
    return request;
  }

  #plain(): HostileRequest {
    const dice = this.#dice;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (dice.is(0.75)) headers['authorization'] = `Bearer ${dice.of(this.#known.tokens)}`;
    return { method: dice.is(0.06) ? 'GET' : 'POST', path: '/graphql', headers, body: JSON.stringify(this.#body()) };
  }

  /** Of the form that the specification asks for, or nearly. */
  #body(): unknown {
    const dice = this.#dice;
    const draft = new Draft(this.#schema, this.#known, dice);
    let query = draft.text();
    if (dice.is(0.15)) query = this.#bentDocument(query);
    const body: Record<string, unknown> = { query, variables: draft.variables };
    if (dice.is(0.1)) body['operationName'] = dice.of(['Op', 'Other', '', null, 7, NASTY_TEXTS[3]]);
    if (dice.is(0.05)) body['variables'] = this.#junk(0);
    if (dice.is(0.1))
      body['extensions'] = dice.is(0.5)
        ? this.#junk(0)
        : { persistedQuery: { version: dice.of([1, 2, '1', null]), sha256Hash: dice.of(['x', 'a'.repeat(64), null, 7, {}]) } };
    if (dice.is(0.05))
      body['extensions'] = {
        subscription: {
          callbackUrl: 'http://127.0.0.1:1/x',
          subscriptionId: 'x',
          verifier: 'y',
          heartbeatIntervalMs: dice.of(NASTY_NUMBERS),
        },
      };
    if (dice.is(0.05)) body['documentId'] = dice.of(['sha256:x', null, 7, {}, `sha256:${'a'.repeat(64)}`]);
    if (dice.is(0.05)) delete body['query'];
    if (dice.is(0.03)) body['query'] = this.#junk(0);
    if (dice.is(0.02)) return this.#junk(0);
    return dice.is(0.02) ? [body, body] : body;
  }

  /** Any JSON. */
  #junk(depth: number): unknown {
    const dice = this.#dice;
    if (depth === 0 && dice.is(0.03)) return nested(dice.of([9, 12, 200, 1_000]));
    const kind = dice.below(depth > 3 ? 4 : 6);
    if (kind === 0) return dice.of(NASTY_TEXTS);
    if (kind === 1) return dice.of(NASTY_NUMBERS);
    if (kind === 2) return dice.of([true, false, null]);
    if (kind === 3) return dice.of(this.#known.ids);
    if (kind === 4) return Array.from({ length: dice.below(4) }, () => this.#junk(depth + 1));
    return Object.fromEntries(
      Array.from({ length: dice.below(4) }, () => [
        dice.of(['input', 'id', 'first', 'a', '__proto__', 'userId', '']),
        this.#junk(depth + 1),
      ]),
    );
  }

  #bentDocument(text: string): string {
    const dice = this.#dice;
    let bent = text;
    for (let times = 1 + dice.below(3); times > 0; times -= 1) {
      const at = dice.below(bent.length + 1);
      const length = dice.below(12);
      const way = dice.below(5);
      if (way === 0) bent = bent.slice(0, at) + dice.of(TOKENS) + bent.slice(at);
      else if (way === 1) bent = bent.slice(0, at) + bent.slice(at + length);
      else if (way === 2)
        bent = bent.slice(0, at) + bent.slice(at, at + length).repeat(1 + dice.below(40)) + bent.slice(at + length);
      else if (way === 3) bent = bent.slice(0, at);
      else
        bent = bent.replaceAll(/\w+/g, (word) =>
          dice.is(0.05) ? dice.of(['__typename', 'id', 'Node', 'viewer', 'x', word + word]) : word,
        );
    }
    return bent;
  }

  #bentText(text: string): string {
    const dice = this.#dice;
    const at = dice.below(text.length + 1);
    const way = dice.below(7);
    if (way === 0) return text.slice(0, at);
    if (way === 1)
      return text.slice(0, at) + dice.of(['"', '{', '}', '\\', '\u0000', ',', '\\u0000', '\\ud800', '1e999']) + text.slice(at);
    if (way === 2) return text.slice(0, at) + text.slice(at + 1 + dice.below(8));
    if (way === 3) return `\ufeff${text}`;
    if (way === 4)
      return text.replaceAll(/:\s*(?:"[^"]*"|-?\d+)/g, (value) => (dice.is(0.3) ? `:${JSON.stringify(this.#junk(2))}` : value));
    if (way === 5) return text.replace('{', '{"query":"{ viewer { id } }","query":');
    return `${'['.repeat(dice.below(3_000))}${text}`;
  }

  #bendHeaders(headers: Record<string, string>): void {
    const dice = this.#dice;
    const way = dice.below(9);
    if (way === 0) headers['content-type'] = dice.of(CONTENT_TYPES);
    else if (way === 1) headers['accept'] = dice.of(ACCEPTS);
    else if (way === 2)
      headers['authorization'] = dice.of([
        'Bearer',
        'Bearer ',
        'Basic x',
        'Bearer a.b.c',
        `Bearer ${'a'.repeat(6_000)}`,
        'Bearer eyJhbGciOiJub25lIn0.e30.',
        '\u00ff',
      ]);
    else if (way === 3) headers['x-request-id'] = dice.of(['', 'x', 'x'.repeat(400), '<b>', 'a-good-request-id']);
    else if (way === 4) headers['origin'] = dice.of(['null', 'https://evil.example', 'x', 'http://127.0.0.1:1']);
    else if (way === 5) headers['apollo-require-preflight'] = '1';
    else if (way === 6) headers['x-router-authorization'] = dice.of(['', 'x', 'x'.repeat(500)]);
    else if (way === 7) headers['apollographql-client-name'] = dice.of(['web', '', 'x'.repeat(400), '"{}']);
    else headers['if-none-match'] = dice.of(['*', '"', 'W/', 'W/"x", "y"']);
    if (dice.is(0.3)) headers['x-cost'] = '1';
  }

  #search(body: string): string {
    const parsed = new URLSearchParams();
    for (const name of ['query', 'variables', 'extensions', 'operationName', 'documentId']) {
      if (this.#dice.is(name === 'query' ? 0.9 : 0.4))
        parsed.set(name, name === 'query' ? queryOf(body) : JSON.stringify(this.#junk(1)));
    }
    return parsed.toString().slice(0, 8_000);
  }
}

function queryOf(body: string): string {
  return /"query":"((?:[^"\\]|\\.)*)"/.exec(body)?.[1]?.replaceAll('\\"', '"') ?? '{';
}

function nested(levels: number): unknown {
  let inner: unknown = 1;
  for (let level = 0; level < levels; level += 1) inner = level % 2 ? [inner] : { a: inner };
  return inner;
}

/** One operation against the schema, most of it valid. */
class Draft {
  readonly variables: Record<string, unknown> = {};
  readonly #declared: string[] = [];
  readonly #fragments: string[] = [];
  readonly #schema: GraphQLSchema;
  readonly #known: Known;
  readonly #dice: Chance;

  constructor(schema: GraphQLSchema, known: Known, dice: Chance) {
    this.#schema = schema;
    this.#known = known;
    this.#dice = dice;
  }

  text(): string {
    const dice = this.#dice;
    const kind = dice.is(0.7) ? 'query' : dice.is(0.9) ? 'mutation' : 'subscription';
    const root = {
      query: this.#schema.getQueryType(),
      mutation: this.#schema.getMutationType(),
      subscription: this.#schema.getSubscriptionType(),
    }[kind];
    const fields = Object.values(root?.getFields() ?? {});
    const chosen = Array.from({ length: kind === 'query' ? 1 + dice.below(2) : 1 }, () => this.#field(dice.of(fields), 0));
    const declared = this.#declared.length > 0 ? `(${this.#declared.join(', ')})` : '';
    return `${kind} Op${declared} { ${chosen.join(' ')} } ${this.#fragments.join(' ')}`;
  }

  #field(field: GraphQLField<unknown, unknown>, depth: number): string {
    const dice = this.#dice;
    const given = field.args.filter((argument) => isNonNullType(argument.type) || dice.is(0.5));
    const args = dice.is(0.01) ? [] : given.map((argument) => `${argument.name}: ${this.#argument(argument)}`);
    const alias = dice.is(0.1) ? `a${dice.below(3)}: ` : '';
    const directive = dice.is(0.05)
      ? ` @${dice.of(['skip', 'include'])}(if: ${dice.is(0.05) ? 'null' : dice.of(['true', 'false'])})`
      : '';
    return `${alias}${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''}${directive}${this.#selections(field, depth)}`;
  }

  #selections(field: GraphQLField<unknown, unknown>, depth: number): string {
    const dice = this.#dice;
    const type = getNamedType(field.type);
    if (!isCompositeType(type)) return '';
    if (depth >= DEEPEST) return ' { __typename }';
    const chosen: string[] = dice.is(0.3) ? ['__typename'] : [];
    if (!isUnionType(type)) {
      const fields = Object.values(type.getFields());
      for (let count = 1 + dice.below(4); count > 0; count -= 1) chosen.push(this.#field(dice.of(fields), depth + 1));
    }
    for (const possible of isObjectType(type) ? [] : this.#schema.getPossibleTypes(type).slice(0, 3)) {
      chosen.push(`... on ${possible.name} { ${this.#field(dice.of(Object.values(possible.getFields())), depth + 1)} }`);
    }
    if (dice.is(0.05)) {
      const name = `F${this.#fragments.length}`;
      this.#fragments.push(`fragment ${name} on ${type.name} { __typename }`);
      chosen.push(`...${name}`);
    }
    return ` { ${chosen.length > 0 ? chosen.join(' ') : '__typename'} }`;
  }

  #argument({ type }: GraphQLArgument): string {
    if (this.#dice.is(0.08)) return literal(this.#value(type, 0));
    const name = `v${this.#declared.length}`;
    this.#declared.push(`$${name}: ${String(type)}`);
    if (!this.#dice.is(0.01)) this.variables[name] = this.#value(type, 0);
    return `$${name}`;
  }

  #value(type: GraphQLInputType, depth: number): unknown {
    const dice = this.#dice;
    if (dice.is(0.015)) return dice.of([null, 7, '', [], {}, true]);
    if (isNonNullType(type)) return this.#value(type.ofType, depth);
    if (dice.is(0.05)) return null;
    if (isListType(type))
      return Array.from({ length: dice.is(0.02) ? 1_001 : dice.below(3) }, () => this.#value(type.ofType, depth + 1));
    if (isEnumType(type)) return dice.of(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => isNonNullType(field.type) || dice.is(0.4));
      return Object.fromEntries(
        fields.map((field) => [
          field.name,
          field.name === 'idempotencyKey' && dice.is(0.8) ? key(dice) : this.#value(field.type, depth + 1),
        ]),
      );
    }
    if (type.name === 'Int' || type.name === 'SafeInt') return dice.is(0.5) ? dice.below(100) : dice.of(NASTY_NUMBERS);
    if (type.name === 'Boolean') return dice.is(0.5);
    if (type.name === 'CurrencyCode') return dice.of(['USD', 'EUR', 'JPY', 'usd', 'XXX', '']);
    if (type.name === 'CountryCode') return dice.of(['US', 'DE', 'zz', 'USA']);
    if (type.name === 'DateTime')
      return dice.of(['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000+14:00', '2026-01-01', ...NASTY_TEXTS.slice(-3)]);
    if (type.name === '_Any')
      return {
        __typename: dice.of(['User', 'Tier', 'Feature', 'UserSubscription', 'Nothing']),
        id: dice.of([...this.#known.ids, ...NASTY_TEXTS]),
      };
    return dice.is(0.5) ? dice.of(this.#known.ids) : dice.of(NASTY_TEXTS);
  }
}

function key(dice: Chance): string {
  return Array.from({ length: 24 }, () => dice.below(16).toString(16)).join('');
}

/** As it stands in a document; enums come out as texts, which is one more thing to be refused. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => literal(item)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  return `{ ${Object.entries(value)
    .map(([name, inner]) => `${name}: ${literal(inner)}`)
    .join(', ')} }`;
}

/** Sends one; a stream of events is left as soon as it has begun. */
export function sendHostile(
  base: string,
  agent: http.Agent,
  { method, path, headers, body }: HostileRequest,
): Promise<HostileAnswer> {
  return new Promise((resolve) => {
    const all = { ...headers, ...(body !== null && { 'content-length': String(Buffer.byteLength(body)) }) };
    const { hostname, port } = new URL(base);
    // Not by URL: it would mend the path.
    const request = http.request({ hostname, port, agent, method, path, headers: all }, (response) => {
      const status = response.statusCode ?? 0;
      if ((response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
        request.destroy();
        return resolve({ status, text: '' });
      }
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status, text }));
      response.on('error', () => resolve({ status, text }));
    });
    request.on('error', (error) => resolve({ status: 0, text: error.message }));
    request.end(body ?? undefined);
  });
}
