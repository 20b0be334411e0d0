import { graphql, type ExecutionResult, type GraphQLSchema } from 'graphql';
import { buildGraphSchema } from '../../src/graphql/schema.js';
import { pgConfig } from '../../src/platform/database-options.js';
import type { GraphContext } from '../../src/resolvers/context.js';
import { Cursors } from '../../src/resolvers/cursor.js';
import { makeReads } from '../../src/resolvers/loaders/reads.js';
import { Catalogue } from '../../src/store/catalogue.reads.js';
import type { Actor, Commands } from '../../src/usecases/contract.js';
import { AccountRows } from '../builders/account-rows.js';
import { insertCatalogue } from '../builders/catalogue-rows.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { ToldReader } from '../support/told-reader.js';

/** Every question of these suites is asked then. */
export const NOW = new Date('2026-03-10T12:00:00.000Z');

/** Who asks: a user id and the short names of scopes, or nobody. */
export type Asker = { userId: string; scopes?: readonly string[] } | null;

/** The graph over a database of its own. */
export interface TestGraph {
  database: TestDatabase;
  schema: GraphQLSchema;
  reader: ToldReader;
  catalogue: Catalogue;
  rows: AccountRows;
  contextFor(asker: Asker, commands?: Partial<Commands>): GraphContext;
  /** Runs an operation; the answer as a client would read it from JSON. */
  ask(
    asker: Asker,
    source: string,
    variableValues?: Record<string, unknown>,
    commands?: Partial<Commands>,
  ): Promise<ExecutionResult>;
  stop(): Promise<void>;
}

/** Opens accounts for staff, and nothing else: verbs belong to the use cases. */
const NO_COMMANDS: Commands = {
  subscribe: refuse,
  purchase: refuse,
  cancelSubscription: refuse,
  pauseSubscription: refuse,
  resumeSubscription: refuse,
  giftSubscription: refuse,
  claimGift: refuse,
  changeTier: refuse,
  cancelPendingTierChange: refuse,
  previewTierChange: refuse,
  confirmPayment: refuse,
  startPaymentMethodSetup: refuse,
  completePaymentMethodSetup: refuse,
  setDefaultPaymentMethod: refuse,
  removePaymentMethod: refuse,
  refund: refuse,
  grantEntitlement: refuse,
  applyCoupon: refuse,
  couponPreview: refuse,
  openCustomerAccount: async () => true,
  auditSearch: async () => undefined,
};

function refuse(): Promise<never> {
  throw new Error('no verb is asked for here');
}

/** An empty account database with a catalogue, and the graph over it. */
export async function startGraph(): Promise<TestGraph> {
  const database = await testDatabase();
  await insertCatalogue(database.ownerPool);
  const reader = new ToldReader({
    connection: pgConfig(database.options),
    maxConnections: 4,
    statementTimeoutMs: 10_000,
    usesNamedStatements: true,
  });
  const catalogue = await Catalogue.load(reader);
  const { schema } = buildGraphSchema();
  const clock = { now: () => NOW };
  const cursors = new Cursors('secret of these tests');
  const contextFor = (asker: Asker, commands: Partial<Commands> = {}): GraphContext => ({
    actor: asker && actorOf(asker),
    requestId: 'request-1',
    commands: { ...NO_COMMANDS, ...commands },
    reads: makeReads(reader, catalogue, cursors, clock),
    clock,
    publishableKeys: { stripe: 'pk_test', paypal: null, plaid: null },
    isRouter: true,
    replay: { isReplay: false },
  });
  return {
    database,
    schema,
    reader,
    catalogue,
    rows: new AccountRows(database.ownerPool),
    contextFor,
    ask: async (asker, source, variableValues = {}, commands = {}) =>
      JSON.parse(
        JSON.stringify(await graphql({ schema, source, variableValues, contextValue: contextFor(asker, commands) })),
      ) as ExecutionResult,
    stop: async () => {
      await reader.close();
      await database.drop();
    },
  };
}

function actorOf({ userId, scopes = [] }: NonNullable<Asker>): Actor {
  return { userId, scopes: new Set(scopes.map((scope) => `monetization:${scope}`)), requestId: 'request-1' };
}

/** What stands at a path of an answer; fails when the way is blocked. */
export function at(answer: ExecutionResult, ...path: (string | number)[]): unknown {
  let value: unknown = answer.data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) throw new Error(`nothing at ${path.join('.')}: ${JSON.stringify(answer)}`);
    value = Object.entries(value).find(([key]) => key === String(step))?.[1];
  }
  return value;
}

/** The codes of an answer's top-level errors. */
export const codesOf = (answer: ExecutionResult): unknown[] => (answer.errors ?? []).map((error) => error.extensions['code']);
