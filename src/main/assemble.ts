/** Builds a cashier from its parts. Reading this and the processes' own files top to bottom is the architecture's picture. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { CALL_TIMEOUT_MS } from '../domain/payment/schedule.js';
import { giftSecretText } from '../domain/subscription/gift-code.js';
import { SandboxClock, SystemClock } from '../platform/clock.js';
import { MessageKey } from '../platform/hmac.js';
import { isListedOrigin } from '../platform/origins.js';
import { SystemRandom } from '../platform/random.js';
import type { Settings } from '../platform/settings.js';
import { Turns } from '../platform/turns.js';
import type { Clock } from '../ports/clock.js';
import { stripeProvider } from '../providers/stripe/adapter.js';
import type { Wake } from '../store/outbox.store.js';
import type { Cashier, CashierEvents } from '../usecases/cashier.js';
import { Quotes } from '../usecases/quotes.js';

/** Row id of the merchant account at Stripe, as the catalogue's file gives it. */
export const STRIPE_ACCOUNT_ID = 1;

/** Longest wait for the connection that a new command begins with: what is left of a mutation's thirty seconds is enough to end it. */
const BEGIN_LIMIT_MS = 20_000;

/** A clock with the reading that the send guard goes by. */
interface ProcessClock extends Clock {
  /** Milliseconds that only ever grow, whatever is done to the clock. */
  monotonicMs(): number;
}

/** The process's clock: the machine's, or in the sandbox the one that can be moved. */
export function makeClock(settings: Pick<Settings, 'isSandbox' | 'dataDir' | 'sandboxClockOffsetMs'>): ProcessClock {
  return settings.isSandbox ? new SandboxClock(settings.dataDir, settings.sandboxClockOffsetMs) : new SystemClock();
}

/** The cashier of one process over a pool. `onCommitted` wakes whoever waits for a user's feed in this process. */
export function makeCashier(
  settings: Settings,
  parts: { source: DataSource; poolSize: number; clock: ProcessClock; events: CashierEvents; onCommitted(wakes: Wake[]): void },
): Cashier {
  const giftKey = new MessageKey(settings.cursorSecret.reveal());
  return {
    tx: {
      source: parts.source,
      clock: parts.clock,
      random: new SystemRandom(),
      turns: new Turns(parts.poolSize, BEGIN_LIMIT_MS),
      onCommitted: (wakes) => parts.onCommitted(wakes),
    },
    provider: stripeProvider({
      apiKey: settings.stripe.apiKey.reveal(),
      webhookSecrets: settings.stripe.webhookSecrets.map((secret) => secret.reveal()),
      publishableKey: settings.stripe.publishableKey,
      apiBase: settings.stripe.apiBase.href,
      accountId: STRIPE_ACCOUNT_ID,
      timeoutMs: CALL_TIMEOUT_MS,
    }),
    env: settings.region,
    monotonicMs: () => parts.clock.monotonicMs(),
    pause: (ms) => pause(ms),
    // The same secret signs cursors: what is signed says what it is.
    giftSecret: (giftId) => giftSecretText(giftKey.sign(Buffer.from(`gift code ${giftId}`))),
    defaultReturnUrl: defaultReturnUrl(settings),
    isReturnUrlAllowed: (url) => isListedOrigin(settings.returnOrigins, url),
    events: parts.events,
    quotes: new Quotes(settings.cursorSecret.reveal()),
  };
}

/** The playground, or, where there is none, the first page of the allow-list. */
function defaultReturnUrl(settings: Settings): string {
  const [first] = settings.returnOrigins.origins;
  return first ?? `http://127.0.0.1:${settings.port}/`;
}
