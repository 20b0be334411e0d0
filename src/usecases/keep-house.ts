import { purgeKeys } from '../store/idempotency.store.js';
import { rollUpBalances } from '../store/ledger.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, SYSTEM } from './cashier.js';

/** No unit of work lasts this long, so nothing can still appear below the mark of a roll-up. */
const ROLL_UP_AGE_MS = 10 * 60_000;
/** Keys forgotten in one turn. */
const KEYS_A_TURN = 1_000;

/** Rolls balances up and forgets idempotency keys past their thirty days. */
export async function keepHouse(cashier: Cashier): Promise<void> {
  await inTx(cashier.tx, SYSTEM, (uow) => rollUpBalances(uow, new Date(uow.now.getTime() - ROLL_UP_AGE_MS)));
  await inTx(cashier.tx, SYSTEM, (uow) => purgeKeys(uow, KEYS_A_TURN));
}
