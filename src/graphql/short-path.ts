/**
 * The short path for reads. Apollo Server is the only definition of what an answer is; a query that it has parsed, validated and answered
 * without an error is known from then on, and the next ones like it are answered by a prepared query, byte for byte alike. Admission,
 * limits and metrics have happened before and are the same for both. What the short path does not take, or cannot answer without an error,
 * goes to Apollo Server.
 */
import type { GraphQLSchema, OperationDefinitionNode } from 'graphql';
import type { GraphContext } from '../resolvers/context.js';
import { isRecord, type Admitted } from './admission.js';
import { QueryCompiler, type PreparedQuery } from './prepared-query.js';

/** Of so many answers of one query ... */
const WINDOW_COUNT = 100;
/** ... so many may have been done again by Apollo Server: what fails is run twice, which is dearer than no short path at all. */
const MOST_REDONE = 20;
/** Answers without an error that such a query needs from Apollo Server to come back. */
const CLEAN_TO_RETURN_COUNT = 100;

/** Media types that Apollo Server answers with JSON; for others it may choose another type. */
const ACCEPTS_JSON = /^(\*\/\*|application\/json) *(,|$)/;

/** An answer over HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly [name: string, value: string][];
  readonly body: string;
  readonly outcome: 'ok' | 'partial' | 'failed';
}

/** `answered` from here; `redone` by Apollo Server after a failure here; `passed` on at once; `differed` from Apollo Server's answer. */
export type ShortPathOutcome = 'answered' | 'redone' | 'passed' | 'differed';

/** What the short path is made of. */
export interface ShortPathOptions {
  /** As it was built: no request was answered with it yet. */
  schema: GraphQLSchema;
  /** Off: everything is passed on. */
  isOn: boolean;
  /** Each so-many-th answer is given by both and compared; null for none. */
  compareEvery: number | null;
  count: (outcome: ShortPathOutcome) => void;
  /** Told the query of two answers that differ; it is passed on from then on. */
  reportDifference: (query: string) => void;
}

/** An admitted request. */
export interface AdmittedRequest {
  admitted: Admitted;
  /** The body of a POST of JSON; undefined for anything else. */
  body: unknown;
  accept: string | undefined;
  /** Whether the answer must hold more than its data. */
  wantsExtensions: boolean;
  makeContext(): GraphContext;
  /** Answers by Apollo Server. */
  answerInFull(): Promise<HttpAnswer>;
}

interface KnownQuery {
  readonly source: string;
  readonly prepared: PreparedQuery;
  /** Answers without an error that Apollo Server has to give first. */
  cleanMissingCount: number;
  /** Of the present window. */
  triedCount: number;
  redoneCount: number;
}

/** Answers queries without Apollo Server where it can. What it knows of a query goes when admission forgets its document. */
export class ShortPath {
  readonly #options: ShortPathOptions;
  readonly #compiler: QueryCompiler;
  /** null for an operation that is never taken. */
  readonly #queries = new WeakMap<OperationDefinitionNode, KnownQuery | null>();
  #untilComparisonCount: number;

  constructor(options: ShortPathOptions) {
    this.#options = options;
    this.#compiler = new QueryCompiler(options.schema);
    this.#untilComparisonCount = options.compareEvery ?? Number.POSITIVE_INFINITY;
  }

