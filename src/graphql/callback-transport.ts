/**
 * Subscriptions by HTTP callback, protocol callback/1.0 (Apollo Router, Hive Gateway): a router asks by POST and names an address of its
 * own, where each item is delivered by a POST of ours. So that nobody can make this process post where it should not, an address must
 * lie below one of a list, redirects are not followed, and nothing is delivered before the address has confirmed the subscription.
 *
 *   router ── POST, extensions.subscription ──► check ──► 204 ──► answer {"data":null} ──► next, next ... check ... next, complete
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionResult, FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import { isRecord, type Admitted, type Caller, type GraphRequest } from './admission.js';
import { badRequest, formatResult, tooManyStreams, unauthenticated, unresolvedOperation } from './errors.js';
import type { GraphMetrics } from './graph-metrics.js';
import type { LiveOperations } from './live-operations.js';

/** How often a message is sent again when the router cannot be reached. */
const RETRIES = 5;
/** Bounds of the interval between signs of life that a router may ask for; 0 is none. */
const INTERVAL_MS = { least: 500, most: 3_600_000 };
/** Ids and verifiers are a router's own texts: UUIDs, as far as is known. */
const TEXT_LIMIT = 1_000;

/** How many streams there may be, and how long things may take, milliseconds. */
export interface CallbackLimits {
  /** Streams at once in one process. */
  streams: number;
  /** The router's answer to one message. */
  answerMs: number;
  /** Before the first repeat of a message; doubled for each further one. */
  firstRetryMs: number;
  longestRetryMs: number;
}

/** Defaults of CallbackLimits. */
export const CALLBACK_LIMITS: CallbackLimits = { streams: 20_000, answerMs: 5_000, firstRetryMs: 100, longestRetryMs: 1_000 };

/** What the transport is made of. */
export interface CallbackOptions {
  /** Same origin, and the same path or one below it. */
  allowlist: readonly URL[];
  live: LiveOperations;
  metrics: GraphMetrics;
  limits: CallbackLimits;
  format: (error: unknown, requestId: string) => GraphQLFormattedError;
}

/** Whether a request wants its items delivered: by the media type it accepts. */
export function asksForCallback(accept: string | undefined): boolean {
  return /;\s*callbackspec="?1\.0"?/i.test(accept ?? '');
}

/** All deliveries of one process. */
export class CallbackTransport {
  readonly #options: CallbackOptions;
  readonly #deliveries = new Set<Delivery>();

  constructor(options: CallbackOptions) {
    this.#options = options;
  }

