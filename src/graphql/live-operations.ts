/** Subscriptions, whatever carries them: checked, started, and each item resolved in a context of its own. */
import {
  createSourceEventStream,
  execute,
  type GraphQLError,
  NoSchemaIntrospectionCustomRule,
  specifiedRules,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
} from 'graphql';
import type { GraphContext } from '../resolvers/context.js';
import type { Admitted, Caller, GraphRequest } from './admission.js';
import { badRequest, invalidDocument, unresolvedOperation } from './errors.js';

/** How contexts come to be: one for each request, and one for each item of a stream, so that nothing read earlier is shown again. */
export type ContextFactory = (caller: Caller, isRouter: boolean) => GraphContext;

/** What is needed to start operations. */
export interface LiveOptions {
  schema: GraphQLSchema;
  makeContext: ContextFactory;
  /** Whether documents may ask for the schema. */
  allowsIntrospection: boolean;
  /** Queries and mutations too; for the playground only. */
  allowsEverything: boolean;
}

/** An operation ready to run, or why it will not. */
export type Prepared = { readonly args: ExecutionArgs } | { readonly errors: readonly GraphQLError[] };

/** Starts operations that are not plain HTTP requests. */
export class LiveOperations {
  readonly #options: LiveOptions;
  readonly #renewals = new WeakMap<object, () => GraphContext>();
  /** Documents that fit the schema. A client that comes back brings the one that its kind always brings. */
  readonly #valid = new WeakSet<DocumentNode>();

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Validates an admitted operation; the errors, if any, are for the client. */
  prepare(request: GraphRequest, admitted: Admitted, caller: Caller): Prepared {
    const { schema, makeContext, allowsIntrospection, allowsEverything } = this.#options;
    if (!this.#valid.has(admitted.document)) {
      const rules = allowsIntrospection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
      const invalid = validate(schema, admitted.document, rules);
      if (invalid.length > 0) return { errors: invalid.map(invalidDocument) };
      this.#valid.add(admitted.document);
    }
    if (admitted.kind === null) return { errors: [unresolvedOperation()] };
    if (admitted.kind !== 'subscription' && !allowsEverything) {
      return { errors: [badRequest(400, 'Only subscriptions are served here: send queries and mutations by HTTP POST.')] };
    }
    const contextValue = makeContext(caller, admitted.isRouter);
    this.#renewals.set(contextValue, () => makeContext(caller, admitted.isRouter));
    const { operationName, variables } = request;
    return { args: { schema, document: admitted.document, operationName, variableValues: variables, contextValue } };
  }

  /** Starts a prepared subscription. Items are pulled: nothing is read for a client that does not take what it has. */
  async subscribe(args: ExecutionArgs): Promise<AsyncGenerator<ExecutionResult, void, void> | ExecutionResult> {
    const source = await createSourceEventStream(args);
    if (!(Symbol.asyncIterator in source)) return source;
    const renew = this.#renewals.get(Object(args.contextValue));
    const items = source[Symbol.asyncIterator]();
    const end = async (): Promise<IteratorResult<ExecutionResult, void>> => {
      await items.return?.();
      return { done: true, value: undefined };
    };
    const results: AsyncGenerator<ExecutionResult, void, void> = {
      next: async () => {
        const { done, value } = await items.next();
        if (done) return { done: true, value: undefined };
        return { done: false, value: await execute({ ...args, rootValue: value, contextValue: renew?.() ?? args.contextValue }) };
      },
      return: end,
      throw: async (error: unknown) => {
        await end();
        throw error;
      },
      [Symbol.asyncDispose]: async () => void (await end()),
      [Symbol.asyncIterator]: () => results,
    };
    return results;
  }
}
