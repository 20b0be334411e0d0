/**
 * The short path answers byte for byte what Apollo Server with graphql-js answers, over generated queries. GENERATED_QUERIES sets how many
 * (`npm run test:queries` asks for 10,000), GENERATED_SEED where they begin; a failure prints the query and the seed.
 */
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execute, parse, validate, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import { Chance } from '../../bench/chance.js';
import { publicId } from '../../src/domain/ids.js';
import { QueryCompiler } from '../../src/graphql/prepared-query.js';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { BASIC, CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { NOW, startGraph, type TestGraph } from '../resolvers/graph.js';
import { oddSchema } from './odd-schema.js';
import { QueryGenerator, type GeneratedQuery, type ValueSource } from './query-generator.js';
import { startSmallServer, type SmallServer } from './small-graph.js';

const COUNT = Number(process.env['GENERATED_QUERIES'] ?? 200);
const SEED = Number(process.env['GENERATED_SEED'] ?? 20_261);
/** Whole requests over HTTP, on a machine that other tests use too. */
const LIMIT_MS = 60_000 + COUNT * 200;

let graph: TestGraph;
/** The same graph over the same rows, without the short path and with it. */
let plain: SmallServer;
let short: SmallServer;
let valueOf: ValueSource;
const cursors: string[] = [];
const AGENT = new Agent({ keepAlive: true });

beforeAll(async () => {
  graph = await startGraph();
  const ids = await writeRows(graph);
  [plain, short] = await Promise.all([serve(false), serve(true)]);
  valueOf = (type, name, chance) => {
    if (type === '_Any') return representation(chance);
    if (name === 'id' || name === 'subscriptionId') return chance.of(ids);
    if (name === 'userId') return chance.of(['ana', 'bob', 'nobody']);
    if (name === 'key') return chance.of(['basic', 'plus', 'old', 'none']);
    if (name === 'feature') return chance.of(['no_ads', 'longer_posts', 'badge']);
    if (name === 'after' || name === 'before') return chance.is(0.8) && cursors.length > 0 ? chance.of(cursors) : 'wrong';
    if (name === 'first' || name === 'last') return chance.is(0.03) ? 500 : chance.below(6);
    if (type === 'CurrencyCode') return chance.of(['USD', 'EUR', 'JPY', 'usd']);
    if (type === 'CountryCode') return chance.of(['DE', 'US', 'XX']);
    if (type === 'DateTime') return chance.of(['2026-03-01T09:30:00Z', '2026-03-01T10:10:20+01:00', '2026-13-01T00:00:00Z']);
    if (type === 'SafeInt') return chance.of([0, 300, 9_007_199_254_740_991, 1.5]);
    return undefined;
  };
});
afterAll(async () => {
  AGENT.destroy();
  await plain.stop(0);
  await short.stop(0);
  await graph.stop();
});

test(
  'generated queries about real rows are answered alike, in status, headers and every byte',
  async () => {
    const { schema } = buildGraphSchema();
    const chance = new Chance(SEED);
    const generator = new QueryGenerator(schema, chance, valueOf);
    for (let made = 0; made < COUNT; made += 1) await compare(nextValid(generator, chance), chance.of(CALLERS));
    const outcomes = await countedOutcomes(short);
    expect(outcomes.answered).toBeGreaterThan(COUNT / 2); // of three times that each is sent there, the first to make it known
    expect(outcomes.redone).toBeGreaterThan(0);
    expect(outcomes.passed).toBeGreaterThan(0);
    expect(await countedOutcomes(plain)).toEqual({ answered: 0, redone: 0, passed: expect.any(Number), differed: 0 });

    /** Mostly valid documents: one that is not never becomes known, which takes few of them to show. */
    function nextValid(from: QueryGenerator, coin: Chance): GeneratedQuery {
      for (;;) {
        const generated = from.next();
        if (validate(schema, parse(generated.query)).length === 0 || coin.is(0.02)) return generated;
      }
    }
  },
  LIMIT_MS,
);

test(
  'a prepared query gives the data that graphql-js gives where nothing fails, and nothing where something does',
  async () => {
    const chance = new Chance(SEED + 1);
    const generator = new QueryGenerator(oddSchema, chance, () => undefined);
    const compiler = new QueryCompiler(oddSchema);
    const seen = { answered: 0, left: 0 };
    for (let made = 0; made < COUNT * 2; made += 1) {
      const generated = generator.next();
      const document = parse(generated.query);
      if (validate(oddSchema, document).length > 0) continue;
      const operation = operationOf(document, generated.operationName);
      const prepared = operation && compiler.prepare(document, operation);
      if (!operation || !prepared) continue;
      for (const variables of generated.variables) {
        const seed = chance.below(1_000);
        const expected = await execute({
          schema: oddSchema,
          document,
          operationName: generated.operationName,
          variableValues: variables,
          contextValue: { chance: new Chance(seed) },
        });
        const answer = await prepared.run(variables, { chance: new Chance(seed) });
        const isClean = expected.errors === undefined;
        seen[answer ? 'answered' : 'left'] += 1;
        // What fails there must not be answered here; what does not fail there is answered here, but for a few that are left out on purpose.
        if (answer || isClean) {
          expect({ ...generated, variables, seed, data: answer && JSON.stringify(answer.data) }).toEqual({
            ...generated,
            variables,
            seed,
            data: isClean ? JSON.stringify(expected.data) : null,
          });
        }
      }
    }
    expect(seen.answered).toBeGreaterThan(COUNT / 2);
    expect(seen.left).toBeGreaterThan(COUNT / 10);
  },
  LIMIT_MS,
);

const CALLERS = [null, 'ana', 'ana', 'bob', 'sue.support', 'svc.entitlements', 'eve.support.entitlements'] as const;

async function serve(hasShortPath: boolean): Promise<SmallServer> {
  return startSmallServer({
    schema: buildGraphSchema().schema,
    makeContext: ({ actor, requestId, isRouter }) => ({ ...graph.contextFor(null), actor, requestId, isRouter }),
    machineClock: { now: () => NOW },
    settings: { hasShortPath },
  });
}

/** Sends a query with each of its sets of variables to both; to the short path once more at first, so that it is known. */
async function compare({ query, operationName, variables }: GeneratedQuery, caller: string | null): Promise<void> {
  for (const [at, values] of variables.entries()) {
    const body = { query, ...(operationName !== undefined && { operationName }), variables: values };
    const expected = await seenBy(plain, body, caller);
    for (let times = at === 0 ? 2 : 1; times > 0; times -= 1) {
      const answered = await seenBy(short, body, caller);
      expect({ seed: SEED, caller, ...body, ...answered }).toEqual({ seed: SEED, caller, ...body, ...expected });
    }
    for (const [, cursor = ''] of expected.text.matchAll(/"([A-Za-z0-9_-]{60,})"/g))
      if (cursors.length < 200) cursors.push(cursor);
  }
}

/** Status, headers as they stand in the answer, and body. */
function seenBy(
  { url }: SmallServer,
  body: object,
  caller: string | null,
): Promise<{ status: unknown; headers: string[]; text: string }> {
  const headers = {
    'content-type': 'application/json',
    'x-request-id': 'generated-1',
    ...(caller !== null && { authorization: `Bearer ${caller}` }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/graphql`, { method: 'POST', headers, agent: AGENT }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: withoutDate(response.rawHeaders), text }));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

/** Names and values in turn; the date is the only one that tells two answers apart. */
function withoutDate(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((text, at) => (at % 2 === 0 ? text : rawHeaders[at - 1])?.toLowerCase() !== 'date');
}

async function countedOutcomes(server: SmallServer): Promise<Record<'answered' | 'redone' | 'passed' | 'differed', number>> {
  const { values } = (await server.registry.getSingleMetric('graphql_short_path_total')?.get()) ?? { values: [] };
  const count = (outcome: string): number => values.find(({ labels }) => labels['outcome'] === outcome)?.value ?? 0;
  return { answered: count('answered'), redone: count('redone'), passed: count('passed'), differed: count('differed') };
}

function operationOf(document: DocumentNode, name: string | null | undefined): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((one) => one.kind === 'OperationDefinition');
  return name === undefined || name === null
    ? operations.length === 1
      ? operations[0]
      : undefined
    : operations.find((one) => one.name?.value === name);
}

function representation(chance: Chance): object {
  return chance.of<object>([
    { __typename: 'User', id: 'ana' },
    { __typename: 'User', id: 'bob' },
    { __typename: 'User', id: 'nobody' },
    { __typename: 'Tier', id: publicId('tier', CATALOGUE.tiers.plus) },
    { __typename: 'Tier', id: 'tier_unknown' },
    { __typename: 'Feature', key: 'no_ads' },
    { __typename: 'UserSubscription', id: 'sub_unknown' },
    ...(chance.is(0.1) ? [{ __typename: 'Nothing', id: '1' }] : []),
  ]);
}

/** Accounts with something of everything; answers with public ids. */
async function writeRows({ rows, database }: TestGraph): Promise<string[]> {
  const ids: string[] = [];
  for (const [user, price] of [
    ['ana', PLUS],
    ['bob', BASIC],
  ] as const) {
    await rows.customer(user);
    const method = await rows.method(user);
    await rows.method(user, { brand: 'jcb', wallet: 'apple_pay' });
    await rows.setDefaultMethod(user, method);
    const subscription = await rows.subscription(user, price, { payment_method_id: method });
    const purchase = await rows.purchase(user, CATALOGUE.prices.badge);
    const charges = [
      await rows.charge(user, { subscriptionId: subscription }, { transaction: { payment_method_id: method } }),
      await rows.charge(
        user,
        { subscriptionId: subscription },
        { status: 'declined', attempt: { decline_code: 'insufficient_funds' } },
      ),
      await rows.charge(user, { purchaseId: purchase }, { status: 'unknown' }),
    ];
    const [paid] = charges;
    if (paid) charges.push(await rows.refund(user, paid, 300), await rows.dispute(user, paid, 200));
    await rows.grant(user, 'badge');
    ids.push(publicId('sub', subscription), publicId('pur', purchase), publicId('pm', method));
    ids.push(...charges.map((id) => publicId('txn', id)));
  }
  // A row that the contract cannot show: what asks for its currency fails, and the null spreads as far as it must.
  const odd = await rows.transaction('bob', { currency: 'XTS' });
  expect((await database.ownerPool.query('select 1 from transaction where currency = $1', ['XTS'])).rows).toHaveLength(1);
  return [...ids, publicId('txn', odd), publicId('tier', CATALOGUE.tiers.basic), 'txn_nothing', ''];
}
