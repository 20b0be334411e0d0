/**
 * What a use case takes and gives. A use case answers with ids and refusals; objects are read afresh by whoever presents them,
 * so that a repeat of a request and its first answer are built alike.
 */
import type { ToldResidence } from '../domain/customer/residence.js';
import type { GiftId, PaymentMethodId, PriceId, PurchaseId, SetupId, SubscriptionId, TransactionId } from '../domain/ids.js';
import type { InvoiceSums } from '../domain/invoice/invoice.js';
import type { InvoiceLine } from '../domain/invoice/line.js';
import type { Money } from '../domain/money/money.js';
import type { PaymentFailure } from '../domain/payment/decline.js';
import type { ChangeTiming } from '../domain/subscription/change-tier.js';
import type { UpcomingInvoice } from '../domain/subscription/upcoming.js';
import type { ProviderNextAction } from '../ports/provider.js';

/** Who asks. Comes from a verified token, never from input. */
export interface Actor {
  /** The platform's id of the caller (token claim `sub`). */
  userId: string;
  /** Scopes of the token, e.g. monetization:support. */
  scopes: ReadonlySet<string>;
  /** Where the user lives by the token; left out where nothing was said. */
  residence?: ToldResidence;
  /** Request id, written to audit entries and logs. */
  requestId: string;
}

/** Machine-readable reasons of a refusal: exactly the values of BillingErrorCode. */
export type RefusalCode =
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'INVALID_STATE'
  | 'ALREADY_SUBSCRIBED'
  | 'NOT_FOR_SALE'
  | 'PAYMENT_DECLINED'
  | 'PAYMENT_METHOD_UNUSABLE'
  | 'COUPON_NOT_APPLICABLE'
  | 'TRIAL_ALREADY_USED'
  | 'REFUND_EXCEEDS_CHARGE'
  | 'PRICE_CHANGED'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'IDEMPOTENCY_IN_PROGRESS'
  | 'RISK_REFUSED'
  | 'PROVIDER_UNAVAILABLE'
  | 'RATE_LIMITED'
  | 'STALE_VERSION';

/** A refusal as data: becomes one entry of `userErrors`. */
export interface Refusal {
  code: RefusalCode;
  /** English text for developers. */
  message: string;
  /** Path of the offending input field, e.g. ['input', 'coupon']. */
  field: string[] | null;
  /** The subscription in the way (ALREADY_SUBSCRIBED, INVALID_STATE, STALE_VERSION). */
  subscriptionId?: SubscriptionId;
  /** Why the payment failed (PAYMENT_DECLINED). */
  failure?: PaymentFailure;
  /** Shortest sensible delay before the same request (IDEMPOTENCY_IN_PROGRESS, PROVIDER_UNAVAILABLE, RATE_LIMITED), milliseconds. */
  retryAfterMs?: number;
}

/** Common to every answer. */
export interface Answered {
  refusals: Refusal[];
  /** The key was seen before; nothing was decided anew. */
  isReplay: boolean;
}

export interface SubscribeCommand {
  priceId: PriceId;
  /** null: the user's default method. */
  paymentMethodId: PaymentMethodId | null;
  coupon: string | null;
  useTrial: boolean;
  expectedAmount: Money | null;
  returnUrl: string | null;
  idempotencyKey: string;
}
export interface SubscribeAnswer extends Answered {
  subscriptionId: SubscriptionId | null;
  transactionId: TransactionId | null;
}

export interface ApplyCouponCommand {
  subscriptionId: SubscriptionId;
  /** As typed. */
  code: string;
}
export interface CouponPreviewCommand {
  /** As typed. */
  code: string;
  priceId: PriceId;
}
/** An invoice that is not there yet; nothing of it is stored. */
export interface PreviewedInvoice {
  lines: readonly (Pick<InvoiceLine, 'netMinor' | 'discountMinor' | 'isProration'> & {
    description: string;
    covers: { start: Date; end: Date } | null;
  })[];
  sums: InvoiceSums;
  chargeAt: Date;
  currency: string;
}

