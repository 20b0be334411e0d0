/**
 * One runner for all commands that take a client's idempotency key. The key is claimed first, with the id its result will have, in the
 * same unit of work as the result itself: so a key never waits for a settler, and a repeat never decides again.
 */
import { canonicalJson, sha256 } from '../platform/json.js';
import { claimKey, keepRefusals, type KeyClaim } from '../store/idempotency.store.js';
import { beginInTx, type Scope, type UnitOfWork } from '../store/unit-of-work.js';
import type { Cashier } from './cashier.js';
import { refusal } from './cashier.js';
import type { Refusal, RefusalCode } from './contract.js';

/** Keys are kept 30 days. */
const KEY_LIFE_MS = 30 * 86_400_000;

/** Refusals that leave no trace: nothing was begun, and the same key may be used again. */
const NOT_KEPT: ReadonlySet<RefusalCode> = new Set(['INVALID_INPUT', 'RATE_LIMITED', 'PROVIDER_UNAVAILABLE']);

/** How a command ended: its refusals, or the id of its result. */
export interface CommandEnd<ResultId extends string> {
  resultId: ResultId | null;
  refusals: Refusal[];
  isReplay: boolean;
}

/** A command as the runner sees it. */
export interface KeyedCommand<ResultId extends string> {
  scope: Scope;
  /** Name of the verb. */
  operation: string;
  key: string;
  /** Everything of the input that matters, without the key. */
  input: object;
  resultType: KeyClaim['resultType'];
  /** Id of the row this command makes, or acts on. */
  resultId: ResultId;
  /** Decides and writes; refusals undo what they must by coming before any write. */
  work(uow: UnitOfWork): Promise<Refusal[]>;
}

/** Runs a command once for its key, whatever races or repeats. */
export async function runCommand<ResultId extends string>(
  cashier: Cashier,
  command: KeyedCommand<ResultId>,
): Promise<CommandEnd<ResultId>> {
  const inputHash = sha256(canonicalJson({ operation: command.operation, input: command.input }));
  return beginInTx(cashier.tx, command.scope, async (uow) => {
    const claim: KeyClaim = {
      userId: command.scope.userId,
      operation: command.operation,
      key: command.key,
      inputHash,
      resultType: command.resultType,
      resultId: command.resultId,
      expiresAt: new Date(uow.now.getTime() + KEY_LIFE_MS),
    };
    const kept = await claimKey(uow, claim);
    if (kept !== null) {
      if (!kept.inputHash.equals(inputHash)) {
        const reused = refusal('IDEMPOTENCY_KEY_REUSED', 'This key was used before with a different input.', [
          'input',
          'idempotencyKey',
        ]);
        return { resultId: null, refusals: [reused], isReplay: false };
      }
      // What was stored was made from these types by keepRefusals.
      return { resultId: kept.resultId as ResultId | null, refusals: (kept.refusals ?? []) as Refusal[], isReplay: true };
    }
    const refusals = await command.work(uow);
    if (refusals.length > 0) {
      if (refusals.some((one) => NOT_KEPT.has(one.code))) uow.abandon();
      else await keepRefusals(uow, claim, refusals);
      return { resultId: null, refusals, isReplay: false };
    }
    return { resultId: command.resultId, refusals: [], isReplay: false };
  });
}
