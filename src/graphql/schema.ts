import 'reflect-metadata';
import { buildSubgraphSchema, printSubgraphSchema, type GraphQLResolverMap } from '@apollo/subgraph';
import { printSchemaWithDirectives } from '@graphql-tools/utils';
import {
  isObjectType,
  lexicographicSortSchema,
  parse,
  specifiedDirectives,
  type GraphQLResolveInfo,
  type GraphQLSchema,
} from 'graphql';
import { buildSchemaSync, createResolversMap } from 'type-graphql';
import { checkAuthority, checkCaller } from '../resolvers/authorization.js';
import { ProductPriceResolver, ProductResolver, TierPriceResolver, TierResolver } from '../resolvers/catalogue.resolver.js';
import type { GraphContext } from '../resolvers/context.js';
import { CouponResolver } from '../resolvers/coupon.resolver.js';
import { EntitlementResolver } from '../resolvers/entitlement.resolver.js';
import { badUserInput, tooMany } from '../resolvers/errors.js';
import { GiftResolver, UserGiftsResolver } from '../resolvers/gift.resolver.js';
import { GrantResolver } from '../resolvers/grant.resolver.js';
import {
  InvoiceResolver,
  SubscriptionInvoicesResolver,
  TransactionInvoiceResolver,
  UserInvoicesResolver,
} from '../resolvers/invoice.resolver.js';
import { NodeResolver } from '../resolvers/node.resolver.js';
import { PauseResolver } from '../resolvers/pause.resolver.js';
import { PaymentMethodVerbsResolver } from '../resolvers/payment-method-verbs.resolver.js';
import { PaymentVerbsResolver } from '../resolvers/payment-verbs.resolver.js';
import { PurchaseResolver } from '../resolvers/purchase.resolver.js';
import { referenceResolvers } from '../resolvers/references.js';
import { SubscriptionPlansResolver } from '../resolvers/subscription-plans.resolver.js';
import { SubscriptionVerbsResolver } from '../resolvers/subscription-verbs.resolver.js';
import { TierChangeResolver } from '../resolvers/tier-change.resolver.js';
import { UserSubscriptionResolver } from '../resolvers/subscription.resolver.js';
import { TransactionSearchResolver } from '../resolvers/transaction-search.resolver.js';
import { TransactionResolver } from '../resolvers/transaction.resolver.js';
import { CardPaymentMethod } from '../resolvers/types/payment-method.js';
import { DateOnly } from '../resolvers/types/scalars.js';
import { UserResolver } from '../resolvers/user.resolver.js';
import { MonetizationUpdatesResolver } from '../subscriptions/monetization-updates.resolver.js';
import { PaymentStatusResolver } from '../subscriptions/payment-status.resolver.js';
import { callDirectly } from './direct-resolvers.js';
import type { CacheControl } from './prepared-query.js';

/** Most entities that one request may ask for by reference. */
const MAX_REPRESENTATIONS = 1_000;

/**
 * What type-graphql cannot say: the federation version and the directives taken from it, the hints that Apollo Server reads, and a
 * scalar of the contract that no field has yet.
 */
const HEADER = `
extend schema
  @link(
    url: "https://specs.apollo.dev/federation/v2.9"
    import: ["@key", "@shareable", "@tag", "@authenticated", "@requiresScopes", "@cost", "@listSize"]
  )

"Lets a type or field say how long its value may be cached and for whom."
directive @cacheControl(
  "Seconds the value may be served from a cache."
  maxAge: Int
  "PUBLIC may be shared between users; PRIVATE may not."
  scope: CacheControlScope
  "Take the parent's hint instead of the default of zero."
  inheritMaxAge: Boolean
) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION

"Who may share a cached value."
enum CacheControlScope {
  "Any client may be served the same copy."
  PUBLIC
  "Only the user it was computed for."
  PRIVATE
}

"${DateOnly.description}"
scalar Date
`;

/** Descriptions of the root types, which no decorator takes. */
const ROOTS = [
  ['Query', 'Entry points for reading.'],
  ['Mutation', 'Entry points for changing things.'],
  ['Subscription', 'Entry points for live updates.'],
] as const;

