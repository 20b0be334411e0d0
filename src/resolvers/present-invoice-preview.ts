import type { InvoiceSums } from '../domain/invoice/invoice.js';
import type { InvoiceLine as LineOfInvoice } from '../domain/invoice/line.js';
import { presentMoney } from './present-money.js';
import type { InvoiceLine, InvoicePreview } from './types/invoice-preview.js';

/** A decided line with the words that stand on the invoice. */
export interface DescribedLine extends Pick<LineOfInvoice, 'netMinor' | 'discountMinor' | 'isProration'> {
  description: string;
  /** The time it covers; null for what is bought once. */
  covers: { start: Date; end: Date } | null;
}

/** A line as the graph shows it: before the coupon and without tax, so that the lines add up to the subtotal. */
export function presentInvoiceLine(line: DescribedLine, currency: string): InvoiceLine {
  return {
    description: line.description,
    amount: presentMoney(line.netMinor + line.discountMinor, currency),
    periodStart: line.covers?.start ?? null,
    periodEnd: line.covers?.end ?? null,
    isProration: line.isProration,
  };
}

/** An invoice that is to come as the graph shows it. Its total is what a payment would collect: the customer's balance is used up first. */
export function presentInvoicePreview(
  preview: { lines: readonly DescribedLine[]; sums: InvoiceSums; chargeAt: Date },
  currency: string,
): InvoicePreview {
  const { lines, sums, chargeAt } = preview;
  return {
    lines: lines.map((line) => presentInvoiceLine(line, currency)),
    subtotal: presentMoney(sums.subtotalMinor, currency),
    discountTotal: presentMoney(sums.discountMinor, currency),
    taxTotal: presentMoney(sums.taxMinor, currency),
    total: presentMoney(sums.dueMinor, currency),
    chargeAt,
  };
}