export interface PurchaseCommand {
  priceId: PriceId;
  /** 1 to 100. */
  quantity: number;
  paymentMethodId: PaymentMethodId | null;
  /** For all of it. */
  expectedAmount: Money | null;
  returnUrl: string | null;
  idempotencyKey: string;
}
export interface PurchaseAnswer extends Answered {
  purchaseId: PurchaseId | null;
  transactionId: TransactionId | null;
}

export interface CancelSubscriptionCommand {
  subscriptionId: SubscriptionId;
  immediately: boolean;
  /** A CancellationReason in lower case. */
  reason: string | null;
  comment: string | null;
  expectedVersion: number | null;
  idempotencyKey: string;
}
export interface ResumeSubscriptionCommand {
  subscriptionId: SubscriptionId;
  expectedVersion: number | null;
  idempotencyKey: string;
}
export interface PauseSubscriptionCommand {
  subscriptionId: SubscriptionId;
  /** null: until further notice. */
  resumesAt: Date | null;
  idempotencyKey: string;
}
export interface SubscriptionAnswer extends Answered {
  subscriptionId: SubscriptionId | null;
}

export interface ResumeSubscriptionAnswer extends SubscriptionAnswer {
  /** The charge of the period that ends a pause; null where nothing was charged. */
  transactionId: TransactionId | null;
}

export interface GiftSubscriptionCommand {
  priceId: PriceId;
  /** 1 to 12. */
  periods: number;
  /** null: whoever has the code. */
  recipientId: string | null;
  /** The recipient is not told who gave. */
  isAnonymous: boolean;
  /** null: the user's default method. */
  paymentMethodId: PaymentMethodId | null;
  idempotencyKey: string;
}
export interface GiftSubscriptionAnswer extends Answered {
  giftId: GiftId | null;
  transactionId: TransactionId | null;
  /** To be handed over; null for a gift by name, and where nothing was given. */
  claimCode: string | null;
}
export interface ClaimGiftCommand {
  giftId: GiftId;
  /** From the code; null: it was given to the caller by name. */
  secret: string | null;
}
export interface ClaimGiftAnswer extends Answered {
  giftId: GiftId | null;
  /** What it began or prolonged; null where its value went to the balance. */
  subscriptionId: SubscriptionId | null;
}

export interface ChangeTierCommand {
  subscriptionId: SubscriptionId;
  newPriceId: PriceId;
  /** null: now for an upgrade, at the end of the period for a downgrade. */
  timing: ChangeTiming | null;
  /** From the preview: exactly its amounts, or PRICE_CHANGED. */
  quoteId: string | null;
  expectedVersion: number | null;
  idempotencyKey: string;
}
export interface ChangeTierAnswer extends Answered {
  subscriptionId: SubscriptionId | null;
  /** The payment of the difference; null when nothing was due. */
  transactionId: TransactionId | null;
}
/** A change of tier about to be shown with what it costs. */
export interface PreviewTierChangeQuery {
  subscriptionId: SubscriptionId;
  newPriceId: PriceId;
  timing: ChangeTiming | null;
}
export interface TierChangePreview {
  isUpgrade: boolean;
  effectiveAt: Date;
  dueNow: Money;
  credit: Money;
  next: UpcomingInvoice;
  quoteId: string;
  expiresAt: Date;
}

export interface ConfirmPaymentAnswer extends Answered {
  transactionId: TransactionId | null;
}

export interface StartSetupCommand {
  kind: 'card' | 'paypal' | 'bank_account';
  makeDefault: boolean;
  returnUrl: string | null;
  idempotencyKey: string;
}
/** A step as handed to the owner, with what the client's SDK needs. */
export interface NextActionForOwner extends ProviderNextAction {
  provider: 'stripe' | 'paypal' | 'plaid';
  publishableKey: string | null;
  expiresAt: Date | null;
}
export interface StartSetupAnswer extends Answered {
  setupId: SetupId | null;
  nextAction: NextActionForOwner | null;
}
export interface CompleteSetupCommand {
  setupId: SetupId;
  providerToken: string | null;
}
export interface CompleteSetupAnswer extends Answered {
  paymentMethodId: PaymentMethodId | null;
  nextAction: NextActionForOwner | null;
}
export interface MethodAnswer extends Answered {
  paymentMethodId: PaymentMethodId | null;
}

