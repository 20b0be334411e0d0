/** Invoices: their states, their sums, and how the customer's balance and the smallest charge take part in paying them. */
import { invariant } from '../invariant.js';
import { minimumCharge } from '../money/currency.js';
import { totalOf, type InvoiceLine } from './line.js';

export type InvoiceStatus = 'draft' | 'open' | 'paid' | 'void' | 'uncollectible';

/** Allowed moves of an invoice (rules P8). From `open` on its lines never change: what was wrong is corrected by a credit note. */
export const INVOICE_MOVES = {
  draft: ['open', 'void'],
  open: ['paid', 'void', 'uncollectible'],
  paid: [],
  void: [],
  uncollectible: [],
} as const satisfies Record<InvoiceStatus, readonly InvoiceStatus[]>;

/** Whether an invoice may go from one status to another. */
export function mayMoveInvoice(from: InvoiceStatus, to: InvoiceStatus): boolean {
  const targets: readonly InvoiceStatus[] = INVOICE_MOVES[from];
  return targets.includes(to);
}

/** Sums of an invoice, and what of it must be collected. Amounts in minor units. */
export interface InvoiceSums {
  /** Before discount and tax. */
  subtotalMinor: bigint;
  discountMinor: bigint;
  netMinor: bigint;
  taxMinor: bigint;
  /** Sum of the lines' totals, never rounded again (rules M7). */
  totalMinor: bigint;
  /** Paid from the customer's balance (rules P7). */
  creditAppliedMinor: bigint;
  /** What the customer owed from before and pays with this invoice. */
  debitCollectedMinor: bigint;
  /** What a payment must collect now; 0 unless `settlement` is `charge`. */
  dueMinor: bigint;
  /** What is too small for a payment and waits, as a debit of the balance, for the next invoice (rules M6). */
  carriedMinor: bigint;
  settlement: 'charge' | 'balance' | 'carried' | 'nothing';
  /** The customer's balance afterwards; negative: the customer owes it. */
  balanceAfterMinor: bigint;
}

/**
 * Adds up an invoice and applies the customer's balance: debits first, then credits up to the total (rules P7). What is left and
 * smaller than a payment can be is carried to the next invoice, and this one counts as paid (rules M6).
 * @param balanceMinor what we owe the customer; negative: what the customer owes us
 * @throws InvariantBroken for lines whose net or tax sum to less than 0: what is given back beyond what is owed is a credit note
 */
export function composeInvoice(lines: readonly InvoiceLine[], currency: string, balanceMinor: bigint): InvoiceSums {
  const sum = (of: (line: InvoiceLine) => bigint) => lines.reduce((all, line) => all + of(line), 0n);
  const netMinor = sum((line) => line.netMinor);
  const taxMinor = sum((line) => line.taxMinor);
  const discountMinor = sum((line) => line.discountMinor);
  const totalMinor = sum(totalOf);
  invariant(netMinor >= 0n && taxMinor >= 0n, 'an invoice is not negative', { lines, netMinor, taxMinor });
  const creditAppliedMinor = balanceMinor <= 0n ? 0n : balanceMinor < totalMinor ? balanceMinor : totalMinor;
  const owedBefore = balanceMinor < 0n ? -balanceMinor : 0n;
  const wanted = totalMinor - creditAppliedMinor + owedBefore;
  const isCarried = wanted > 0n && wanted < minimumCharge(currency);
  const left = totalMinor - creditAppliedMinor;
  const settlement = isCarried && left > 0n ? 'carried' : totalMinor === 0n ? 'nothing' : left === 0n ? 'balance' : 'charge';
  const isCharged = settlement === 'charge';
  const carriedMinor = settlement === 'carried' ? left : 0n;
  return {
    subtotalMinor: netMinor + discountMinor,
    discountMinor,
    netMinor,
    taxMinor,
    totalMinor,
    creditAppliedMinor,
    debitCollectedMinor: isCharged ? owedBefore : 0n,
    dueMinor: isCharged ? wanted : 0n,
    carriedMinor,
    settlement,
    balanceAfterMinor: balanceMinor - creditAppliedMinor - carriedMinor + (isCharged ? owedBefore : 0n),
  };
}

/**
 * What of an invoice has been paid, and what is still owed, minor units. One that was voided owes nothing, and what the balance had paid
 * of it went back; one that was given up is owed no more. One that is settled by what is carried to the next invoice counts as paid (rules M6).
 */
export function settledOf(invoice: { status: InvoiceStatus; totalMinor: bigint; creditAppliedMinor: bigint }): {
  paidMinor: bigint;
  dueMinor: bigint;
} {
  const { status, totalMinor, creditAppliedMinor } = invoice;
  switch (status) {
    case 'paid':
      return { paidMinor: totalMinor, dueMinor: 0n };
    case 'draft':
    case 'open':
      return { paidMinor: creditAppliedMinor, dueMinor: totalMinor - creditAppliedMinor };
    case 'void':
      return { paidMinor: 0n, dueMinor: 0n };
    case 'uncollectible':
      return { paidMinor: creditAppliedMinor, dueMinor: 0n };
  }
}

export type DocumentKind = 'invoice' | 'credit_note';

const PREFIXES = { invoice: 'INV', credit_note: 'CRN' } as const satisfies Record<DocumentKind, string>;
const DIGITS = 8;

/**
 * The number of a document, from the counter of its legal entity and kind, which has no gap (rules P8): INV-00000042. It is
 * given when an invoice is opened and never changes; more than eight digits just grow. @param sequence counts from 1
 */
export function documentNumber(kind: DocumentKind, sequence: bigint): string {
  invariant(sequence > 0n, 'documents are counted from 1', { kind, sequence });
  return `${PREFIXES[kind]}-${sequence.toString().padStart(DIGITS, '0')}`;
}

/** The counter in a document's number; null for a text that is none of that kind, or not the one way to write it. */
export function parseDocumentNumber(kind: DocumentKind, text: string): bigint | null {
  const [, digits] = /^[A-Z]{3}-(\d{8,})$/.exec(text) ?? [];
  if (digits === undefined || BigInt(digits) === 0n) return null;
  return documentNumber(kind, BigInt(digits)) === text ? BigInt(digits) : null;
}
