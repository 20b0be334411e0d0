import type { Stripe } from 'stripe';
import type { TextPlace } from './journal.js';

/**
 * What the stand-in keeps: Stripe's own objects with their links as ids (expanding happens on the way out), and a few records of its
 * own that no answer shows.
 */

/** The version of the API spoken here: the one that the official client 23.1.0 pins. */
export const API_VERSION = '2026-10-28.endive';

export type StoredCustomer = Stripe.Customer & { default_source: null };
export type StoredPaymentMethod = Stripe.PaymentMethod & { customer: string | null; card: Stripe.PaymentMethod.Card };
export type StoredSetupAttempt = Stripe.SetupAttempt & { customer: string | null; payment_method: string; setup_intent: string };
export type StoredSetupIntent = Stripe.SetupIntent & {
  customer: string | null;
  payment_method: string | null;
  latest_attempt: string | null;
};
export type StoredPaymentIntent = Stripe.PaymentIntent & {
  customer: string | null;
  payment_method: string | null;
  latest_charge: string | null;
  review: string | null;
};
export type StoredCharge = Stripe.Charge & {
  customer: string | null;
  balance_transaction: string | null;
  payment_intent: string | null;
  review: string | null;
};
export type StoredRefund = Stripe.Refund & {
  charge: string;
  payment_intent: string | null;
  balance_transaction: string | null;
  customer: string | null;
  payment_method: string | null;
};
export type StoredDispute = Stripe.Dispute & { charge: string; payment_intent: string | null };
export type StoredBalanceTransaction = Stripe.BalanceTransaction & { source: string | null };
export type StoredPayout = Stripe.Payout & { balance_transaction: string | null };
export type StoredWarning = Stripe.Radar.EarlyFraudWarning & { charge: string };
export type StoredReview = Stripe.Review & { charge: string | null };

/** What is known of a payment method beside Stripe's object: which test card it is, and what became of it. */
export interface CardOnFile {
  /** Id of the payment method. */
  id: string;
  /** Name in the table of test cards. */
  card: string;
  /** Authenticated once for later charges without the payer. */
  isSetUp: boolean;
  /** Taken off its customer; may not be used again (Stripe: detach). */
  isDetached: boolean;
}

/** An event; its text, with the object as it then was, lies in the journal. */
export interface StoredEvent {
  id: string;
  type: Stripe.Event['type'];
  /** Seconds. */
  created: number;
  text: TextPlace;
}

/** One event to one address. */
export interface Delivery {
  id: string;
  event: string;
  eventType: string;
  url: string;
  attempts: number;
  /** Machine time, milliseconds, of the next try; null when no more are due. */
  nextAt: number | null;
  status: 'waiting' | 'delivered' | 'lost' | 'given_up';
  /** HTTP status of the last answer; null when none came. */
  lastStatus: number | null;
}

/** An answer kept under an idempotency key; the body's text lies in the journal. */
export interface KeptAnswer {
  /** The key as the client sent it. */
  id: string;
  /** Hash of method, path and parameters. */
  fingerprint: string;
  status: number;
  /** By the stand-in's clock, milliseconds. */
  keptAt: number;
  /** Request-Id of the first answer. */
  requestId: string;
  text: TextPlace;
}

/** Something the stand-in does by itself when its clock reaches an instant. */
export interface Errand {
  id: string;
  /** By the stand-in's clock, milliseconds. */
  dueAt: number;
  kind: 'finish_payment' | 'open_dispute' | 'warn_of_fraud' | 'settle_refund' | 'fail_refund' | 'pay_out';
  /** Id of the payment intent, charge, refund or payout. */
  subject: string;
  /** For a dispute: its reason; for a refund that fails: why. */
  reason: string;
  /** For a dispute: an inquiry, which moves no money. */
  isInquiry: boolean;
  /** For a dispute: in how many equal parts the charge is disputed, this being one. */
  parts: number;
}

/** Where webhooks go. */
export interface WebhookEndpoint {
  id: string;
  url: string;
  secret: string;
}

/** How the stand-in is set. One row. */
export interface SandboxSettings {
  id: 'settings';
  /** Ids follow from it: the same seed and the same requests give the same ids. */
  seed: string;
  /** Where the clock stands still, milliseconds; null: it runs. */
  clockStandsAt: number | null;
  /** How far the clock runs ahead of the machine's, milliseconds; where it is missing it goes with it. */
  clockAheadMs?: number;
  /** The currency all balances settle in; null: each currency for itself. */
  settlementCurrency: string | null;
  /** Whether Stripe's limits per endpoint hold (25 requests a second). */
  hasRateLimits: boolean;
}
