/** What was invoiced for a subscription's present period, with what went back of it: what changes and their ends look at. */
import { discountOf, type Coupon } from '../domain/catalogue/coupon.js';
import { idTimeMs } from '../domain/ids.js';
import { creditableOf, isService, partOf, type LineCredit, type PastLine } from '../domain/invoice/line.js';
import type { RankedPrice } from '../domain/subscription/change-tier.js';
import type { TaxBehavior } from '../domain/tax/tax.js';
import type { PriceRow, SubscriptionRow, TierRow } from '../store/subscriptions.store.js';
import { couponOf, listPeriodLines, type PeriodLineRow, type RedemptionRow } from '../store/tier-changes.store.js';
import type { UnitOfWork } from '../store/unit-of-work.js';

/** A line of the present period with where it stands. */
export interface StandingLine extends PastLine {
  invoiceId: string;
  position: number;
  tierName: string;
  /** Of its invoice. */
  kind: string;
  finalizedAt: Date;
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
    finalizedAt: row.finalizedAt,
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

/** Redemptions are dated by their ids, which are made a moment before or after the unit of work that invoices. */
const CLAIMED_WITH_MS = 60_000;

/**
 * The coupon that the present period was invoiced with: of those that were at work then the newest that explains the discount of the line
 * that opened the period. Replaced or used up since, it still goes for the rest of that period.
 */
export function periodRedemption(
  lines: readonly StandingLine[],
  redemptions: readonly RedemptionRow[],
  price: { currency: string; intervalUnit: string },
): { id: string; coupon: Coupon } | null {
  const opening = lines.find((line) => isService(line) && !line.isProration);
  if (opening === undefined) return null;
  const list = opening.netMinor + opening.discountMinor + (opening.taxBehavior === 'inclusive' ? opening.taxMinor : 0n);
  const invoicedAt = opening.finalizedAt.getTime();
  for (const row of redemptions) {
    const coupon = couponOf(row);
    const wasAtWork =
      idTimeMs(row.id) <= invoicedAt + CLAIMED_WITH_MS && (row.endedAt === null || row.endedAt.getTime() >= invoicedAt);
    if (wasAtWork && discountOf(coupon, price, list) === opening.discountMinor) return { id: row.id, coupon };
  }
  return null;
}

/** A price's row with its tier, as a change compares it. */
export function rankedPrice({ price, tier }: { price: PriceRow; tier: TierRow }): RankedPrice {
  return {
    id: price.id,
    amountMinor: price.amount,
    currency: price.currency,
    // Column checks: a tier's price has a unit, a count and one of these words.
    intervalUnit: price.intervalUnit as RankedPrice['intervalUnit'],
    intervalCount: price.intervalCount ?? 1,
    taxBehavior: price.taxBehavior as TaxBehavior,
    tierGroup: tier.tierGroup,
    rank: tier.rank,
  };
}