export interface RefundCommand {
  transactionId: TransactionId;
  /** null: all that is left. */
  amount: Money | null;
  reason: 'requested' | 'duplicate' | 'fraudulent' | 'service_failure' | 'legal';
  note: string | null;
  endSubscription: boolean;
  idempotencyKey: string;
}
export interface RefundAnswer extends Answered {
  refundId: TransactionId | null;
  originalId: TransactionId | null;
}

/** A search of staff, and what it found. */
export interface SearchMade {
  /** The user it was narrowed to; null: everybody. */
  userId: string | null;
  /** What was asked, as JSON. */
  asked: string;
  /** Users whose transactions are about to be shown. */
  shownUserIds: readonly string[];
}

export interface GrantEntitlementCommand {
  /** Who. */
  userId: string;
  /** Machine name of the feature. */
  feature: string;
  expiresAt: Date;
  /** Why. */
  note: string;
  idempotencyKey: string;
}
export interface GrantEntitlementAnswer extends Answered {
  /** Row of the right given. */
  grantId: string | null;
}

/** Every verb of the graph; each call is one use case. `scope` checks have been made by the resolver and are made again here where money moves. */
export interface Commands {
  subscribe(actor: Actor, command: SubscribeCommand): Promise<SubscribeAnswer>;
  purchase(actor: Actor, command: PurchaseCommand): Promise<PurchaseAnswer>;
  cancelSubscription(actor: Actor, command: CancelSubscriptionCommand): Promise<SubscriptionAnswer>;
  pauseSubscription(actor: Actor, command: PauseSubscriptionCommand): Promise<SubscriptionAnswer>;
  resumeSubscription(actor: Actor, command: ResumeSubscriptionCommand): Promise<ResumeSubscriptionAnswer>;
  giftSubscription(actor: Actor, command: GiftSubscriptionCommand): Promise<GiftSubscriptionAnswer>;
  /** Takes no key: a gift is claimed once, and whoever has it is answered alike. */
  claimGift(actor: Actor, command: ClaimGiftCommand): Promise<ClaimGiftAnswer>;
  changeTier(actor: Actor, command: ChangeTierCommand): Promise<ChangeTierAnswer>;
  cancelPendingTierChange(actor: Actor, command: { subscriptionId: SubscriptionId }): Promise<ChangeTierAnswer>;
  /** What a change would cost now; null when there is no such subscription of the caller, or it would be refused. Stores nothing. */
  previewTierChange(actor: Actor, query: PreviewTierChangeQuery): Promise<TierChangePreview | null>;
  confirmPayment(actor: Actor, command: { transactionId: TransactionId }): Promise<ConfirmPaymentAnswer>;
  startPaymentMethodSetup(actor: Actor, command: StartSetupCommand): Promise<StartSetupAnswer>;
  completePaymentMethodSetup(actor: Actor, command: CompleteSetupCommand): Promise<CompleteSetupAnswer>;
  setDefaultPaymentMethod(actor: Actor, command: { paymentMethodId: PaymentMethodId }): Promise<MethodAnswer>;
  removePaymentMethod(actor: Actor, command: { paymentMethodId: PaymentMethodId }): Promise<MethodAnswer>;
  /** @throws Forbidden when the amount is above the agent's limit. */
  refund(actor: Actor, command: RefundCommand): Promise<RefundAnswer>;
  grantEntitlement(actor: Actor, command: GrantEntitlementCommand): Promise<GrantEntitlementAnswer>;
  applyCoupon(actor: Actor, command: ApplyCouponCommand): Promise<SubscriptionAnswer>;
  /** What a code would give the caller on a price; null when it does not apply. Stores nothing. */
  couponPreview(actor: Actor, command: CouponPreviewCommand): Promise<PreviewedInvoice | null>;
  /** Writes the audit entry that staff looked at a user; false when the user has no account here. */
  openCustomerAccount(actor: Actor, userId: string): Promise<boolean>;
  /** Writes the audit entries of a search of staff; nothing that was found may be shown before. */
  auditSearch(actor: Actor, search: SearchMade): Promise<void>;
}
