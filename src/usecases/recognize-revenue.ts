/** The daily posting of earned revenue: one journal for each currency and day, up to the last day that is closed (rules K6). */
import { makeId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { revenueRecognized } from '../domain/ledger/journals.js';
import { addDays, lastClosedDay } from '../domain/ledger/revenue.js';
import { keyBucket, sha256 } from '../platform/json.js';
import { listOpenDays, readEarned, takeTurnAtRevenue, writeRevenueDays, type OpenDays } from '../store/revenue.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { SYSTEM, type Cashier } from './cashier.js';

/**
 * Closes the days that are over, oldest first, up to `mostDays` of each currency in one unit of work, so that an outage of any length is
 * caught up with in small steps. Does nothing while another worker does it.
 * @returns whether more days wait
 */
export async function recognizeRevenue(cashier: Cashier, mostDays: number): Promise<boolean> {
  return inTx(cashier.tx, SYSTEM, async (uow) => {
    if (!(await takeTurnAtRevenue(uow))) return false;
    const until = lastClosedDay(uow.now);
    let isMore = false;
    for (const open of await listOpenDays(uow, until)) {
      const last = addDays(open.from, mostDays - 1);
      await closeDays(uow, open, last < until ? last : until);
      isMore ||= last < until;
    }
    return isMore;
  });
}

async function closeDays(uow: UnitOfWork, { currency, from }: OpenDays, until: string): Promise<void> {
  const days = (await readEarned(uow, currency, from, until)).map(({ day, earned }) => ({
    id: revenueDayId(currency, day),
    day,
    earned,
    movements: revenueRecognized(earned, currency),
  }));
  const wanted = days.reduce((all, { movements }) => all + movements.length, 0);
  const posted = await writeRevenueDays(uow, currency, days);
  invariant(posted === wanted, 'the chart has the accounts of every movement', { currency, from, until, posted, wanted });
}

/** The same for the same currency and day: a day that is closed already meets its primary key. */
function revenueDayId(currency: string, day: string): string {
  return makeId('txn', keyBucket(`revenue ${currency}`), Date.parse(`${day}T00:00:00Z`), sha256(`revenue ${currency} ${day}`));
}
