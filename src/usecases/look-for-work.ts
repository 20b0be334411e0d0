import { readWhetherAnyWaits, type Waiting } from '../store/waiting-work.reads.js';
import { inTx } from '../store/unit-of-work.js';
import { BATCH, type Cashier } from './cashier.js';
import { FIRST_LOOK_MS } from './renew.js';

export type { Waiting };

/** Which kinds of work wait for any worker, by one question; planned as look-ups by key, as a backlog comes and goes. */
export async function lookForWork(cashier: Cashier): Promise<Record<Waiting, boolean>> {
  return inTx(cashier.tx, BATCH, (uow) => readWhetherAnyWaits(uow, new Date(uow.now.getTime() + FIRST_LOOK_MS)));
}
