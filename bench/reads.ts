/**
 * Reads by the gateway beside what else one could run over the same rows: Mercurius with graphql-jit and loaders, Mercurius given the
 * gateway's own batches, Apollo Server with TypeORM and DataLoader, PostGraphile. All run at once; each is loaded in turn for some seconds,
 * round after round, so that what else the machine does meets everybody. The gateway checks tokens, limits, rates and card data, counts
 * and logs as in production; the peers take the user's id as it is told.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { issueSandboxToken, LONGEST_SANDBOX_TTL_SECONDS, prepareSandboxIssuer } from '../src/platform/sandbox-issuer.js';
import { bucketOfUser } from '../src/store/viewer.js';
import { quantile, type Bench, type Figure, type Finding } from './bench.js';
import { timesOf } from './process-times.js';
import { openDataSet, userIdOf, type DataSet } from './reads/data-set.js';
import { findPgbench, pgbench, preparedLoop, subscriptionFloor, transactionsFloor, type FloorStatement } from './reads/floor.js';
import type { LoadPlan, LoadSeen } from './reads/load.js';
import {
  databaseCpuMs,
  installPeers,
  ROUTER_SECRET,
  SERVERS,
  startServer,
  type RunningServer,
  type ServerName,
} from './reads/servers.js';

/** People who are here at the same time, spread over all. Each token is verified when its user comes, and every minute again. */
const ACTIVE_USERS = 500;
const REQUESTS = 2_000;
const ENTITIES = 100;
const CHECKED_USERS = 20;
/** Seconds and answers at least, of whichever is more: on a busy machine V8 needs longer to make fast code of what it sees. */
const WARM_UP = [6, 1_000] as const;
const ROUND = [3, 200] as const;
const ROUNDS = 3;

interface Query {
  name: 'small' | 'transactions' | 'entities';
  connections: number;
  query: string;
  /** As PostGraphile names things; null where it has no such thing. */
  forPostgraphile: string | null;
  variables(user: () => string): Record<string, unknown>;
  /** What an answer shows, whoever gave it. */
  content(data: unknown): unknown;
  floor: FloorStatement | null;
  /** Least ratios of requests a second. */
  least: Partial<Record<ServerName | 'floor', number>>;
}

const QUERIES: readonly Query[] = [
  {
    name: 'small',
    connections: 48,
    query: '{ viewer { currentSubscription { status tier { key name } } } }',
    forPostgraphile:
      'query($bucket: Int!, $userId: String!) { membershipByBucketAndUserId(bucket: $bucket, userId: $userId) { status tierByTierId { key name } } }',
    variables: () => ({}),
    content: (data) => textsIn(data).map((text) => text.toUpperCase()),
    floor: subscriptionFloor,
    least: { 'mercurius-loaders': 4, 'mercurius-batched': 0.9, 'apollo-typeorm': 10, postgraphile: 4, floor: 0.45 },
  },
  {
    name: 'transactions',
    connections: 48,
    query: `query($first: Int) { viewer { transactions(first: $first) {
      edges { cursor node { id kind status amount { amountMinor currency decimal } provider statementDescriptor createdAt settledAt } }
      pageInfo { hasNextPage endCursor } } } }`,
    forPostgraphile: `query($bucket: Int!, $userId: String!, $first: Int) { allPayments(condition: { bucket: $bucket, userId: $userId }, orderBy: ROW_ID_DESC, first: $first) {
      edges { cursor node { rowId kind status amount currency statementDescriptor settledAt } } pageInfo { hasNextPage endCursor } } }`,
    variables: () => ({ first: 20 }),
    content: (data) => textsIn(data).filter((text) => /^\d{3,5}$/.test(text)),
    floor: transactionsFloor,
    least: { 'mercurius-loaders': 1.4, 'mercurius-batched': 0.8, 'apollo-typeorm': 3.5, postgraphile: 2.5, floor: 0.3 },
  },
  {
    name: 'entities',
    connections: 32,
    query:
      'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on User { displayTier { key name rank } } } }',
    forPostgraphile: null,
    variables: (user) => ({ representations: Array.from({ length: ENTITIES }, () => ({ __typename: 'User', id: user() })) }),
    content: (data) => textsIn(data).map((text) => text.toUpperCase()),
    floor: null,
    least: { 'mercurius-loaders': 2, 'mercurius-batched': 0.8, 'apollo-typeorm': 4 },
  },
];

