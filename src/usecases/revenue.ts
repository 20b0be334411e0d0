import type { RevenueSchedule } from '../domain/ledger/revenue.js';
import type { RevenueScheduleRow } from '../store/invoices.store.js';

/** A schedule's row as the facts that the rules of revenue look at. */
export function scheduleOf(row: RevenueScheduleRow): RevenueSchedule {
  return {
    seq: row.seq,
    netMinor: row.net,
    startsOn: row.startsOn,
    endsOn: row.endsOn,
    stoppedOn: row.stoppedOn,
    reversedMinor: row.reversed,
  };
}
