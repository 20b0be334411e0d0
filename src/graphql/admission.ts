/** Whether an operation may run: one door for HTTP, server-sent events and WebSocket. */
import {
  Kind,
  valueFromASTUntyped,
  type DocumentNode,
  type FieldNode,
  type GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import type { Actor } from '../usecases/contract.js';
import { badRequest, rateLimited, routerOnly, tooComplex } from './errors.js';
import { KnownDocuments } from './known-documents.js';
import { isBreach, type Audience, type LimitBreach, type MeasuredOperation } from './limits.js';
import { RATED_VERBS, type RateLimits } from './rate-limits.js';
import type { RouterProof } from './router-proof.js';
import type { TrustedDocuments } from './trusted-documents.js';

/** Root fields that only a router has a use for. */
const ROUTER_FIELDS = ['_entities', '_service'];

/** Who sent a request, and how. */
export interface Caller {
  /** null without a token. */
  actor: Actor | null;
  /** When the token expires; null without one. */
  expiresAt: Date | null;
  /** Where the request came from; the key of rate limits for callers without a token. */
  address: string;
  requestId: string;
  /** Value of x-router-authorization. */
  routerHeader: string | undefined;
}

/** A GraphQL request, as the transport read it. */
export interface GraphRequest {
  source: string;
  operationName: string | null;
  variables: Readonly<Record<string, unknown>>;
  extensions: Readonly<Record<string, unknown>>;
}

/** An operation that may run. */
export interface Admitted {
  document: DocumentNode;
  /** The operation that is meant; null when the document does not tell. */
  operation: OperationDefinitionNode | null;
  /** The operation's kind; null when the document does not tell which one is meant. */
  kind: 'query' | 'mutation' | 'subscription' | null;
  cost: number;
  maximumCost: number;
  isRouter: boolean;
}

/** What the door needs. */
export interface AdmissionOptions {
  schema: GraphQLSchema;
  /** null: no limits over time. */
  rateLimits: RateLimits | null;
  /** null: no secret is set, so whoever asks for entities is taken for the router. */
  routerProof: RouterProof | null;
  trusted: TrustedDocuments;
  /** Told of each refusal by a limit. */
  countRefused: (limit: string) => void;
}

/** The door. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #documents: KnownDocuments;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#documents = new KnownDocuments(options.schema, options.countRefused);
  }

  /**
   * Lets an operation in, or tells why not.
   * @throws GraphQLError OPERATION_NOT_ALLOWED, GRAPHQL_PARSE_FAILED, OPERATION_TOO_COMPLEX, RATE_LIMITED, FORBIDDEN
   */
  admit(request: GraphRequest, caller: Caller): Admitted {
    const isProven = this.#options.routerProof?.accepts({ ...request, header: caller.routerHeader }) ?? false;
    if (!isProven) this.#options.trusted.check(request.source);
    const { document, limits } = this.#documents.read(request.source);
    const { operationName, variables } = request;
    const measure = (audience: Audience): LimitBreach | MeasuredOperation =>
      limits.measure({ operationName, variables, audience });
    let measured = measure(isProven ? 'router' : audienceOf(caller.actor));
    const isForRouter = this.#options.routerProof === null && limits.asksForAlone(operationName, ROUTER_FIELDS);
    if (isForRouter) measured = measure('router');
    if (isBreach(measured)) throw this.#refused(measured);
    const asksAsRouter = ROUTER_FIELDS.some((field) => measured.rootFields.has(field));
    if (asksAsRouter && this.#options.routerProof && !isProven) throw routerOnly();
    if (!isProven) this.#spend(measured, request, caller);
    return {
      document,
      operation: measured.operation,
      kind: measured.operation?.operation ?? null,
      cost: measured.cost,
      maximumCost: measured.maximumCost,
      isRouter: isProven,
    };
  }

  #refused(found: LimitBreach): GraphQLError {
    this.#options.countRefused(found.limit);
    return tooComplex(found);
  }

  #spend(measured: MeasuredOperation, request: GraphRequest, caller: Caller): void {
    const { rateLimits } = this.#options;
    if (!rateLimits) return;
    const verbs = [...measured.rootFields.keys()]
      .filter((field) => measured.operation?.operation === 'mutation' && RATED_VERBS.has(field))
      .map((field) => ({ field, idempotencyKey: idempotencyKeyOf(measured, field, request.variables) }));
    const owner = caller.actor ? `user:${caller.actor.userId}` : `address:${caller.address}`;
    const { address, actor } = caller;
    const retryAfterMs = rateLimits.take({ caller: owner, address, hasToken: actor !== null, cost: measured.cost, verbs });
    if (retryAfterMs === null) return;
    this.#options.countRefused('rate');
    throw rateLimited(retryAfterMs);
  }
}

function audienceOf(actor: Actor | null): Audience {
  if (!actor) return 'anonymous';
  return [...actor.scopes].some((scope) => scope.startsWith('monetization:')) ? 'staff' : 'customer';
}

/** The key in `input` of a verb written at the root of the operation; null when it is elsewhere or missing. */
function idempotencyKeyOf(
  measured: MeasuredOperation,
  name: string,
  variables: Readonly<Record<string, unknown>>,
): string | null {
  const verb = measured.operation?.selectionSet.selections.find(
    (selection): selection is FieldNode => selection.kind === Kind.FIELD && selection.name.value === name,
  );
  const argument = verb?.arguments?.find((candidate) => candidate.name.value === 'input');
  const input: unknown = argument && valueFromASTUntyped(argument.value, { ...variables });
  const key: unknown = typeof input === 'object' && input !== null && 'idempotencyKey' in input ? input.idempotencyKey : null;
  return typeof key === 'string' ? key : null;
}

/** Reads the GraphQL parts of a JSON body or of a decoded WebSocket payload. @throws GraphQLError BAD_REQUEST */
export function readGraphRequest(body: unknown): GraphRequest {
  if (!isRecord(body) || typeof body['query'] !== 'string') throw badRequest(400, 'The request holds no "query" text.');
  const { operationName, variables, extensions } = body;
  return {
    source: body['query'],
    operationName: typeof operationName === 'string' ? operationName : null,
    variables: isRecord(variables) ? variables : {},
    extensions: isRecord(extensions) ? extensions : {},
  };
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
