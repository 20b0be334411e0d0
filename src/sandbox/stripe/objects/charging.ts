import type { Stripe } from 'stripe';
import { DECLINES, type Authentication, type Decline } from '../cards.js';
import { chargeFee } from '../fees.js';
import type { StoredCharge, StoredPaymentIntent } from '../shapes.js';
import type { Unit } from '../state.js';
import { recordMovement } from './balance.js';
import type { UsableMethod } from './payment-methods.js';

/** Whether a card's holder must authenticate: no, yes, or it cannot be asked and the issuer declines. */
type AuthenticationNeed = 'none' | 'challenge' | 'declines';

/** @param isAsked the request asks for 3-D Secure whenever the card can do it */
export function authenticationNeed(
  rule: Authentication,
  how: { isOffSession: boolean; isSetUp: boolean; isAsked: boolean },
): AuthenticationNeed {
  switch (rule) {
    case 'never':
      return 'none';
    case 'always':
      return how.isOffSession ? 'declines' : 'challenge';
    case 'until_set_up':
      return how.isOffSession ? (how.isSetUp ? 'none' : 'declines') : 'challenge';
    case 'with_payer_only':
      return how.isOffSession ? 'none' : 'challenge';
    case 'when_asked':
      return how.isAsked && !how.isOffSession ? 'challenge' : 'none';
  }
}

/** How a try is made. */
interface ChargeTry {
  isAuthenticated: boolean;
  /** The issuer's answer that a fault or a lacking authentication forces; null: the card decides. */
  decline: Decline | null;
}

/** What came of a try; `decline` is null when the money moved. */
export interface ChargeResult {
  charge: StoredCharge;
  decline: Decline | null;
}

/** Charges a card once: moves the money, or leaves a failed charge. */
export function charge(unit: Unit, intent: StoredPaymentIntent, usable: UsableMethod, tried: ChargeTry): ChargeResult {
  const { card, method } = usable;
  const named = tried.isAuthenticated ? (card.declineAfterAuthentication ?? card.decline) : card.decline;
  const decline = tried.decline ?? (card.isBlocked ? DECLINES.fraudulent : named ? DECLINES[named] : null);
  const id = unit.id('ch');
  const movement = decline
    ? null
    : recordMovement(unit, {
        type: 'charge',
        reportingCategory: 'charge',
        amount: intent.amount,
        currency: intent.currency,
        fee: { of: (amount, currency) => chargeFee(amount, currency, card.country), description: 'Stripe processing fees' },
        source: id,
        description: intent.description,
        ...(card.bypassesPending && { isAvailableAtOnce: true }),
      });
  const review = card.risk === 'elevated' && !decline ? unit.id('prv') : null;
  const made = unit.put(unit.state.charges, {
    ...UNUSED_FIELDS,
    id,
    object: 'charge',
    amount: intent.amount,
    amount_captured: decline ? 0 : intent.amount,
    balance_transaction: movement?.id ?? null,
    billing_details: method.billing_details,
    calculated_statement_descriptor: decline ? null : statementDescriptor(intent),
    captured: !decline,
    created: unit.seconds,
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    metadata: intent.metadata,
    outcome: outcomeOf(usable, decline, tried.decline === null),
    paid: !decline,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: { card: cardUsed(unit, usable, intent.amount, tried.isAuthenticated), type: 'card' },
    review,
    statement_descriptor: intent.statement_descriptor,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status: decline ? 'failed' : 'succeeded',
  });
  unit.emit(decline ? 'charge.failed' : 'charge.succeeded', made);
  if (!decline) followUp(unit, made, usable, review);
  return { charge: made, decline };
}

const STATEMENT_NAME = 'SANDBOX';

function statementDescriptor(intent: StoredPaymentIntent): string {
  const suffix = intent.statement_descriptor_suffix;
  return (intent.statement_descriptor ?? (suffix ? `${STATEMENT_NAME}* ${suffix}` : STATEMENT_NAME)).slice(0, 22);
}

