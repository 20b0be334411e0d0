/** What every use case that moves money is given, and the few things they all do alike. */
import { deriveId, makeId, type Id, type IdPrefix } from '../domain/ids.js';
import { sha256 } from '../platform/json.js';
import { ASK_GUARD_MS, SEND_GUARD_MS } from '../domain/payment/schedule.js';
import type { Scope, Transactor } from '../store/unit-of-work.js';
import type { PaymentProvider } from '../ports/provider.js';
import type { Actor, Refusal, RefusalCode } from './contract.js';
import type { Quotes } from './quotes.js';

/** Counted by the process's metrics; see docs/operations.md for what each means. */
export interface CashierEvents {
  /** A provider call ended: operation, class of its answer. */
  providerCalled(operation: string, answer: string): void;
  /** A finding was opened: something a person must look at. */
  findingOpened(kind: string, severity: number): void;
  /** An attempt or refund reached another status. */
  statusChanged(what: 'charge' | 'refund' | 'dispute', status: string): void;
  /** A webhook was stored, applied, put off or parked. */
  webhook(outcome: 'stored' | 'known' | 'forged' | 'applied' | 'ignored' | 'retried' | 'parked' | 'missed'): void;
}

/** The cashier: a database pool under one role, one provider account, and the settings of this cell. */
export interface Cashier {
  tx: Transactor;
  provider: PaymentProvider;
  /** Name of the cell (REGION); part of every key and of the metadata at the provider. */
  env: string;
  /** Milliseconds that only ever grow, whatever is done to the clock. */
  monotonicMs(): number;
  /** Resolves after so many milliseconds of real time. */
  pause(ms: number): Promise<void>;
  /** The secret in the code of a gift: the same at each call, and nobody guesses it. */
  giftSecret(giftId: string): string;
  /** Where a user comes back to after a redirect when the client names no page. */
  defaultReturnUrl: string;
  /** Whether a client's return address is on the allow-list. */
  isReturnUrlAllowed(url: string): boolean;
  /** The number by which others see that this worker lives (store/presence.ts); null or left out: nobody can see it. */
  presence?: () => number | null;
  events: CashierEvents;
  /** Signs quotes, and knows its own again. */
  quotes: Quotes;
}

/** A new id in a bucket, made from the process's clock and randomness. */
export function newId<K extends IdPrefix>(cashier: Pick<Cashier, 'tx'>, kind: K, bucket: number): Id<K> {
  return makeId(kind, bucket, cashier.tx.clock.now().getTime(), cashier.tx.random.bytes(8));
}

/** The id of a finding: the same for the same kind and subject on one day, so that a repeat meets the row that is there. */
export function findingId(kind: string, subjectId: string, at: Date): string {
  const day = Math.floor(at.getTime() / DAY_MS) * DAY_MS;
  return deriveId('txn', subjectId, sha256(`${kind} ${subjectId}`).toString('hex'), day);
}

const DAY_MS = 86_400_000;

/** The scope of a unit of work on somebody's own behalf. */
export function own(userId: string): Scope {
  return { userId, isStaff: false };
}

/** The scope of a unit of work that belongs to no user. */
export const SYSTEM: Scope = { userId: 'system', isStaff: false };

/** The same for many rows at once, each taken by its key. */
export const BATCH: Scope = { ...SYSTEM, isBatch: true };

/** The scope of a unit of work of staff: all rows, each access audited. */
export function staff(actor: Actor): Scope {
  return { userId: actor.userId, isStaff: true };
}

/**
 * Whether a claim is young enough for its call. The reading is taken at the end of the claiming unit of work: whatever held the process up
 * since, its commit included, counts. Too late, nothing is sent: by the time it arrived the lease might be somebody else's.
 */
export function mayStillSend(cashier: Cashier, claimedAtMs: number): boolean {
  return cashier.monotonicMs() - claimedAtMs <= SEND_GUARD_MS;
}

/**
 * Whether a claim still covers a question to the provider: an answer to one begun now comes before the lease ends. A process that was held up
 * longer asks nothing and decides nothing; whoever claims next begins afresh.
 */
export function mayStillAsk(cashier: Cashier, claimedAtMs: number): boolean {
  return cashier.monotonicMs() - claimedAtMs <= ASK_GUARD_MS;
}

/** A refusal. */
export function refusal(code: RefusalCode, message: string, field: string[] | null = null, more: Partial<Refusal> = {}): Refusal {
  return { code, message, field, ...more };
}

/** Where the provider should send the user back; a refusal when the client's address is not allowed. */
export function returnUrlOf(cashier: Cashier, asked: string | null): string | Refusal {
  if (asked === null) return cashier.defaultReturnUrl;
  return cashier.isReturnUrlAllowed(asked)
    ? asked
    : refusal('INVALID_INPUT', 'This return address is not on the allow-list.', ['input', 'returnUrl']);
}
