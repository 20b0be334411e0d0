import { claimOutbox, notify, type Wake } from '../store/outbox.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, SYSTEM } from './cashier.js';

/** Most changes carried, and so most users told, at once: a NOTIFY carries under 8,000 bytes, and a user id has at most 64 characters (PostgreSQL, NOTIFY). */
const BATCH = 50;

/**
 * Carries committed changes to every gateway: one claim, then one NOTIFY in a transaction of its own, since a NOTIFY takes a lock of the
 * whole database at commit. A wake-up that is lost is made good by the streams' own look at the table.
 * @returns whether there may be more
 */
export async function relayChanges(cashier: Cashier, channel: string): Promise<boolean> {
  const { wakes, rowCount } = await inTx(cashier.tx, SYSTEM, (uow) => claimOutbox(uow, BATCH));
  if (wakes.length > 0) await inTx(cashier.tx, SYSTEM, (uow) => notify(uow, channel, payloadOf(wakes)));
  return rowCount === BATCH;
}

/** [[userId, seq], ...] */
function payloadOf(wakes: readonly Wake[]): string {
  return JSON.stringify(wakes.map(({ userId, seq }) => [userId, Number(seq)]));
}
