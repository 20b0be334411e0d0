import { createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Faults } from './faults.js';
import type { Delivery } from './shapes.js';
import type { State } from './state.js';

/**
 * Sends events out, signed as Stripe signs them: `Stripe-Signature: t=<seconds>,v1=<HMAC-SHA256 of "t.body">`. At least once: a try
 * that no 2xx answers is made again after a growing pause, for about three days of the machine's time; what still waits is known
 * again after a restart. Nothing keeps the order of events. Source: Stripe, "Receive events in your webhook endpoint".
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Pauses after the first, second... failed try. */
const RETRY_PAUSES_MS: readonly number[] = [
  SECOND,
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  24 * HOUR,
  24 * HOUR,
];

/** Sent at a time; a slow receiver holds up no request of the API. */
const MAX_IN_FLIGHT = 16;
const ANSWER_WITHIN_MS = 20 * SECOND;

/** Longest that a reordered event is held back when no other follows it. */
const REORDER_HOLD_MS = 2 * SECOND;

/** The value of the header Stripe-Signature. */
function signatureHeader(body: string, secret: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** The deliveries of one stand-in. */
export class WebhookSender {
  readonly #state: State;
  readonly #faults: Faults;
  readonly #ready: string[] = [];
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Held back until another event has been sent. */
  readonly #held = new Set<string>();
  readonly #agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
  #inFlight = 0;
  #isStopped = false;

  constructor(state: State, faults: Faults) {
    this.#state = state;
    this.#faults = faults;
  }

  /** Takes up what waited when the process ended. */
  resume(): void {
    for (const delivery of this.#state.deliveries.oldestFirst()) if (delivery.status === 'waiting') this.#wait(delivery);
  }

  /** Sends deliveries just made, or does with them what a fault asks for. */
  accept(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      const fault = this.#faults.take(delivery.eventType, [
        'webhook_lose',
        'webhook_delay',
        'webhook_reorder',
        'webhook_duplicate',
      ]);
      switch (fault?.kind) {
        case 'webhook_lose':
          this.#record({ ...delivery, status: 'lost', nextAt: null });
          break;
        case 'webhook_delay':
          this.#later(delivery.id, fault.ms ?? 0);
          break;
        case 'webhook_reorder':
          this.#held.add(delivery.id);
          this.#later(delivery.id, REORDER_HOLD_MS);
          break;
        case 'webhook_duplicate':
          this.#ready.push(delivery.id, delivery.id);
          break;
        default:
          this.#ready.push(delivery.id);
      }
    }
    this.#pump();
  }

  /** Tries everything that waits, now. */
  flush(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    const waiting = [...this.#timers.keys()];
    this.#timers.clear();
    this.#held.clear();
    this.#ready.push(...waiting);
    this.#pump();
  }

  /** Sends no more; what waits stays written down. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#agents['http:'].destroy();
    this.#agents['https:'].destroy();
  }

  #wait(delivery: Delivery): void {
    this.#later(delivery.id, Math.max(0, (delivery.nextAt ?? 0) - Date.now()));
  }

  #later(id: string, ms: number): void {
    clearTimeout(this.#timers.get(id));
    const timer = setTimeout(
      () => {
        this.#timers.delete(id);
        this.#held.delete(id);
        this.#ready.push(id);
        this.#pump();
      },
      Math.min(ms, 2 ** 31 - 1),
    );
    this.#timers.set(id, timer);
  }

  #pump(): void {
    while (!this.#isStopped && this.#inFlight < MAX_IN_FLIGHT) {
      const id = this.#ready.shift();
      if (id === undefined) return;
      const delivery = this.#state.deliveries.get(id);
      const event = delivery && this.#state.events.get(delivery.event);
      const endpoint = [...this.#state.standingEndpoints, ...this.#state.endpoints.oldestFirst()].find(
        ({ url }) => url === delivery?.url,
      );
      if (!delivery || !event || !endpoint) continue;
      this.#inFlight += 1;
      const body = this.#state.read(event.text);
      const signature = signatureHeader(body, endpoint.secret, Math.floor(this.#state.now / 1000));
      void this.#post(endpoint.url, body, signature).then((status) => {
        this.#inFlight -= 1;
        this.#settle(id, status);
        this.#pump();
      });
    }
  }

  /** Resolves with the answer's HTTP status, or null when none came. */
  #post(url: string, body: string, signature: string): Promise<number | null> {
    return new Promise((resolve) => {
      const isSecure = url.startsWith('https:');
      const request = (isSecure ? https : http).request(url, {
        method: 'POST',
        agent: this.#agents[isSecure ? 'https:' : 'http:'],
        timeout: ANSWER_WITHIN_MS,
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          'stripe-signature': signature,
          'user-agent': 'Stripe/1.0 (sandbox stand-in)',
        },
      });
      request.on('response', (response) => {
        response.resume();
        response.on('close', () => resolve(response.statusCode ?? null));
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(null));
      request.end(body);
    });
  }

  #settle(id: string, status: number | null): void {
    const delivery = this.#state.deliveries.get(id);
    if (this.#isStopped || !delivery) return;
    for (const held of this.#held) {
      if (held !== id) this.#later(held, 0);
    }
    const attempts = delivery.attempts + 1;
    const isDelivered = delivery.status === 'delivered' || (status !== null && status >= 200 && status < 300);
    const pause = RETRY_PAUSES_MS[attempts - 1];
    const nextAt = isDelivered || pause === undefined ? null : Date.now() + pause;
    const next: Delivery = {
      ...delivery,
      attempts,
      lastStatus: status,
      nextAt,
      status: isDelivered ? 'delivered' : nextAt === null ? 'given_up' : 'waiting',
    };
    this.#record(next);
    if (next.status === 'waiting') this.#wait(next);
  }

  #record(delivery: Delivery): void {
    this.#state.run({ requestId: null, idempotencyKey: null }, (unit) => unit.put(this.#state.deliveries, delivery));
  }
}