  /** Answers by whichever path. @throws what Apollo Server throws */
  async answer(request: AdmittedRequest): Promise<HttpAnswer> {
    const query = this.#options.isOn ? this.#find(request.admitted) : null;
    if (!query || query.cleanMissingCount > 0 || !isTaken(request)) {
      this.#options.count('passed');
      const answer = await request.answerInFull();
      if (query && query.cleanMissingCount > 0 && answer.outcome === 'ok') query.cleanMissingCount -= 1;
      return answer;
    }
    const short = await run(query, request);
    this.#judge(query, short !== null);
    if (!short) {
      this.#options.count('redone');
      return request.answerInFull();
    }
    this.#untilComparisonCount -= 1;
    if (this.#untilComparisonCount <= 0) return this.#compare(query, short, request);
    this.#options.count('answered');
    return short;
  }

  async #compare(query: KnownQuery, short: HttpAnswer, request: AdmittedRequest): Promise<HttpAnswer> {
    this.#untilComparisonCount = this.#options.compareEvery ?? Number.POSITIVE_INFINITY;
    const full = await request.answerInFull();
    // Rows may have changed between the two: a difference is one only if it is still there the other way round.
    const isSame = isSameAnswer(short, full) || isSameAnswer(await run(query, request), full);
    this.#options.count(isSame ? 'answered' : 'differed');
    if (isSame) return full;
    if (request.admitted.operation) this.#queries.set(request.admitted.operation, null);
    this.#options.reportDifference(query.source);
    return full;
  }

  #judge(query: KnownQuery, isAnswered: boolean): void {
    query.triedCount += 1;
    if (!isAnswered) query.redoneCount += 1;
    if (query.redoneCount > MOST_REDONE) query.cleanMissingCount = CLEAN_TO_RETURN_COUNT;
    if (query.triedCount < WINDOW_COUNT && query.redoneCount <= MOST_REDONE) return;
    query.triedCount = 0;
    query.redoneCount = 0;
  }

  #find({ document, operation }: Admitted): KnownQuery | null {
    if (!operation) return null;
    const known = this.#queries.get(operation);
    if (known !== undefined) return known;
    const prepared = this.#compiler.prepare(document, operation);
    const source = operation.loc?.source.body ?? '';
    const query = prepared && { source, prepared, cleanMissingCount: 1, triedCount: 0, redoneCount: 0 };
    this.#queries.set(operation, query);
    return query;
  }
}

async function run({ prepared }: KnownQuery, request: AdmittedRequest): Promise<HttpAnswer | null> {
  const answer = await prepared.run(variablesIn(request.body), readOnly(request.makeContext()));
  return (
    answer && {
      status: 200,
      headers: [
        ['cache-control', answer.policy.header],
        ['content-type', 'application/json; charset=utf-8'],
      ],
      body: `${JSON.stringify({ data: answer.data })}\n`,
      outcome: 'ok',
    }
  );
}

/** Whether the request is of the plain form whose answer depends on the query, its variables and the caller alone. */
function isTaken({ body, accept, wantsExtensions }: AdmittedRequest): boolean {
  if (wantsExtensions || !isRecord(body) || (accept !== undefined && !ACCEPTS_JSON.test(accept))) return false;
  const { query, variables, operationName, extensions } = body;
  const isPlain = isRecordOrMissing(variables) && isRecordOrMissing(extensions) && isTextOrMissing(operationName);
  if (!isPlain || !isRecord(extensions) || !('persistedQuery' in extensions)) return isPlain;
  // A document sent with its hash is checked against it, and kept, by Apollo Server.
  const { persistedQuery } = extensions;
  return query === undefined && isRecord(persistedQuery) && persistedQuery['version'] === 1;
}

function isRecordOrMissing(value: unknown): boolean {
  return value === undefined || value === null || isRecord(value);
}

function isTextOrMissing(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string';
}

function variablesIn(body: unknown): Readonly<Record<string, unknown>> {
  const variables = isRecord(body) ? body['variables'] : undefined;
  return isRecord(variables) ? variables : {};
}

/** A read may be done twice, so it must not do anything: one that tries fails, and Apollo Server answers it once. */
function readOnly(context: GraphContext): GraphContext {
  return Object.assign(context, NO_COMMANDS);
}

const NO_COMMANDS: Pick<GraphContext, 'commands'> = {
  commands: new Proxy({} as GraphContext['commands'], {
    get: () => {
      throw new Error('The short path only reads.');
    },
  }),
};

function isSameAnswer(one: HttpAnswer | null, other: HttpAnswer): boolean {
  const shape = ({ status, headers, body }: HttpAnswer): string => JSON.stringify([status, headers, body]);
  return one !== null && shape(one) === shape(other);
}
