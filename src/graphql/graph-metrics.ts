import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is counted and timed about the graph. Labels come from fixed lists: never a user's id, a field or a text from a request. */
export interface GraphMetrics {
  /** Operations by kind, transport and outcome: ok, partial (errors beside data), failed, refused (before execution). */
  operations: Counter<'kind' | 'transport' | 'outcome'>;
  /** Time from reading a request to its answer; subscriptions are not timed. */
  operationSeconds: Histogram<'kind'>;
  /** Requests by what the short path did: answered, redone by Apollo Server, passed to it at once, differed from it. */
  shortPath: Counter<'outcome'>;
  errors: Counter<'code'>;
  /** Operations refused by a limit; `rate` for limits over time. */
  refusedByLimit: Counter<'limit'>;
  /** Requests whose document is not in the list of trusted documents. */
  untrusted: Counter;
  streamsOpen: Gauge;
  feedItems: Counter<'type'>;
  socketsOpen: Gauge;
  /** Bytes that wait for clients to read. */
  socketsUnsent: Gauge;
  socketCloses: Counter<'code'>;
  /** Messages to routers that have streams delivered, by action and outcome: taken, refused, unreachable. */
  callbacks: Counter<'action' | 'outcome'>;
  cardDataBlocked: Counter<'surface'>;
  authFailures: Counter<'transport'>;
}

/** What is asked at each scrape. */
export interface GraphCounts {
  openStreams: () => number;
  openSockets: () => number;
  unsentBytes: () => number;
}

/** Registers the metrics of the graph. */
export function graphMetrics(registry: Registry, counts: GraphCounts): GraphMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, count: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(count());
      },
    });
  return {
    operations: new Counter({
      name: 'graphql_operations_total',
      help: 'GraphQL operations by kind, transport and outcome (ok, partial, failed, refused).',
      labelNames: ['kind', 'transport', 'outcome'],
      registers,
    }),
    operationSeconds: new Histogram({
      name: 'graphql_operation_seconds',
      help: 'Time from reading a GraphQL request to its answer.',
      labelNames: ['kind'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    shortPath: new Counter({
      name: 'graphql_short_path_total',
      help: 'Requests by what the short path did: answered, redone by Apollo Server, passed to it at once, differed from it.',
      labelNames: ['outcome'],
      registers,
    }),
    errors: new Counter({
      name: 'graphql_errors_total',
      help: 'Errors shown to clients, by code.',
      labelNames: ['code'],
      registers,
    }),
    refusedByLimit: new Counter({
      name: 'graphql_limit_refused_total',
      help: 'Operations refused by a limit; rate = a limit over time.',
      labelNames: ['limit'],
      registers,
    }),
    untrusted: new Counter({
      name: 'graphql_untrusted_documents_total',
      help: 'Requests whose document is not in the list of trusted documents.',
      registers,
    }),
    streamsOpen: gauge('graphql_streams_open', 'Live streams open in this process.', counts.openStreams),
    feedItems: new Counter({
      name: 'feed_items_sent_total',
      help: 'Items sent on live streams, by type.',
      labelNames: ['type'],
      registers,
    }),
    socketsOpen: gauge('graphql_sockets_open', 'WebSocket connections open in this process.', counts.openSockets),
    socketsUnsent: gauge('graphql_sockets_unsent_bytes', 'Bytes that wait for WebSocket clients to read.', counts.unsentBytes),
    socketCloses: new Counter({
      name: 'graphql_socket_closes_total',
      help: 'WebSocket connections ended, by close code.',
      labelNames: ['code'],
      registers,
    }),
    callbacks: new Counter({
      name: 'graphql_callbacks_total',
      help: 'Messages to routers that have streams delivered, by action and outcome (taken, refused, unreachable).',
      labelNames: ['action', 'outcome'],
      registers,
    }),
    cardDataBlocked: new Counter({
      name: 'pan_blocked_total',
      help: 'Requests refused because they held card data, by the part of the request that held it.',
      labelNames: ['surface'],
      registers,
    }),
    authFailures: new Counter({
      name: 'auth_failures_total',
      help: 'Requests with a bad or expired token, by transport.',
      labelNames: ['transport'],
      registers,
    }),
  };
}
