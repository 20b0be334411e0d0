import type { Clock } from '../ports/clock.js';
import type { ProviderName } from '../ports/provider.js';
import type { Actor, Commands } from '../usecases/contract.js';
import type { Reads } from './loaders/reads.js';

/** What every resolver is given; made anew for each request (on a live stream: for each item sent). */
export interface GraphContext {
  /** Who asks, from a verified token; null without one. */
  readonly actor: Actor | null;
  /** The same as in the answer's x-request-id. */
  readonly requestId: string;
  /** The verbs. */
  readonly commands: Commands;
  /** The queries, batched and kept for this request alone. */
  readonly reads: Reads;
  /** The present instant, as the whole process sees it. */
  readonly clock: Clock;
  /** Keys that clients' SDKs need beside a clientSecret; null where a provider needs none. */
  readonly publishableKeys: Readonly<Record<ProviderName, string | null>>;
  /** The request carries the router's proof. */
  readonly isRouter: boolean;
  /** Set to true when a command found its idempotency key used before; the answer then says `extensions.idempotentReplay: true`. */
  readonly replay: { isReplay: boolean };
}
