/**
 * The door to a payment provider. Adapters (src/providers/*) turn an SDK's shapes into these and back; nothing else knows an SDK.
 * No method may be called inside a database transaction. Every POST carries the key it is given; a repeat under the same key is harmless.
 * Amounts are ISO 4217 minor units (the adapter converts where a provider counts otherwise); instants are UTC.
 */
export type ProviderName = 'stripe' | 'paypal' | 'plaid';

/**
 * What came of one call (classes of the answer).
 * - `fact`: the provider told how its object stands; a decline is a fact too.
 * - `refused`: it surely did nothing (400, 404: the request itself was wrong).
 * - `not_now`: it surely did nothing and the same request under the same key may go again (429, 401, 403, or never connected).
 * - `unknown`: timeout, reset, 5xx, key in flight, unreadable or mismatching answer: money may have moved. `isReplay`: a stored 500 came back, so re-sending is pointless.
 */
export type Called<Fact> =
  | { kind: 'fact'; fact: Fact; requestId: string | null }
  | { kind: 'refused'; code: string; message: string; requestId: string | null }
  | { kind: 'not_now'; reason: 'rate_limited' | 'unauthorized'; retryAfterMs: number; requestId: string | null }
  | {
      kind: 'unknown';
      reason: 'timeout' | 'connection' | 'server_error' | 'in_flight' | 'mismatch';
      isReplay: boolean;
      requestId: string | null;
    };

/** Codes of a decline, raw and never swapped. */
export interface DeclineCodes {
  /** Error code, e.g. card_declined, expired_card. */
  code: string | null;
  /** Decline code, e.g. insufficient_funds. */
  declineCode: string | null;
  adviceCode: string | null;
  networkDeclineCode: string | null;
  networkAdviceCode: string | null;
}

/** A step the user must do at the provider. */
export interface ProviderNextAction {
  type: 'CONFIRM_WITH_SDK' | 'REDIRECT';
  clientSecret: string | null;
  redirectUrl: string | null;
}

/** One line of the provider's own books (Stripe: a balance transaction). gross - fee = net; gross is signed from our side. */
export interface ProviderRecordFact {
  nativeId: string;
  /** The provider's own word for the line, e.g. charge, refund, adjustment. */
  nativeType: string;
  kind: 'charge' | 'refund' | 'refund_failure' | 'dispute' | 'dispute_reversal' | 'other';
  /** Object the line is about (charge, refund, dispute). */
  objectId: string | null;
  /** For refunds and disputes: the charge they are about. */
  parentObjectId: string | null;
  grossMinor: bigint;
  feeMinor: bigint;
  netMinor: bigint;
  /** Settlement currency; may differ from the charge's. */
  currency: string;
  occurredAt: Date;
  status: string;
  /** Canonical text of the provider's object, for the digest. */
  raw: string;
}

/** How a payment stands at the provider. */
export interface PaymentFact {
  /** The payment's object at the provider (Stripe: pi_...). */
  objectId: string;
  /** `not_executed`: the object exists, nothing was tried for this attempt yet. */
  status: 'succeeded' | 'processing' | 'requires_action' | 'declined' | 'canceled' | 'not_executed';
  /** The charge of the latest try (Stripe: ch_...). */
  chargeId: string | null;
  amountMinor: bigint;
  currency: string;
  /** Our payment intent's public id, from metadata. */
  intentRef: string | null;
  /** The codes of the last decline, when there was one. */
  decline: DeclineCodes | null;
  nextAction: ProviderNextAction | null;
  statementDescriptor: string | null;
  /** Lines of the provider's books met in the same answer. */
  records: ProviderRecordFact[];
}

/** How a refund stands at the provider. */
export interface RefundFact {
  objectId: string;
  status: 'pending' | 'succeeded' | 'failed' | 'canceled';
  amountMinor: bigint;
  currency: string;
  /** Our refund's public id (txn_...), from metadata; null for one made in the provider's dashboard. */
  refundRef: string | null;
  paymentObjectId: string | null;
  chargeId: string | null;
  failureReason: string | null;
  records: ProviderRecordFact[];
}

/** How a dispute stands at the provider. */
export interface DisputeFact {
  objectId: string;
  paymentObjectId: string | null;
  chargeId: string;
  amountMinor: bigint;
  currency: string;
  reason: string | null;
  status: 'inquiry' | 'open' | 'under_review' | 'won' | 'lost' | 'closed';
  evidenceDueAt: Date | null;
  /** Zero, one (withdrawn) or two (withdrawn, reinstated) lines. */
  records: ProviderRecordFact[];
}

/** A way to pay, as the provider keeps it. */
export interface MethodFact {
  objectId: string;
  kind: 'card';
  fingerprint: string | null;
  brand: string | null;
  last4: string | null;
  expiryMonth: number | null;
  expiryYear: number | null;
  wallet: string | null;
  funding: string | null;
  issuingCountry: string | null;
}

