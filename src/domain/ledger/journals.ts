/**
 * What is posted for each event. A movement takes one amount from one account to another in one currency, so the books are
 * balanced by construction; the movements of one event and source are a journal, told apart by their leg. A part of 0 has no
 * row, and an amount is never negative: what goes the other way has its sides swapped.
 */
import { invariant } from '../invariant.js';
import { roundedQuotient } from '../money/money.js';
import type { AccountCode } from './chart.js';

/** One row of a journal. */
export interface Movement {
  event: LedgerEvent;
  /** Names the part where an event has several; '' if one. */
  leg: string;
  debit: AccountCode;
  credit: AccountCode;
  /** Minor units, > 0. */
  amountMinor: bigint;
  currency: string;
}

/** Every pair of accounts (debit, credit) that an event may touch; the database's books are checked against the same list. */
export const ALLOWED_MOVEMENTS = {
  invoice_finalized: [
    ['customer_receivable', 'deferred_revenue'],
    ['customer_receivable', 'revenue'],
    ['customer_receivable', 'tax_payable'],
  ],
  credit_applied: [
    ['customer_credit', 'customer_receivable'],
    ['customer_receivable', 'customer_credit'],
  ],
  payment_succeeded: [
    ['provider_clearing', 'customer_receivable'],
    ['pending_receipts', 'customer_receivable'],
    ['fx_clearing', 'customer_receivable'],
  ],
  receipt_pending: [['provider_clearing', 'pending_receipts']],
  receipt_failed: [['pending_receipts', 'provider_clearing']],
  provider_fee: [
    ['provider_fees', 'provider_clearing'],
    ['provider_clearing', 'provider_fees'],
  ],
  revenue_recognized: [
    ['deferred_revenue', 'revenue'],
    ['revenue', 'deferred_revenue'],
  ],
  refund_requested: [
    ['deferred_revenue', 'refunds_payable'],
    ['refunds', 'refunds_payable'],
    ['tax_payable', 'refunds_payable'],
  ],
  refund_settled: [['refunds_payable', 'provider_clearing']],
  refund_failed: [
    ['provider_clearing', 'refunds_payable'],
    ['refunds_payable', 'customer_credit'],
  ],
  refund_to_balance: [['refunds_payable', 'customer_credit']],
  dispute_withdrawn: [
    ['disputes_held', 'provider_clearing'],
    ['dispute_fees', 'provider_clearing'],
  ],
  dispute_reinstated: [
    ['provider_clearing', 'disputes_held'],
    ['provider_clearing', 'dispute_fees'],
  ],
  dispute_lost: [
    ['deferred_revenue', 'disputes_held'],
    ['chargeback_loss', 'disputes_held'],
    ['tax_payable', 'disputes_held'],
  ],
  async_failure: [['customer_receivable', 'provider_clearing']],
  payout_created: [['payout_in_transit', 'provider_clearing']],
  payout_banked: [['bank', 'payout_in_transit']],
  payout_failed: [
    ['provider_clearing', 'payout_in_transit'],
    ['provider_clearing', 'bank'],
  ],
  reserve_held: [['provider_reserve', 'provider_clearing']],
  reserve_released: [['provider_clearing', 'provider_reserve']],
  invoice_voided: [
    ['deferred_revenue', 'customer_receivable'],
    ['revenue', 'customer_receivable'],
    ['tax_payable', 'customer_receivable'],
  ],
  written_off: [
    ['deferred_revenue', 'customer_receivable'],
    ['bad_debt', 'customer_receivable'],
    ['tax_payable', 'customer_receivable'],
  ],
  proration_credit: [
    ['deferred_revenue', 'customer_credit'],
    ['refunds', 'customer_credit'],
    ['tax_payable', 'customer_credit'],
  ],
  goodwill_credit: [['refunds', 'customer_credit']],
  gift_credited: [
    ['deferred_revenue', 'customer_credit'],
    ['tax_payable', 'customer_credit'],
  ],
  orphan_receipt: [['provider_clearing', 'suspense']],
  orphan_refunded: [['suspense', 'provider_clearing']],
  orphan_assigned: [['suspense', 'customer_receivable']],
  unexplained_debit: [['suspense', 'provider_clearing']],
  fx_settlement: [['provider_clearing', 'fx_clearing']],
  fx_revaluation: [
    ['fx_clearing', 'fx_gain_loss'],
    ['fx_gain_loss', 'fx_clearing'],
  ],
  tax_remitted: [['tax_payable', 'bank']],
  topup: [['provider_clearing', 'bank']],
} as const satisfies Record<string, readonly (readonly [AccountCode, AccountCode])[]>;

