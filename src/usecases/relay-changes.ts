import { claimOutbox, notify, type Wake } from '../store/outbox.store.js';
import { inTx } from '../store/unit-of-work.js';
import { BATCH, type Cashier, SYSTEM } from './cashier.js';

/** Changes carried at once. */
const MOST_CARRIED = 1_000;
/** Most users told by one NOTIFY: it carries under 8,000 bytes, and a user id has at most 64 characters (PostgreSQL, NOTIFY). */
const MOST_TOLD = 50;

/**
 * Carries committed changes to every gateway: one claim, then NOTIFYs in a transaction of their own, since a NOTIFY takes a lock of the
 * whole database at commit. A wake-up that is lost is made good by the streams' own look at the table.
 * @returns whether there may be more
 */
export async function relayChanges(cashier: Cashier, channel: string): Promise<boolean> {
  const { wakes, rowCount } = await inTx(cashier.tx, BATCH, (uow) => claimOutbox(uow, MOST_CARRIED));
  if (wakes.length > 0) await inTx(cashier.tx, SYSTEM, (uow) => notify(uow, channel, payloadsOf(wakes)));
  return rowCount === MOST_CARRIED;
}

/** Each [[userId, seq], ...] */
function payloadsOf(wakes: readonly Wake[]): string[] {
  const pairs = wakes.map(({ userId, seq }) => [userId, Number(seq)]);
  return Array.from({ length: Math.ceil(pairs.length / MOST_TOLD) }, (_, nth) =>
    JSON.stringify(pairs.slice(nth * MOST_TOLD, (nth + 1) * MOST_TOLD)),
  );
}
