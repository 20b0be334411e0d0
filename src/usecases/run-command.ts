/**
 * One runner for all commands that take a client's idempotency key. The key is claimed first, with the id its result will have, in the
 * same unit of work as the result itself: so a key never waits for a settler, and a repeat never decides again.
 */
import { canonicalJson, sha256 } from '../platform/json.js';
import { claimKey, keepRefusals, keepResult, type KeyClaim, type ResultType } from '../store/idempotency.store.js';
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
  /** What the result is; null with refusals. */
  resultType: ResultType | null;
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
  /**
   * Decides and writes; refusals undo what they must by coming before any write. Answers with the result where it is not the one that the
   * command names: what it led to shows only when it is decided.
   */
  work(uow: UnitOfWork): Promise<Refusal[] | { type: ResultType; id: ResultId }>;
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
        return { resultId: null, resultType: null, refusals: [reused], isReplay: false };
      }
      // What was stored was made from these types by keepRefusals.
      return {
        resultId: kept.resultId as ResultId | null,
        resultType: kept.resultType as ResultType | null,
        refusals: (kept.refusals ?? []) as Refusal[],
        isReplay: true,
      };
    }
    const end = await command.work(uow);
    if (!Array.isArray(end)) {
      await keepResult(uow, claim, end.type, end.id);
      return { resultId: end.id, resultType: end.type, refusals: [], isReplay: false };
    }
    if (end.length > 0) {
      if (end.some((one) => NOT_KEPT.has(one.code))) uow.abandon();
      else await keepRefusals(uow, claim, end);
      return { resultId: null, resultType: null, refusals: end, isReplay: false };
    }
    return { resultId: command.resultId, resultType: command.resultType, refusals: [], isReplay: false };
  });
}