export type LedgerEvent = keyof typeof ALLOWED_MOVEMENTS;

/** An invoice as the books see it. Amounts in minor units. */
export interface BookedInvoice {
  /** `purchase`: revenue at once; `period`: earned day by day. */
  kind: 'period' | 'purchase';
  netMinor: bigint;
  taxMinor: bigint;
  currency: string;
}

/** An invoice was issued: the customer owes it. Source: the invoice. */
export function invoiceFinalized({ kind, netMinor, taxMinor, currency }: BookedInvoice): Movement[] {
  const income = kind === 'purchase' ? 'revenue' : 'deferred_revenue';
  return journal('invoice_finalized', currency, [
    ['net', 'customer_receivable', income, netMinor],
    ['tax', 'customer_receivable', 'tax_payable', taxMinor],
  ]);
}

/** What a day has earned. Source: the day of that currency. Negative: what counted as earned before, and does no more. */
export function revenueRecognized(earnedMinor: bigint, currency: string): Movement[] {
  return journal('revenue_recognized', currency, [
    earnedMinor < 0n ? ['', 'revenue', 'deferred_revenue', -earnedMinor] : ['', 'deferred_revenue', 'revenue', earnedMinor],
  ]);
}

/**
 * A charge succeeded. Source: its transaction. `isSettledInOtherCurrency`: the provider credits us in another currency, which
 * `fxSettlement` posts; until then the amount waits in fx_clearing.
 */
export function paymentSucceeded(amountMinor: bigint, currency: string, isSettledInOtherCurrency: boolean): Movement[] {
  return journal('payment_succeeded', currency, [
    isSettledInOtherCurrency
      ? ['presentment', 'fx_clearing', 'customer_receivable', amountMinor]
      : ['', 'provider_clearing', 'customer_receivable', amountMinor],
  ]);
}

/** What the provider credited for a charge in another currency, before its fee. Source: the provider's book entry. */
export function fxSettlement(grossMinor: bigint, settlementCurrency: string): Movement[] {
  return journal('fx_settlement', settlementCurrency, [['settlement', 'provider_clearing', 'fx_clearing', grossMinor]]);
}

/** The provider's fee for a book entry; a negative one is money back. Source: the provider's book entry. */
export function providerFee(feeMinor: bigint, currency: string): Movement[] {
  return journal('provider_fee', currency, [
    feeMinor < 0n ? ['', 'provider_clearing', 'provider_fees', -feeMinor] : ['', 'provider_fees', 'provider_clearing', feeMinor],
  ]);
}

/** What a refund is taken from. Amounts in minor units. */
export interface RefundSource {
  amountMinor: bigint;
  currency: string;
  /** Net and tax of the invoice that the charge paid. */
  invoiceNetMinor: bigint;
  invoiceTaxMinor: bigint;
  /** Of the invoice's net, what is not yet earned (through yesterday) nor given back; 0 for a purchase. */
  unearnedMinor: bigint;
  /** What of it is tax by its credit notes, which count by the line (rules P6); left out, tax is in proportion. */
  noteTaxMinor?: bigint;
}

/**
 * The parts of a refund: tax by its credit notes, else in proportion (half up); the rest from what is not yet earned first. They sum to the refund
 * exactly.
 */
export function refundParts(refund: RefundSource): { unearned: bigint; earned: bigint; tax: bigint } {
  const { amountMinor, invoiceTaxMinor, unearnedMinor } = refund;
  const total = refund.invoiceNetMinor + invoiceTaxMinor;
  invariant(amountMinor > 0n && amountMinor <= total, 'a refund is part of its invoice', { refund });
  const tax = refund.noteTaxMinor ?? roundedQuotient(amountMinor * invoiceTaxMinor, total);
  // Not of the invoice's tax: of a change's invoice that is net of a credit at another rate.
  invariant(tax >= 0n && tax <= amountMinor, 'the tax of a refund is part of it', { refund });
  const rest = amountMinor - tax;
  const unearned = rest < unearnedMinor ? rest : unearnedMinor;
  return { unearned, earned: rest - unearned, tax };
}