/** How the adding of a payment method stands at the provider. */
export interface SetupFact {
  objectId: string;
  /** Public id of our setup (set_...), from metadata; null for one that is not ours. */
  setupRef: string | null;
  status: 'open' | 'requires_action' | 'succeeded' | 'declined' | 'canceled';
  method: MethodFact | null;
  nextAction: ProviderNextAction | null;
  decline: DeclineCodes | null;
}

/** Everything needed to send, and to send again unchanged, one charge. */
export interface ChargeRequest {
  idempotencyKey: string;
  amountMinor: bigint;
  currency: string;
  customerObjectId: string;
  methodObjectId: string;
  /** The payer is not present (renewals). */
  isOffSession: boolean;
  returnUrl: string | null;
  /** Public ids and the cell's name, kept as metadata on the provider's object. */
  intentRef: string;
  invoiceRef: string;
  env: string;
}

/** Everything needed to send, and to send again unchanged, one refund. */
export interface RefundRequest {
  idempotencyKey: string;
  paymentObjectId: string;
  amountMinor: bigint;
  currency: string;
  /** Public id of our refund (txn_...). */
  refundRef: string;
  env: string;
  reason: 'requested' | 'duplicate' | 'fraudulent' | 'service_failure' | 'legal';
}

/** A verified event: a hint that an object changed. Its state is fetched, never taken from the event. */
export interface ProviderEvent {
  eventId: string;
  type: string;
  /** Kind of object to fetch; `other` is stored and ignored. */
  objectKind: 'payment' | 'refund' | 'dispute' | 'setup' | 'other';
  objectId: string | null;
  createdAt: Date;
}

/** A payment provider. Which of its accounts is settled when the adapter is made. */
export interface PaymentProvider {
  readonly name: ProviderName;
  /** Row id of our merchant account at this provider. */
  readonly accountId: number;
  /** How long a key protects a charge or refund, milliseconds (ours: shorter than the provider's promise). */
  readonly keyLifeMs: number;
  /** Handed to clients with a next action; null where none is needed. */
  readonly publishableKey: string | null;

  createCustomer(request: { idempotencyKey: string; userId: string; env: string }): Promise<Called<{ objectId: string }>>;

  startSetup(request: {
    idempotencyKey: string;
    customerObjectId: string;
    setupRef: string;
    env: string;
  }): Promise<Called<SetupFact>>;
  /** Confirms with a token the client holds; a decline is a fact with status `declined`. */
  confirmSetup(request: {
    idempotencyKey: string;
    setupObjectId: string;
    methodToken: string;
    returnUrl: string;
  }): Promise<Called<SetupFact>>;
  /** Whether a text has the form of a method's token; anything else, a card number above all, goes nowhere. */
  isMethodToken(text: string): boolean;
  readSetup(setupObjectId: string): Promise<Called<SetupFact>>;
  /** Takes a method off the customer at the provider; done already counts as done. */
  detachMethod(request: { idempotencyKey: string; methodObjectId: string }): Promise<Called<{ objectId: string }>>;

  /** Creates and confirms in one call. */
  charge(request: ChargeRequest): Promise<Called<PaymentFact>>;
  readPayment(paymentObjectId: string): Promise<Called<PaymentFact>>;
  /** A complete listing of the customer's payments since an instant, for the one with this intent; null when surely not listed. */
  findPayment(request: { customerObjectId: string; intentRef: string; since: Date }): Promise<Called<PaymentFact | null>>;
  cancelPayment(request: { idempotencyKey: string; paymentObjectId: string }): Promise<Called<PaymentFact>>;

  refund(request: RefundRequest): Promise<Called<RefundFact>>;
  readRefund(refundObjectId: string): Promise<Called<RefundFact>>;
  findRefund(request: { paymentObjectId: string; refundRef: string }): Promise<Called<RefundFact | null>>;

  readDispute(disputeObjectId: string): Promise<Called<DisputeFact>>;

  /** What an event of this type is about. */
  objectKindOf(eventType: string): ProviderEvent['objectKind'];
  /** Types of events that tell no more than that a payment succeeded. */
  readonly successEvents: readonly string[];
  /** Checks the signature over the raw bytes; null when forged, too old or from the future. */
  openEvent(rawBody: Uint8Array, headers: Readonly<Record<string, string | undefined>>, now: Date): ProviderEvent | null;
  /** One page of the provider's own list of the events of a span [from, to); `after` is what the page before told, null for the first. */
  listEvents(request: { from: Date; to: Date; after: string | null }): Promise<Called<EventPage>>;
}

/** A page of a provider's list of events. */
export interface EventPage {
  /** Each with its raw object as text. */
  events: { event: ProviderEvent; raw: string }[];
  /** What the next page is asked for with; null: this was the last. */
  next: string | null;
}