/** The bench. */
export const reads: Bench = {
  name: 'reads',
  size: { of: 'users', usual: 20_000 },
  question:
    'How many reads does the gateway answer, beside Mercurius, Apollo Server with TypeORM, PostGraphile and bare PostgreSQL?',
  run: async (users, tell) => {
    installPeers(tell);
    const data = await openDataSet(users, tell);
    const servers: RunningServer[] = [];
    const folder = await mkdtemp(path.join(os.tmpdir(), 'bench-reads-'));
    try {
      prepareSandboxIssuer(data.dataDir);
      tell(`Starting ${SERVERS.join(', ')}.`);
      for (const name of SERVERS) servers.push(await startServer(name, data));
      return await measureAll({ data, servers, users, folder, tell });
    } finally {
      for (const server of servers) await server.stop();
      await data.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Setting {
  data: DataSet;
  servers: readonly RunningServer[];
  users: number;
  folder: string;
  tell: (line: string) => void;
}

interface Measured extends LoadSeen {
  perSecond: number;
  serverUs: number;
  databaseUs: number;
}

async function measureAll(setting: Setting): Promise<Finding> {
  const finding: Finding = { ratios: [], figures: [], bounds: [] };
  const people = await activePeople(setting);
  const asked = QUERIES.map((query): Asked => {
    const requests = new Map<ServerName, Request[]>();
    for (const { name } of setting.servers) {
      const made = requestsFor(query, name, people);
      if (made) requests.set(name, made);
    }
    return { query, requests };
  });
  for (const { query, requests } of asked) await checkAnswers(query, setting.servers, requests);
  // All of it before the first round: what the queries have in common is fast for each of them then.
  for (const one of asked) {
    for (const server of inTurn(setting, one.requests, 0)) {
      setting.tell(`${one.query.name}, warming up: ${server.name}`);
      await load(one, setting, server, WARM_UP);
    }
  }
  for (const one of asked) addFigures(finding, one.query, await runRounds(one, setting));
  return finding;
}

/** A query, and the requests for it by server. */
interface Asked {
  query: Query;
  requests: ReadonlyMap<ServerName, Request[]>;
}

interface Person {
  userId: string;
  token: string;
}

async function activePeople({ data, users }: Setting): Promise<Person[]> {
  const step = Math.max(Math.floor(users / ACTIVE_USERS), 1);
  const people: Person[] = [];
  for (let n = 1; n <= users && people.length < ACTIVE_USERS; n += step) {
    const userId = userIdOf(n);
    const claims = { dataDir: data.dataDir, userId, scopes: [], ttlSeconds: LONGEST_SANDBOX_TTL_SECONDS, now: new Date() };
    people.push({ userId, token: await issueSandboxToken(claims) });
  }
  return people;
}

interface Request {
  /** Who asks, as this server wants to be told, and from where: limits over time count by network too. */
  headers: [name: string, value: string][];
  body: string;
}

/** The same requests for everybody, in the same order; null for a server that cannot be asked this. */
function requestsFor(query: Query, server: ServerName, people: readonly Person[]): Request[] | null {
  if (server === 'postgraphile' && query.forPostgraphile === null) return null;
  let taken = 0;
  const next = (): string => people[(taken++ * 31) % people.length]?.userId ?? '';
  return Array.from({ length: REQUESTS }, (_, at) => {
    const { userId = '', token = '' } = people[at % people.length] ?? {};
    const variables = query.variables(next);
    const body =
      server === 'postgraphile'
        ? { query: query.forPostgraphile, variables: { ...variables, userId, bucket: bucketOfUser(userId) } }
        : { query: query.query, variables };
    const home = at % people.length;
    const ours: Request['headers'] = [
      query.name === 'entities' ? ['x-router-authorization', ROUTER_SECRET] : ['authorization', `Bearer ${token}`],
      ['x-forwarded-for', `10.${home >> 8}.${home & 255}.1`],
    ];
    return { headers: server === 'gateway' ? ours : [['x-user-id', userId]], body: JSON.stringify(body) };
  });
}

/** A request as it goes over the wire. */
function onTheWire({ headers, body }: Request, port: number): string {
  return [
    'POST /graphql HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    'accept: application/json',
    ...headers.map((header) => header.join(': ')),
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

/** @throws Error where two servers do not show the same */
async function checkAnswers(
  query: Query,
  servers: readonly RunningServer[],
  requests: ReadonlyMap<ServerName, Request[]>,
): Promise<void> {
  let expected: { data: unknown; text: string }[] = [];
  for (const { name, port } of servers) {
    const answers: { data: unknown; text: string }[] = [];
    for (const { headers: own, body } of requests.get(name)?.slice(0, CHECKED_USERS) ?? []) {
      const headers = Object.fromEntries([...own, ['content-type', 'application/json']]);
      const response = await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST', headers, body });
      const { data, errors } = (await response.json()) as { data?: unknown; errors?: unknown };
      if (errors || textsIn(data).length === 0)
        throw new Error(`${name} does not answer "${query.name}": ${JSON.stringify(errors)}`);
      answers.push({ data, text: JSON.stringify(data) });
    }
    if (name === 'gateway') expected = answers;
    const isSame = answers.every(({ data, text }, at) =>
      name === 'postgraphile'
        ? isDeepStrictEqual(query.content(data), query.content(expected[at]?.data))
        : text === expected[at]?.text,
    );
    if (!isSame)
      throw new Error(`${name} and the gateway answer "${query.name}" differently:\n${answers[0]?.text}\n${expected[0]?.text}`);
  }
}

interface Rounds {
  rounds: ReadonlyMap<ServerName, readonly Measured[]>;
  floors: readonly number[];
}

async function runRounds(asked: Asked, setting: Setting): Promise<Rounds> {
  const { query, requests } = asked;
  const { data, users, tell } = setting;
  const rounds = new Map<ServerName, Measured[]>();
  const floors: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const server of inTurn(setting, requests, round)) {
      tell(`${query.name}, round ${round} of ${ROUNDS}: ${server.name}`);
      rounds.set(server.name, [...(rounds.get(server.name) ?? []), await load(asked, setting, server, ROUND)]);
    }
    if (!query.floor) continue;
    tell(`${query.name}, round ${round} of ${ROUNDS}: the statement alone`);
    floors.push(
      findPgbench()
        ? pgbench(data.options, query.floor, users, ROUND[0])
        : await preparedLoop(data.options, query.floor, users, ROUND[0]),
    );
  }
  return { rounds, floors };
}

/** Those that can be asked this, each round beginning with another one. */
function inTurn({ servers }: Setting, requests: Asked['requests'], round: number): RunningServer[] {
  const asked = servers.filter(({ name }) => requests.has(name));
  return [...asked.slice(round % asked.length), ...asked.slice(0, round % asked.length)];
}

/** Loads one server for so many seconds, or answers, whichever takes longer. */
async function load(
  { query, requests }: Asked,
  { data, folder }: Setting,
  server: RunningServer,
  [seconds, leastAnswers]: readonly [number, number],
): Promise<Measured> {
  const wire = (requests.get(server.name) ?? []).map((request) => onTheWire(request, server.port));
  const plan: LoadPlan = { port: server.port, connections: query.connections, seconds, leastAnswers, requests: wire };
  const file = path.join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  return measure(server, file, await data.postmasterPid());
}

async function measure(server: RunningServer, plan: string, postmaster: number): Promise<Measured> {
  await pause(100);
  const before = [(await timesOf(server.pid)).ownMs, await databaseCpuMs(postmaster)] as const;
  const child = spawn(process.execPath, ['dist/bench/reads/load.js', plan], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`The load on ${server.name} broke off.`);
  const seen = JSON.parse(text) as LoadSeen;
  if (seen.bad > 0) throw new Error(`${server.name}: ${seen.bad} of ${seen.answered} answers were no good.`);
  const each = (afterMs: number, beforeMs: number): number => ((afterMs - beforeMs) * 1_000) / seen.answered;
  return {
    ...seen,
    perSecond: seen.answered / seen.seconds,
    serverUs: each((await timesOf(server.pid)).ownMs, before[0]),
    databaseUs: each(await databaseCpuMs(postmaster), before[1]),
  };
}

function addFigures(finding: Finding, query: Query, { rounds, floors }: Rounds): void {
  const ours = rounds.get('gateway') ?? [];
  const median = (values: readonly number[]): number => quantile(values, 0.5);
  const ratio = (other: readonly number[]): number =>
    median(ours.map(({ perSecond }, at) => perSecond / (other[at] ?? Number.NaN)));
  const add = (against: ServerName | 'floor', named: string, other: readonly number[]): void => {
    const value = ratio(other);
    finding.ratios.push({ what: `${query.name}, requests/s: gateway / ${named}`, value, unit: 'x' });
    const least = query.least[against];
    if (least !== undefined) {
      finding.bounds.push({ what: `${query.name}: at least ${least} x ${named}`, holds: value >= least });
    }
  };
  for (const [name, measured] of rounds) {
    if (name !== 'gateway')
      add(
        name,
        name,
        measured.map(({ perSecond }) => perSecond),
      );
  }
  if (floors.length > 0)
    add('floor', findPgbench() ? 'pgbench -M prepared' : 'a prepared loop of our own (no pgbench here)', floors);
  for (const [name, measured] of rounds) {
    const figure = (what: string, unit: Figure['unit'], of: (one: Measured) => number): Figure => ({
      what: `${query.name}, ${name}: ${what}`,
      value: median(measured.map(of)),
      unit,
    });
    finding.figures.push(
      figure('requests', '/s', ({ perSecond }) => perSecond),
      figure('p50', 'ms', ({ p50 }) => p50),
      figure('p99', 'ms', ({ p99 }) => p99),
      figure('a request in the server', 'us CPU', ({ serverUs }) => serverUs),
      figure('a request in the database', 'us CPU', ({ databaseUs }) => databaseUs),
    );
  }
  if (floors.length > 0) finding.figures.push({ what: `${query.name}, the statement alone`, value: median(floors), unit: '/s' });
}

/** All texts and numbers in a value, in order. */
function textsIn(value: unknown): string[] {
  if (value === null || value === undefined) return [];
  return typeof value === 'object' ? Object.values(value).flatMap(textsIn) : [JSON.stringify(value).replaceAll('"', '')];
}