/** A refund was decided: we owe it. Source: the refund. */
export function refundRequested(refund: RefundSource): Movement[] {
  const { unearned, earned, tax } = refundParts(refund);
  return journal('refund_requested', refund.currency, [
    ['unearned', 'deferred_revenue', 'refunds_payable', unearned],
    ['earned', 'refunds', 'refunds_payable', earned],
    ['tax', 'tax_payable', 'refunds_payable', tax],
  ]);
}

/** The provider accepted a refund and has debited us (it does so at creation). Source: the refund. */
export function refundSettled(amountMinor: bigint, currency: string): Movement[] {
  return journal('refund_settled', currency, [['', 'refunds_payable', 'provider_clearing', amountMinor]]);
}

/** An accepted refund failed: the money is ours again, and the customer gets it as credit. Source: the refund. */
export function refundFailed(amountMinor: bigint, currency: string): Movement[] {
  return journal('refund_failed', currency, [
    ['', 'provider_clearing', 'refunds_payable', amountMinor],
    ['credit', 'refunds_payable', 'customer_credit', amountMinor],
  ]);
}

/** The provider refused to begin a refund: the journal of its request is undone, leg by leg. Source: the refund. */
export function refundCanceled(requested: readonly Movement[]): Movement[] {
  return requested.map((movement) => {
    invariant(movement.event === 'refund_requested' && !movement.leg.startsWith('undo:'), 'only a request is undone, and once', {
      movement,
    });
    return { ...movement, leg: `undo:${movement.leg}`, debit: movement.credit, credit: movement.debit };
  });
}

/** The provider took a disputed amount, and its fee, from our balance. Source: the provider's book entry. */
export function disputeWithdrawn(amountMinor: bigint, feeMinor: bigint, currency: string): Movement[] {
  return journal('dispute_withdrawn', currency, [
    ['', 'disputes_held', 'provider_clearing', amountMinor],
    ['fee', 'dispute_fees', 'provider_clearing', feeMinor],
  ]);
}

/** The provider gave a disputed amount back, and the fee where it says so. Source: the provider's book entry. */
export function disputeReinstated(amountMinor: bigint, feeReturnedMinor: bigint, currency: string): Movement[] {
  return journal('dispute_reinstated', currency, [
    ['', 'provider_clearing', 'disputes_held', amountMinor],
    ['fee', 'provider_clearing', 'dispute_fees', feeReturnedMinor],
  ]);
}

/** A dispute was lost: what is not yet earned is taken back, the rest is a loss (tax stays owed). Source: the dispute. */
export function disputeLost(amountMinor: bigint, unearnedMinor: bigint, currency: string): Movement[] {
  const unearned = amountMinor < unearnedMinor ? amountMinor : unearnedMinor;
  return journal('dispute_lost', currency, [
    ['unearned', 'deferred_revenue', 'disputes_held', unearned],
    ['rest', 'chargeback_loss', 'disputes_held', amountMinor - unearned],
  ]);
}

/** An unpaid invoice was voided. `unearnedMinor` of its net is not yet earned (0 for a purchase). Source: the invoice. */
export function invoiceVoided({ kind, netMinor, taxMinor, currency }: BookedInvoice, unearnedMinor: bigint): Movement[] {
  const unearned = kind === 'purchase' ? 0n : unearnedMinor;
  return journal('invoice_voided', currency, [
    ['unearned', 'deferred_revenue', 'customer_receivable', unearned],
    ['earned', 'revenue', 'customer_receivable', netMinor - unearned],
    ['tax', 'tax_payable', 'customer_receivable', taxMinor],
  ]);
}

/**
 * What the customer's balance does for an invoice (rules P7, M6): it pays a part of it; what is too small to be collected stands in
 * it as a debit; a debit from before is collected with it. Source: the invoice.
 */
