/** Credit notes: an invoice is never changed once it is open; what is given back of a line is a document of its own (rules P6). */
import { decimalText, isMultipleOfStep, stepOf } from '../money/currency.js';
import { allocate, type Money } from '../money/money.js';
import { creditableOf, partOf, type LineCredit, type PastLine } from './line.js';

/** What crediting looks at, read under the customer's lock. */
export interface CreditNotesAsked {
  /** Of one invoice. */
  lines: readonly PastLine[];
  currency: string;
  /** Tax included; null: all that is left. */
  asked: Money | null;
}

/** A note for one line; amounts in minor units, `position` as in the lines asked. */
export interface CreditNote extends LineCredit {
  position: number;
}

export type CreditNotesDecision =
  | { kind: 'approved'; notes: CreditNote[] }
  | {
      kind: 'refused';
      code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE';
      message: string;
      field: string[] | null;
    };

/**
 * Decides the credit notes for a sum that is given back of an invoice: split over its lines by what is left of each (rules M7), and
 * of each line in net and tax, so that all notes of a line together give back its net and its tax exactly. Refuses INVALID_INPUT
 * (amount not positive, not a multiple of the step, other currency), INVALID_STATE (nothing of it is paid: it is voided instead,
 * rules P3) and REFUND_EXCEEDS_CHARGE (more than is left, rules P6).
 */
export function decideCreditNotes({ lines, currency, asked }: CreditNotesAsked): CreditNotesDecision {
  const field = ['input', 'amount'];
  if (asked !== null) {
    if (asked.currency !== currency) return refused('INVALID_INPUT', `The invoice is in ${currency}.`, field);
    if (asked.minor <= 0n) return refused('INVALID_INPUT', 'The amount must be positive.', field);
    if (!isMultipleOfStep(asked)) {
      const step = decimalText({ minor: stepOf(currency), currency });
      return refused('INVALID_INPUT', `The amount must be a multiple of ${step} ${currency}.`, field);
    }
  }
  if (!lines.some((line) => line.isPaid)) {
    return refused('INVALID_STATE', 'Only what was paid is given back; an unpaid invoice is voided.', null);
  }
  const left = lines.map(creditableOf).map(({ netMinor, taxMinor }) => netMinor + taxMinor);
  const leftMinor = left.reduce((all, one) => all + one, 0n);
  const amountMinor = asked?.minor ?? leftMinor;
  if (leftMinor === 0n || amountMinor > leftMinor) {
    const text = decimalText({ minor: leftMinor, currency });
    return refused('REFUND_EXCEEDS_CHARGE', `Only ${text} ${currency} is left of the invoice.`, field);
  }
  const shares = allocate(amountMinor, left, stepOf(currency));
  // The customer is given a sum with tax; what of it is tax follows the line's rate (rules T4).
  const notes = lines.map((line, position) => ({
    position,
    ...partOf({ ...line, taxBehavior: 'inclusive' }, shares[position] ?? 0n, currency),
  }));
  return { kind: 'approved', notes: notes.filter(({ netMinor, taxMinor }) => netMinor + taxMinor > 0n) };
}

function refused(
  code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE',
  message: string,
  field: string[] | null,
): CreditNotesDecision {
  return { kind: 'refused', code, message, field };
}