/** All resolvers of the contract. */
const RESOLVERS = [
  TierResolver,
  TierPriceResolver,
  ProductResolver,
  ProductPriceResolver,
  UserResolver,
  EntitlementResolver,
  UserSubscriptionResolver,
  PauseResolver,
  GiftResolver,
  UserGiftsResolver,
  GrantResolver,
  TransactionResolver,
  TransactionSearchResolver,
  PurchaseResolver,
  InvoiceResolver,
  UserInvoicesResolver,
  SubscriptionInvoicesResolver,
  TransactionInvoiceResolver,
  NodeResolver,
  SubscriptionVerbsResolver,
  SubscriptionPlansResolver,
  TierChangeResolver,
  CouponResolver,
  PaymentVerbsResolver,
  PaymentMethodVerbsResolver,
  PaymentStatusResolver,
  MonetizationUpdatesResolver,
] as const;

/** A class with type-graphql's decorators. */
export type ResolverClass = new (...args: never[]) => object;

/**
 * The subgraph's schema and its SDL as a composer reads it.
 * @param options.extraResolvers classes of root fields outside the contract, such as a sandbox's
 */
export function buildGraphSchema(options: { extraResolvers?: readonly ResolverClass[] } = {}): {
  schema: GraphQLSchema;
  sdl: string;
} {
  const classes = [...RESOLVERS, ...(options.extraResolvers ?? [])] as const;
  const plain = buildSchemaSync({
    resolvers: classes,
    orphanedTypes: [CardPaymentMethod],
    directives: [...specifiedDirectives],
    authChecker: checkAuthority,
    // Never called: every subscription has a subscribe function of its own; type-graphql only insists on its presence.
    pubSub: { publish: neverCalled, subscribe: neverCalled },
    // type-graphql's own schema knows no federation directives, and inputs are checked by the resolvers.
    skipCheck: true,
    validate: false,
  });
  callDirectly(plain, classes, checkCaller);
  // Sorted: type-graphql's own order follows the order in which decorators happen to run.
  const sorted = lexicographicSortSchema(plain);
  for (const [root, description] of ROOTS) {
    const type = sorted.getType(root);
    if (type) type.description = description;
  }
  const typeDefs = parse(HEADER + printSchemaWithDirectives(sorted), { noLocation: true });
  const resolvers = { ...createResolversMap(plain), Date: DateOnly } as GraphQLResolverMap<GraphContext>;
  for (const [type, resolveReference] of Object.entries(referenceResolvers)) {
    resolvers[type] = Object.assign({}, resolvers[type], { __resolveReference: resolveReference });
  }
  const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);
  resolveEntities(schema);
  return { schema, sdl: printSubgraphSchema(schema) };
}

const neverCalled = (): never => {
  throw new Error('Every subscription has a subscribe function of its own.');
};

/**
 * Entities by reference, as Apollo's resolver gives them, without its promise for each and what it writes on each. Refuses a longer list, or one
 * with something that is no reference of ours, before anything is loaded for it.
 */
function resolveEntities(schema: GraphQLSchema): void {
  const entities = schema.getQueryType()?.getFields()['_entities'];
  if (!entities) return;
  entities.resolve = (_source, { representations }: { representations: unknown[] }, context: GraphContext, info) => {
    const count = representations.length;
    if (count > MAX_REPRESENTATIONS) throw tooMany('_entities', count, MAX_REPRESENTATIONS);
    if (!representations.every(isReference))
      throw badUserInput('Each representation names an entity of this subgraph in __typename, and has its key, a text.');
    restrictCaching(info, new Set(representations.map(({ __typename }) => __typename)));
    return representations.map((reference) => referenceResolvers[reference.__typename](reference, context));
  };
}

type EntityName = keyof typeof referenceResolvers;
/** What a router sends; its key is what the router knows of it. */
type Reference = { readonly __typename: EntityName } & Record<'id' | 'key', string>;

function isReference(representation: unknown): representation is Reference {
  if (typeof representation !== 'object' || representation === null || !('__typename' in representation)) return false;
  const name = representation.__typename;
  if (typeof name !== 'string' || !Object.hasOwn(referenceResolvers, name)) return false;
  const key: unknown = Reflect.get(representation, name === 'Feature' ? 'key' : 'id');
  return typeof key === 'string';
}

/** An answer may be cached as long as the strictest of the types in it says. */
function restrictCaching(info: GraphQLResolveInfo & { cacheControl?: CacheControl }, names: ReadonlySet<EntityName>): void {
  const { schema, cacheControl } = info;
  for (const name of names) {
    const type = schema.getType(name);
    if (isObjectType(type)) cacheControl?.cacheHint.restrict(cacheControl.cacheHintFromType(type) ?? {});
  }
}