/** What a charge of ours never has. */
const UNUSED_FIELDS = {
  amount_refunded: 0,
  application: null,
  application_fee: null,
  application_fee_amount: null,
  disputed: false,
  failure_balance_transaction: null,
  fraud_details: {},
  livemode: false,
  on_behalf_of: null,
  receipt_email: null,
  receipt_number: null,
  receipt_url: null,
  refunded: false,
  shipping: null,
  source: null,
  source_transfer: null,
  transfer_data: null,
  transfer_group: null,
} satisfies Partial<Stripe.Charge>;

function outcomeOf({ card }: UsableMethod, decline: Decline | null, isCardsOwn: boolean): Stripe.Charge.Outcome {
  const risk = { risk_level: card.risk, risk_score: { normal: 20, elevated: 66, highest: 92 }[card.risk] };
  const none = { advice_code: null, network_advice_code: null, network_decline_code: null };
  if (!decline) {
    return card.risk === 'elevated'
      ? {
          ...none,
          ...risk,
          network_status: 'approved_by_network',
          reason: 'elevated_risk_level',
          seller_message: 'Stripe evaluated this payment as having elevated risk, and placed it in your manual review queue.',
          type: 'manual_review',
        }
      : {
          ...none,
          ...risk,
          network_status: 'approved_by_network',
          reason: null,
          seller_message: 'Payment complete.',
          type: 'authorized',
        };
  }
  if (card.isBlocked && isCardsOwn) {
    return {
      ...none,
      ...risk,
      network_status: 'not_sent_to_network',
      reason: 'highest_risk_level',
      seller_message: 'Stripe blocked this payment as too risky.',
      type: 'blocked',
    };
  }
  return {
    ...risk,
    advice_code: decline.adviceCode,
    network_advice_code: decline.networkAdviceCode,
    network_decline_code: decline.networkDeclineCode,
    network_status: 'declined_by_network',
    reason: decline.declineCode,
    seller_message: 'The bank did not return any further details with this decline.',
    type: 'issuer_declined',
  };
}

function cardUsed(
  unit: Unit,
  { method, card }: UsableMethod,
  amount: number,
  isAuthenticated: boolean,
): Stripe.Charge.PaymentMethodDetails.Card {
  const { brand, checks, country, exp_month, exp_year, fingerprint, funding, last4 } = method.card;
  return {
    amount_authorized: amount,
    authorization_code: null,
    brand,
    checks,
    country,
    electronic_commerce_indicator: null,
    exp_month,
    exp_year,
    ...(fingerprint !== undefined && { fingerprint }),
    funding,
    installments: null,
    last4,
    mandate: null,
    network: card.brand,
    network_transaction_id: unit.id('').slice(-15),
    regulated_status: 'unregulated',
    three_d_secure: isAuthenticated
      ? {
          authentication_flow: 'challenge',
          electronic_commerce_indicator: '05',
          exemption_indicator: null,
          result: 'authenticated',
          result_reason: null,
          transaction_id: unit.secret().slice(0, 20),
          version: '2.2.0',
        }
      : null,
    transaction_link_id: null,
    wallet: null,
  };
}

/** What certain cards bring on by themselves: reviews at once; disputes and warnings right after the answer. */
function followUp(unit: Unit, made: StoredCharge, { card }: UsableMethod, review: string | null): void {
  const errand = { subject: made.id, dueAt: unit.state.now, isInquiry: false, parts: 1, reason: '' };
  if (review) {
    const opened = unit.put(unit.state.reviews, {
      id: review,
      object: 'review',
      billing_zip: null,
      charge: made.id,
      closed_reason: null,
      created: unit.seconds,
      ip_address: null,
      ip_address_location: null,
      livemode: false,
      open: true,
      opened_reason: 'rule',
      ...(typeof made.payment_intent === 'string' && { payment_intent: made.payment_intent }),
      reason: 'rule',
      session: null,
    });
    unit.emit('review.opened', opened);
  }
  if (card.hasFraudWarning) unit.put(unit.state.errands, { ...errand, id: unit.id('errand'), kind: 'warn_of_fraud' });
  for (let part = 0; part < (card.dispute?.parts ?? 0); part++) {
    unit.put(unit.state.errands, { ...errand, id: unit.id('errand'), kind: 'open_dispute', reason: '', ...card.dispute });
  }
}
