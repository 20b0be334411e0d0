/** What was invoiced for a subscription's present period, with what went back of it: what changes and their ends look at. */
import { creditableOf, isService, partOf, type LineCredit, type PastLine } from '../domain/invoice/line.js';
import type { TaxBehavior } from '../domain/tax/tax.js';
import type { SubscriptionRow } from '../store/subscriptions.store.js';
import { listPeriodLines, type PeriodLineRow } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** A line of the present period with where it stands. */
export interface StandingLine extends PastLine {
  invoiceId: string;
  position: number;
  tierName: string;
  /** Of its invoice. */
  kind: string;
  /** The coupon that reduced it. */
  couponId: string | null;
}

/** The lines of a subscription's present period, with what went back of each, in the order in which they were invoiced. */
export async function readLines(uow: UnitOfWork, subscription: SubscriptionRow): Promise<StandingLine[]> {
  const { id, epoch, periodStart: start, periodEnd: end } = subscription;
  const rows = await listPeriodLines(uow, id, { epoch, start, end });
  const byInvoice = Map.groupBy(rows, (row) => row.invoiceId);
  return [...byInvoice.values()].flatMap(linesOf);
}

/** The lines of one invoice. What was refunded without a note is taken off its service lines, one after the other (rules P3). */
function linesOf(rows: PeriodLineRow[]): StandingLine[] {
  let returned = rows[0]?.returned ?? 0n;
  return rows.map((row) => {
    const line = standingLine(row);
    if (!isService(line)) return line;
    const part: LineCredit = returned > 0n ? partOf({ ...line, taxBehavior: 'inclusive' }, returned, row.currency) : NOTHING;
    const left = creditableOf(line);
    returned -= returned < left.netMinor + left.taxMinor ? returned : left.netMinor + left.taxMinor;
    return {
      ...line,
      creditedNetMinor: line.creditedNetMinor + part.netMinor,
      creditedTaxMinor: line.creditedTaxMinor + part.taxMinor,
    };
  });
}

const NOTHING: LineCredit = { netMinor: 0n, taxMinor: 0n };

function standingLine(row: PeriodLineRow): StandingLine {
  return {
    invoiceId: row.invoiceId,
    position: row.position,
    tierName: row.tierName,
    kind: row.kind,
    couponId: row.couponId,
    priceId: row.priceId,
    start: row.periodStart,
    end: row.periodEnd,
    netMinor: row.amount,
    discountMinor: row.discount,
    taxMinor: row.tax,
    ratePpm: row.taxRatePpm,
    // Column check: one of these words.
    taxBehavior: row.taxBehavior as TaxBehavior,
    isProration: row.isProration,
    isPaid: row.isPaid,
    creditedNetMinor: row.credited - row.creditedTax,
    creditedTaxMinor: row.creditedTax,
  };
}

/** The coupon that the present period was invoiced with: that of the line that opened it. It goes for the rest of the period, whatever became of it. */
export function couponOfPeriod(lines: readonly StandingLine[]): string | null {
  return lines.find((line) => isService(line) && !line.isProration)?.couponId ?? null;
}
