import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { Logger } from '../platform/log.js';
import type { GraphContext } from '../resolvers/context.js';
import { RETRY_AFTER_S, statusWithoutData } from './errors.js';
import { LIMITS } from './limits.js';
import type { PersistedQueries } from './persisted-queries.js';
import type { RequestScope } from './request-scope.js';

/** Each error of a document is looked up in it and formatted: a document that is wrong throughout is told this often. */
const ERRORS_TOLD = 20;

/** What the HTTP executor needs. */
export interface ApolloOptions {
  schema: GraphQLSchema;
  persisted: PersistedQueries;
  scope: RequestScope;
  allowsIntrospection: boolean;
  logger: Logger;
  format: (error: unknown, requestId: string) => GraphQLFormattedError;
}

/** Apollo Server as executor of HTTP operations: no page, no reporting, no signals; the process around it decides about its life. */
export function makeApollo({
  schema,
  persisted,
  scope,
  allowsIntrospection,
  logger,
  format,
}: ApolloOptions): ApolloServer<GraphContext> {
  return new ApolloServer<GraphContext>({
    schema,
    introspection: allowsIntrospection,
    includeStacktraceInErrorResponses: false,
    hideSchemaDetailsFromClientErrors: true,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: LIMITS.tokens },
    validationOptions: { maxErrors: ERRORS_TOLD },
    persistedQueries: { cache: persisted },
    logger,
    formatError: (_formatted, error) => format(error, scope.current?.requestId ?? ''),
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      finishingTouches(scope),
    ],
  });
}

/** Status, outcome and asked-for extensions of an answer, once it is known. */
function finishingTouches(scope: RequestScope): ApolloServerPlugin<GraphContext> {
  return {
    async requestDidStart() {
      return {
        async willSendResponse({ response, contextValue }) {
          if (response.body.kind !== 'single') return;
          const result = response.body.singleResult;
          const codes = (result.errors ?? []).map(({ extensions }) => extensions?.['code']);
          const isEmpty = Object.values(result.data ?? {}).every((field) => field === null);
          const status = isEmpty ? statusWithoutData(codes) : null;
          if (status !== null) response.http.status ??= status;
          if (status === 503) response.http.headers.set('retry-after', String(RETRY_AFTER_S));
          const state = scope.current;
          if (!state) return;
          state.outcome = codes.length === 0 ? 'ok' : isEmpty ? 'failed' : 'partial';
          const extensions = {
            ...result.extensions,
            ...(state.cost && { cost: { requested: state.cost.cost, maximum: state.cost.maximumCost } }),
            ...(contextValue.replay.isReplay && { idempotentReplay: true }),
          };
          if (Object.keys(extensions).length > 0) result.extensions = extensions;
        },
      };
    },
  };
}
