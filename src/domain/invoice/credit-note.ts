/** Credit notes: an invoice is never changed once it is open; what is given back of a line is a document of its own (rules P6). */
import { currencyOf, decimalText, isMultipleOfStep } from '../money/currency.js';
import type { Money } from '../money/money.js';
import { creditableOf, partOf, type LineCredit, type PastLine } from './line.js';

/** What a credit note looks at, read under the customer's lock. */
export interface CreditNoteAsked {
  line: PastLine;
  currency: string;
  /** Tax included; null: all that is left. */
  asked: Money | null;
}

export type CreditNoteDecision =
  | ({ kind: 'approved' } & LineCredit)
  | {
      kind: 'refused';
      code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE';
      message: string;
      field: string[] | null;
    };

/**
 * Decides a credit note for a part of a line, in net and tax; all notes of a line together give back its net and its tax exactly.
 * Refuses INVALID_INPUT (amount not positive, not a multiple of the step, other currency), INVALID_STATE (the line is not paid: its
 * invoice is voided instead, rules P3) and REFUND_EXCEEDS_CHARGE (more than is left, rules P6).
 */
export function decideCreditNote({ line, currency, asked }: CreditNoteAsked): CreditNoteDecision {
  const field = ['input', 'amount'];
  if (asked !== null) {
    if (asked.currency !== currency) return refused('INVALID_INPUT', `The invoice is in ${currency}.`, field);
    if (asked.minor <= 0n) return refused('INVALID_INPUT', 'The amount must be positive.', field);
    if (!isMultipleOfStep(asked)) {
      const step = decimalText({ minor: currencyOf(currency)?.step ?? 1n, currency });
      return refused('INVALID_INPUT', `The amount must be a multiple of ${step} ${currency}.`, field);
    }
  }
  if (!line.isPaid)
    return refused('INVALID_STATE', 'Only a line that was paid is given back; an unpaid invoice is voided.', null);
  const left = creditableOf(line);
  const leftMinor = left.netMinor + left.taxMinor;
  const amountMinor = asked?.minor ?? leftMinor;
  if (leftMinor === 0n || amountMinor > leftMinor) {
    const text = decimalText({ minor: leftMinor, currency });
    return refused('REFUND_EXCEEDS_CHARGE', `Only ${text} ${currency} is left of the line.`, field);
  }
  // The customer is given a sum with tax; what of it is tax follows the line's rate (rules T4).
  return { kind: 'approved', ...partOf({ ...line, taxBehavior: 'inclusive' }, amountMinor, currency) };
}

function refused(
  code: 'INVALID_INPUT' | 'INVALID_STATE' | 'REFUND_EXCEEDS_CHARGE',
  message: string,
  field: string[] | null,
): CreditNoteDecision {
  return { kind: 'refused', code, message, field };
}