  /**
   * Opens a stream and begins its delivery.
   * @returns what the router's request is answered with: no data, or why there is no stream
   * @throws GraphQLError BAD_REQUEST for another operation than a subscription, an address off the list or one that does not confirm;
   * UNAUTHENTICATED without identity; SERVICE_UNAVAILABLE above the limit; what validation finds
   */
  async open(asked: GraphRequest, admitted: Admitted, caller: Caller): Promise<FormattedExecutionResult> {
    const { allowlist, live, metrics, limits, format } = this.#options;
    if (admitted.kind !== 'subscription') throw badRequest(400, 'Only subscriptions are delivered by callback.');
    if (!caller.actor) throw unauthenticated();
    const target = readTarget(asked.extensions['subscription'], allowlist);
    if (this.#deliveries.size >= limits.streams) throw tooManyStreams();
    const prepared = live.prepare(asked, admitted, caller);
    if ('errors' in prepared) throw prepared.errors[0] ?? unresolvedOperation();
    const results = await live.subscribe(prepared.args);
    const formatted = (error: unknown): GraphQLFormattedError => format(error, caller.requestId);
    if (!(Symbol.asyncIterator in results)) return formatResult(results, formatted);
    const delivery = new Delivery({ target, results, limits, metrics, format: formatted });
    this.#deliveries.add(delivery);
    const isConfirmed = await delivery.confirm();
    if (!isConfirmed) {
      this.#deliveries.delete(delivery);
      throw badRequest(400, 'The callback address did not confirm the subscription.');
    }
    metrics.operations.inc({ kind: 'subscription', transport: 'callback', outcome: 'ok' });
    void delivery.run().finally(() => this.#deliveries.delete(delivery));
    return { data: null };
  }

  /** Waits until the streams, which have ended, have told so to their routers; at most so long. */
  async stop(limitMs: number): Promise<void> {
    const ended = Promise.all([...this.#deliveries].map((delivery) => delivery.ended));
    const limit = new AbortController();
    await Promise.race([ended, delay(limitMs, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
    for (const delivery of this.#deliveries) delivery.abandon();
  }
}

/** Where a stream is delivered. */
interface Target {
  url: URL;
  id: string;
  /** Given back in every message, so that the router knows who speaks. */
  verifier: string;
  /** Longest silence, milliseconds; null for any. */
  silenceMs: number | null;
}

/**
 * Reads `extensions.subscription`. A router gives a stream up that was silent for the interval; a sign of life at its half arrives in
 * time, whatever the way costs.
 * @throws GraphQLError BAD_REQUEST
 */
function readTarget(extension: unknown, allowlist: readonly URL[]): Target {
  const given = isRecord(extension) ? extension : {};
  const url = textOf(given['callbackUrl'] ?? given['callback_url'], 'callbackUrl');
  const id = textOf(given['subscriptionId'] ?? given['subscription_id'], 'subscriptionId');
  const verifier = textOf(given['verifier'], 'verifier');
  const intervalMs = given['heartbeatIntervalMs'] ?? given['heartbeat_interval_ms'] ?? 0;
  const { least, most } = INTERVAL_MS;
  if (typeof intervalMs !== 'number' || (intervalMs !== 0 && !(intervalMs >= least && intervalMs <= most))) {
    throw badRequest(400, `extensions.subscription.heartbeatIntervalMs is 0, or ${least} to ${most}.`);
  }
  const address = URL.canParse(url) ? new URL(url) : null;
  if (!address || !allowlist.some((listed) => liesBelow(listed, address))) {
    throw badRequest(400, 'The callback address is not one of those that are allowed (SUBSCRIPTION_CALLBACK_ALLOWLIST).');
  }
  return { url: address, id, verifier, silenceMs: intervalMs === 0 ? null : intervalMs / 2 };
}

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= TEXT_LIMIT) return value;
  throw badRequest(400, `extensions.subscription.${name} is missing or too long.`);
}

/** The parser of URLs has resolved `..` by then, also where it was written with escapes; a slash written so stays part of a segment. */
function liesBelow(listed: URL, address: URL): boolean {
  if (address.origin !== listed.origin || address.username || address.password || /%2f|%5c/i.test(address.pathname)) return false;
  const folder = listed.pathname.endsWith('/') ? listed.pathname : `${listed.pathname}/`;
  return address.pathname === listed.pathname || address.pathname.startsWith(folder);
}

type Message = { action: 'check' } | { action: 'next'; payload: object } | { action: 'complete'; errors?: object[] };

/** What became of a message: the router has it, the router does not want it, or it could not be reached. */
type Outcome = 'taken' | 'refused' | 'unreachable';

interface DeliveryOptions {
  target: Target;
  results: AsyncGenerator<ExecutionResult, void, void>;
  limits: CallbackLimits;
  metrics: GraphMetrics;
  format: (error: unknown) => GraphQLFormattedError;
}

/** One stream on its way to a router. Messages go one at a time: the next item is read when the last one was taken. */
class Delivery {
  readonly #options: DeliveryOptions;
  readonly #end = Promise.withResolvers<void>();
  #isAbandoned = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Resolves when the delivery is over. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Asks the router, once, whether it waits for this stream; if not, the stream is ended. */
  async confirm(): Promise<boolean> {
    if ((await this.#post({ action: 'check' })) === 'taken') return true;
    await this.#options.results.return();
    return false;
  }

  /** Delivers until the stream ends or the router does not want it any more. */
  async run(): Promise<void> {
    const { results, format } = this.#options;
    try {
      if (await this.#deliverAll()) await this.#tell({ action: 'complete' });
    } catch (error) {
      await this.#tell({ action: 'complete', errors: [format(error)] });
    } finally {
      await results.return().catch(() => undefined); // a stream that cannot end has said so already
      this.#end.resolve();
    }
  }

  /** Sends nothing more. */
  abandon(): void {
    this.#isAbandoned = true;
    void this.#options.results.return().catch(() => undefined);
  }

  /** @returns false when the router went away or asked for no more */
  async #deliverAll(): Promise<boolean> {
    const { results, target, format } = this.#options;
    for (let item = results.next(); ;) {
      const came = await within(item, target.silenceMs);
      if (came?.done) return true;
      const message: Message = came ? { action: 'next', payload: formatResult(came.value, format) } : { action: 'check' };
      if (!(await this.#tell(message))) {
        item.catch(() => undefined); // nobody waits for it any more
        return false;
      }
      if (came) item = results.next();
    }
  }

  /** Sends a message, again where the router cannot be reached. @returns whether the router took it */
  async #tell(message: Message): Promise<boolean> {
    const { firstRetryMs, longestRetryMs } = this.#options.limits;
    let waitMs = firstRetryMs;
    for (let tries = 0; !this.#isAbandoned; tries += 1) {
      const outcome = await this.#post(message);
      if (outcome !== 'unreachable' || tries === RETRIES) return outcome === 'taken';
      await delay(waitMs);
      waitMs = Math.min(waitMs * 2, longestRetryMs);
    }
    return false;
  }

  async #post(message: Message): Promise<Outcome> {
    const { url, id, verifier } = this.#options.target;
    const outcome = await post(url, { kind: 'subscription', ...message, id, verifier }, this.#options.limits.answerMs);
    this.#options.metrics.callbacks.inc({ action: message.action, outcome });
    return outcome;
  }
}

/** Hive Gateway compares the whole media type and drops a message with any parameter in it. */
async function post(url: URL, body: object, limitMs: number): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'subscription-protocol': 'callback/1.0' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(limitMs),
    });
    await response.body?.cancel();
    return response.ok ? 'taken' : response.status >= 500 ? 'unreachable' : 'refused';
  } catch {
    return 'unreachable';
  }
}

/** What is awaited, or null when it did not come in time. */
async function within<T>(awaited: Promise<T>, limitMs: number | null): Promise<T | null> {
  if (limitMs === null) return awaited;
  const done = new AbortController();
  try {
    return await Promise.race([awaited, delay(limitMs, null, { signal: done.signal }).catch(() => null)]);
  } finally {
    done.abort();
  }
}
