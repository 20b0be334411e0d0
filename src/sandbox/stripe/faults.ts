import { z } from 'zod';
import type { Decline } from './cards.js';

/**
 * Faults on request. "Before" and "after" mean before or after the effect took place.
 *
 * - `timeout_before`, `timeout_after`: no answer, the connection stays open until the client gives up; after: the effect happened and
 *   is kept under the key
 * - `error_before`, `error_after`: HTTP 500, kept under the key; after: the effect happened
 * - `reset`: the connection breaks before the effect
 * - `rate_limit`: 429, nothing happened
 * - `slow`: everything as usual, `ms` later; meanwhile the key is in use
 * - `decline`: the charge, setup or attaching is declined with `code`, `decline_code` and the rest
 * - `processing`: a payment is confirmed but stays `processing`; it is charged a minute later by the clock, or by
 *   `POST /sandbox/advance`
 * - `webhook_duplicate`, `webhook_reorder`, `webhook_delay` (by `ms`), `webhook_lose`: for these, `operation` names a type of event
 */
const KINDS = [
  'timeout_before',
  'timeout_after',
  'error_before',
  'error_after',
  'rate_limit',
  'reset',
  'slow',
  'decline',
  'processing',
  'webhook_duplicate',
  'webhook_reorder',
  'webhook_delay',
  'webhook_lose',
] as const;
type FaultKind = (typeof KINDS)[number];

/** A fault as asked for: `count` times (1 unless told), or each time with a probability. */
export const faultRequest = z
  .strictObject({
    operation: z.string().min(1).default('*'),
    kind: z.enum(KINDS),
    count: z.int().positive().optional(),
    probability: z.number().min(0).max(1).optional(),
    ms: z.int().nonnegative().max(3_600_000).optional(),
    code: z.string().min(1).optional(),
    decline_code: z.string().min(1).optional(),
    advice_code: z.enum(['confirm_card_data', 'do_not_try_again', 'try_again_later']).optional(),
    network_decline_code: z.string().min(1).optional(),
    network_advice_code: z.string().min(1).optional(),
    message: z.string().min(1).optional(),
  })
  .refine((fault) => fault.count === undefined || fault.probability === undefined, {
    message: 'give count or probability, not both',
  })
  .refine((fault) => (fault.kind !== 'slow' && fault.kind !== 'webhook_delay') || fault.ms !== undefined, {
    message: 'ms is needed for this kind',
  });

/** A fault in force. */
type Fault = z.infer<typeof faultRequest>;

/** The faults in force. They are not kept: a restart clears them. */
export class Faults {
  #faults: { fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#faults.push({ fault, left: fault.probability === undefined ? (fault.count ?? 1) : Infinity });
  }

  clear(): void {
    this.#faults = [];
  }

  /** Faults still in force, with how often each will strike yet (null: by chance). */
  list(): (Fault & { left: number | null })[] {
    return this.#faults.map(({ fault, left }) => ({ ...fault, left: Number.isFinite(left) ? left : null }));
  }

  /** The first fault of these kinds that strikes now; one whose count is used up is gone. */
  take(operation: string, kinds: readonly FaultKind[]): Fault | null {
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (!kinds.includes(fault.kind) || !(fault.operation === '*' || snakeCase(fault.operation) === operation)) continue;
      if (fault.probability !== undefined && Math.random() >= fault.probability) continue;
      entry.left -= 1;
      if (entry.left <= 0) this.#faults = this.#faults.filter((each) => each !== entry);
      return fault;
    }
    return null;
  }
}

/** paymentIntents.create and payment_intents.create name the same operation. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The decline that a fault asks for. */
export function declineOf(fault: Fault): Decline {
  return {
    code: fault.code ?? 'card_declined',
    declineCode: fault.decline_code ?? 'generic_decline',
    message: fault.message ?? 'Your card was declined.',
    adviceCode: fault.advice_code ?? null,
    networkDeclineCode: fault.network_decline_code ?? null,
    networkAdviceCode: fault.network_advice_code ?? null,
  };
}