export function balanceUsed({ creditAppliedMinor, carriedMinor, debitCollectedMinor }: BalanceUse, currency: string): Movement[] {
  return journal('credit_applied', currency, [
    ['', 'customer_credit', 'customer_receivable', creditAppliedMinor],
    ['carried', 'customer_credit', 'customer_receivable', carriedMinor],
    ['collected', 'customer_receivable', 'customer_credit', debitCollectedMinor],
  ]);
}

/** What of an invoice goes through the customer's balance. Amounts in minor units. */
export interface BalanceUse {
  creditAppliedMinor: bigint;
  carriedMinor: bigint;
  debitCollectedMinor: bigint;
}

/** An invoice that the balance had paid in part was voided: the balance is as it was (rules P7). Source: the invoice. */
export function balanceReleased(use: BalanceUse, currency: string): Movement[] {
  return balanceUsed(use, currency).map((movement) => ({
    ...movement,
    leg: `undo:${movement.leg}`,
    debit: movement.credit,
    credit: movement.debit,
  }));
}

/**
 * What of a line was not used goes to the customer's balance by a note (rules P5). A credit counts by the second and earning by the
 * day, so for a part of a day it may take what counts as earned. Source: the credit note.
 */
export function prorationCredit(
  { netMinor, taxMinor, unearnedMinor }: { netMinor: bigint; taxMinor: bigint; unearnedMinor: bigint },
  currency: string,
): Movement[] {
  const unearned = netMinor < unearnedMinor ? netMinor : unearnedMinor;
  return journal('proration_credit', currency, [
    ['unearned', 'deferred_revenue', 'customer_credit', unearned],
    ['earned', 'refunds', 'customer_credit', netMinor - unearned],
    ['tax', 'tax_payable', 'customer_credit', taxMinor],
  ]);
}

/**
 * The value of a gift went to its recipient's balance (rules V11): nothing of it was earned, and its tax is owed when it is spent.
 * Source: the recipient's row of the gift.
 */
export function giftCredited({ netMinor, taxMinor }: { netMinor: bigint; taxMinor: bigint }, currency: string): Movement[] {
  return journal('gift_credited', currency, [
    ['net', 'deferred_revenue', 'customer_credit', netMinor],
    ['tax', 'tax_payable', 'customer_credit', taxMinor],
  ]);
}

/** The change that a note was given for was not paid: the note is taken back, leg by leg. Source: the credit note. */
export function prorationCreditTakenBack(given: readonly Movement[]): Movement[] {
  return given.map((movement) => {
    invariant(movement.event === 'proration_credit' && !movement.leg.startsWith('undo:'), 'a note is taken back once', {
      movement,
    });
    return { ...movement, leg: `undo:${movement.leg}`, debit: movement.credit, credit: movement.debit };
  });
}

/** Money came that belongs to nothing we know. Source: the finding. */
export function orphanReceipt(amountMinor: bigint, currency: string): Movement[] {
  return journal('orphan_receipt', currency, [['', 'provider_clearing', 'suspense', amountMinor]]);
}

/** All or a part of such money was given back by the refund of this id at the provider. Source: the finding. */
export function orphanRefunded(refundObjectId: string, amountMinor: bigint, currency: string): Movement[] {
  return journal('orphan_refunded', currency, [[refundObjectId, 'suspense', 'provider_clearing', amountMinor]]);
}

/** Giving it back failed, and the money is ours to explain again. Source: the finding. */
export function orphanRefundFailed(refundObjectId: string, amountMinor: bigint, currency: string): Movement[] {
  return journal('orphan_refunded', currency, [[`undo:${refundObjectId}`, 'provider_clearing', 'suspense', amountMinor]]);
}

type Part = readonly [leg: string, debit: AccountCode, credit: AccountCode, amountMinor: bigint];

function journal(event: LedgerEvent, currency: string, parts: readonly Part[]): Movement[] {
  return parts
    .filter(([, , , amountMinor]) => amountMinor !== 0n)
    .map(([leg, debit, credit, amountMinor]) => {
      invariant(amountMinor > 0n, 'a movement has a positive amount', { event, leg, amountMinor });
      return { event, leg, debit, credit, amountMinor, currency };
    });
}
