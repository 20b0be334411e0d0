/**
 * A payment provider in memory, behind the same port as the real one: idempotency keys that are kept for a day with whatever was answered, declines,
 * 3-D Secure, fees and lines of its books, refunds that are late or come back, disputes, events that are lost, late or twice, and calls whose answer
 * is lost before or after their effect. It keeps a truth of its own, which the books are compared with at the end.
 *
 * Ids follow from the customer and a count, and each draw of chance from the object it is about: so nothing depends on who calls first.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { invariant } from '../domain/invariant.js';
import { roundedQuotient } from '../domain/money/money.js';
import type { ProviderTruth } from '../chaos/compare-books.js';
import type { Seeded } from '../chaos/seeded.js';
import { isInsideTransaction } from '../platform/inside-transaction.js';
import type {
  Called,
  ChargeRequest,
  DisputeFact,
  PaymentFact,
  PaymentProvider,
  EventPage,
  ProviderEvent,
  ProviderNextAction,
  ProviderRecordFact,
  RefundFact,
  RefundRequest,
  SetupFact,
} from '../ports/provider.js';
import type { Clock } from '../ports/clock.js';
import { CARDS, DECLINES, type Card, type DeclineName } from './cards.js';
import type { Strike, Weather } from './weather.js';

/** Raw bytes of a webhook with its signature. */
export interface Delivery {
  body: Buffer;
  headers: Record<string, string>;
}

/** Where the provider puts what it does later by itself. */
export interface ProviderPlans {
  /** An errand at an instant: a refund settles, a dispute opens. */
  later(at: Date, errand: () => void): void;
  /** A webhook to be brought to us. */
  deliver(at: Date, delivery: Delivery): void;
}

interface Method {
  id: string;
  customer: string;
  card: Card;
  isAttached: boolean;
  /** Says no to every charge from now on; null: as the card does. */
  broken: DeclineName | null;
}

interface Setup {
  id: string;
  customer: string;
  setupRef: string;
  status: SetupFact['status'];
  method: Method | null;
}

interface Charge {
  id: string;
  payment: string;
  isPaid: boolean;
  amountMinor: bigint;
  refundedMinor: bigint;
  currency: string;
  createdAt: Date;
  record: ProviderRecordFact | null;
}

interface Payment {
  id: string;
  customer: string;
  method: Method;
  amountMinor: bigint;
  currency: string;
  intentRef: string;
  invoiceRef: string;
  status: PaymentFact['status'];
  charge: Charge | null;
  decline: DeclineName | null;
  createdAt: Date;
}

interface Refund {
  id: string;
  payment: Payment;
  refundRef: string | null;
  amountMinor: bigint;
  status: RefundFact['status'];
  failureReason: string | null;
  records: ProviderRecordFact[];
}

interface Dispute {
  id: string;
  payment: Payment;
  charge: Charge;
  amountMinor: bigint;
  status: DisputeFact['status'];
  evidenceDueAt: Date;
  records: ProviderRecordFact[];
}

interface KeptAnswer {
  fingerprint: string;
  /** Whatever was answered: a fact, a refusal, a 500. */
  answer: unknown;
  keptUntilMs: number;
}

/** What went wrong with a request: the provider surely did nothing. */
class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long the provider keeps a key, and how long ours protects: an hour less. */
const KEY_KEPT_MS = DAY_MS;
const KEY_LIFE_MS = KEY_KEPT_MS - HOUR_MS;
const PROCESSING_MS = 60_000;
const REFUND_LATER_MS = 4 * HOUR_MS;
const REFUND_BACK_MS = 3 * DAY_MS;
const EVIDENCE_MS = 9 * DAY_MS;
/** 2.9 % of a charge and 0.30 in its currency; 15.00 for a dispute, not given back; refunds cost nothing and give no fee back. */
const FEE_PER_MILLE = 29n;
const FEE_FIXED = 30n;
const DISPUTE_FEE = 1500n;
const SECRET = 'whsec_simulated';
const TOKEN_FORM = /^pm_[A-Za-z0-9_]{3,80}$/;

/** What the provider needs. */
export interface SimulatedProviderOptions {
  clock: Clock;
  weather: Weather;
  seeded: Seeded;
  plans: ProviderPlans;
  accountId: number;
}

/** The provider. The methods of the port are what we call; the rest is what people and banks do there. */
export class SimulatedProvider implements PaymentProvider {
  readonly name = 'stripe';
  readonly accountId: number;
  readonly keyLifeMs = KEY_LIFE_MS;
  readonly publishableKey = 'pk_simulated';

  readonly #clock: Clock;
  readonly #weather: Weather;
  readonly #seeded: Seeded;
  readonly #plans: ProviderPlans;
  readonly #keys = new Map<string, KeptAnswer>();
  readonly #counts = new Map<string, number>();
  readonly #customers = new Set<string>();
  readonly #setups = new Map<string, Setup>();
  readonly #methods = new Map<string, Method>();
  readonly #payments = new Map<string, Payment>();
  readonly #paymentsOf = new Map<string, Payment[]>();
  readonly #refunds = new Map<string, Refund>();
  readonly #refundsOf = new Map<string, Refund[]>();
  readonly #disputes = new Map<string, Dispute>();
  readonly #records: ProviderRecordFact[] = [];
  readonly #events: { event: ProviderEvent; raw: string }[] = [];
  readonly #strikes = new Map<Strike, number>();

  constructor(options: SimulatedProviderOptions) {
    this.#clock = options.clock;
    this.#weather = options.weather;
    this.#seeded = options.seeded;
    this.#plans = options.plans;
    this.accountId = options.accountId;
  }

  createCustomer(request: { idempotencyKey: string; userId: string; env: string }): Promise<Called<{ objectId: string }>> {
    return this.#call('createCustomer', request.userId, request, () => {
      const objectId = `cus_${request.userId}`;
      this.#customers.add(objectId);
      return { objectId };
    });
  }

  startSetup(request: {
    idempotencyKey: string;
    customerObjectId: string;
    setupRef: string;
    env: string;
  }): Promise<Called<SetupFact>> {
    const { customerObjectId: customer } = request;
    return this.#call('startSetup', customer, request, () => {
      if (!this.#customers.has(customer)) throw new Refused('resource_missing', `No such customer: ${customer}`);
      const setup: Setup = {
        id: this.#newId('seti', customer),
        customer,
        setupRef: request.setupRef,
        status: 'open',
        method: null,
      };
      this.#setups.set(setup.id, setup);
      return setupFact(setup);
    });
  }

  confirmSetup(request: {
    idempotencyKey: string;
    setupObjectId: string;
    methodToken: string;
    returnUrl: string;
  }): Promise<Called<SetupFact>> {
    return this.#call('confirmSetup', request.setupObjectId, request, (strike) => {
      const setup = this.#requireSetup(request.setupObjectId);
      const card = CARDS[request.methodToken];
      if (!card) throw new Refused('resource_missing', `No such payment method: ${request.methodToken}`);
      const method: Method = {
        id: this.#newId('pm', setup.customer),
        customer: setup.customer,
        card,
        isAttached: false,
        broken: null,
      };
      if (card.declinesSetup) setup.status = 'declined';
      else {
        this.#methods.set(method.id, method);
        setup.method = method;
        setup.status = card.asks === 'never' ? 'succeeded' : 'requires_action';
        method.isAttached = setup.status === 'succeeded';
      }
      this.#emit(`setup_intent.${setup.status}`, setup.id, tellingAfter(strike));
      return setupFact(setup);
    });
  }

  isMethodToken(text: string): boolean {
    return TOKEN_FORM.test(text);
  }

  readSetup(setupObjectId: string): Promise<Called<SetupFact>> {
    return this.#call('readSetup', setupObjectId, null, () => setupFact(this.#requireSetup(setupObjectId)));
  }

  detachMethod(request: { idempotencyKey: string; methodObjectId: string }): Promise<Called<{ objectId: string }>> {
    return this.#call('detachMethod', request.methodObjectId, request, () => {
      const method = this.#methods.get(request.methodObjectId);
      if (method) method.isAttached = false;
      return { objectId: request.methodObjectId };
    });
  }

  charge(request: ChargeRequest): Promise<Called<PaymentFact>> {
    const { customerObjectId: customer } = request;
    // What renews goes slower for all after a 429: whom that meets depends on who comes first, so it is left to people's calls.
    return this.#call('charge', customer, request, (strike) => this.#charge(request, strike), !request.isOffSession);
  }

  readPayment(paymentObjectId: string): Promise<Called<PaymentFact>> {
    return this.#call('readPayment', paymentObjectId, null, () => paymentFact(this.#requirePayment(paymentObjectId)));
  }

  findPayment(request: { customerObjectId: string; intentRef: string; since: Date }): Promise<Called<PaymentFact | null>> {
    const { customerObjectId: customer, intentRef, since } = request;
    return this.#call('findPayment', customer, null, () => {
      const found = this.#paymentsOf.get(customer)?.find((one) => one.intentRef === intentRef && one.createdAt >= since);
      return found ? paymentFact(found) : null;
    });
  }

  cancelPayment(request: { idempotencyKey: string; paymentObjectId: string }): Promise<Called<PaymentFact>> {
    return this.#call('cancelPayment', request.paymentObjectId, request, (strike) => {
      const payment = this.#requirePayment(request.paymentObjectId);
      if (payment.status === 'succeeded' || payment.status === 'canceled')
        throw new Refused('payment_intent_unexpected_state', `The payment is ${payment.status}.`);
      payment.status = 'canceled';
      this.#emit('payment_intent.canceled', payment.id, tellingAfter(strike));
      return paymentFact(payment);
    });
  }

  refund(request: RefundRequest): Promise<Called<RefundFact>> {
    return this.#call('refund', request.paymentObjectId, request, (strike) => this.#refund(request, strike));
  }

  readRefund(refundObjectId: string): Promise<Called<RefundFact>> {
    return this.#call('readRefund', refundObjectId, null, () => {
      const refund = this.#refunds.get(refundObjectId);
      if (!refund) throw new Refused('resource_missing', `No such refund: ${refundObjectId}`);
      return refundFact(refund);
    });
  }

  findRefund(request: { paymentObjectId: string; refundRef: string }): Promise<Called<RefundFact | null>> {
    return this.#call('findRefund', request.paymentObjectId, null, () => {
      const found = this.#refundsOf.get(request.paymentObjectId)?.find(({ refundRef }) => refundRef === request.refundRef);
      return found ? refundFact(found) : null;
    });
  }

  readDispute(disputeObjectId: string): Promise<Called<DisputeFact>> {
    return this.#call('readDispute', disputeObjectId, null, () => {
      const dispute = this.#disputes.get(disputeObjectId);
      if (!dispute) throw new Refused('resource_missing', `No such dispute: ${disputeObjectId}`);
      return disputeFact(dispute);
    });
  }

  objectKindOf(eventType: string): ProviderEvent['objectKind'] {
    const [first, second] = eventType.split('.');
    if (first === 'payment_intent') return 'payment';
    if (first === 'setup_intent') return 'setup';
    if (first === 'refund') return 'refund';
    return second === 'dispute' ? 'dispute' : 'other';
  }

  readonly successEvents = ['payment_intent.succeeded'];

  openEvent(rawBody: Uint8Array, headers: Readonly<Record<string, string | undefined>>): ProviderEvent | null {
    const signed = Buffer.from(headers['simulated-signature'] ?? '', 'hex');
    const expected = Buffer.from(signatureOf(rawBody), 'hex');
    if (signed.length !== expected.length || !timingSafeEqual(signed, expected)) return null;
    // Signed by us, so it is what #emit wrote.
    const said = JSON.parse(Buffer.from(rawBody).toString('utf8')) as { id: string; type: string; object: string; at: string };
    return {
      eventId: said.id,
      type: said.type,
      objectKind: this.objectKindOf(said.type),
      objectId: said.object,
      createdAt: new Date(said.at),
    };
  }

  listEvents({ from, to }: { from: Date; to: Date }): Promise<Called<EventPage>> {
    return this.#call('listEvents', from.toISOString(), null, () => {
      const first = this.#firstEventAt(from);
      return { events: this.#events.slice(first, this.#firstEventAt(to)), next: null };
    });
  }

  /** Where a payer with an unfinished step of 3-D Secure is led: the payment that waits; null without one. */
  openStepOf(userId: string): string | null {
    return this.#paymentsOf.get(`cus_${userId}`)?.find(({ status }) => status === 'requires_action')?.id ?? null;
  }

  /** What a person does on the bank's page for a payment. */
  finishStep(paymentObjectId: string, outcome: 'complete' | 'fail'): void {
    const payment = this.#requirePayment(paymentObjectId);
    if (payment.status !== 'requires_action') return;
    if (outcome === 'fail') this.#decline(payment, 'authentication_failure', 'news');
    else this.#take(payment, 'news');
  }

  /** What a person does on the bank's page for a card that is being added. */
  finishSetupStep(userId: string, outcome: 'complete' | 'fail'): void {
    const waiting = [...(this.#setupsOf(userId) ?? [])].find(({ status }) => status === 'requires_action');
    if (!waiting) return;
    waiting.status = outcome === 'complete' ? 'succeeded' : 'declined';
    if (waiting.method && outcome === 'complete') waiting.method.isAttached = true;
    this.#emit(`setup_intent.${waiting.status}`, waiting.id, 'news');
  }

  /** The bank says no to a method from now on; `null`: it takes charges again. */
  breakMethod(methodObjectId: string, decline: DeclineName | null): void {
    const method = this.#methods.get(methodObjectId);
    if (method) method.broken = decline;
  }

  /** How often calls went wrong, by how. */
  get strikes(): ReadonlyMap<Strike, number> {
    return this.#strikes;
  }

  get eventCount(): number {
    return this.#events.length;
  }

  /** What really happened, in the words that the books are compared in. */
  truth(): ProviderTruth {
    const payments = [...this.#payments.values()];
    return {
      paymentIntents: payments.map(({ id, status, intentRef, invoiceRef }) => ({
        id,
        status,
        metadata: { intent_id: intentRef, invoice_id: invoiceRef },
      })),
      charges: payments.flatMap(({ id, charge }) =>
        charge === null
          ? []
          : [
              {
                id: charge.id,
                payment_intent: id,
                paid: charge.isPaid,
                amount: Number(charge.amountMinor),
                amount_refunded: Number(charge.refundedMinor),
                currency: charge.currency.toLowerCase(),
                created: charge.createdAt.getTime() / 1_000,
              },
            ],
      ),
      refunds: [...this.#refunds.values()].map(({ id, payment, status, amountMinor }) => ({
        id,
        charge: payment.charge?.id ?? null,
        status,
        amount: Number(amountMinor),
        currency: payment.currency.toLowerCase(),
      })),
      balanceTransactions: this.#records.map(({ nativeId, nativeType, netMinor, currency }) => ({
        id: nativeId,
        type: nativeType,
        net: Number(netMinor),
        currency: currency.toLowerCase(),
      })),
    };
  }

  /**
   * One call: what goes wrong by the weather, the key's kept answer, the effect.
   * @param subject what the call is about, by an id that follows from the seed; calls about one subject come one after the other
   * @param request of a POST with its key; null for a question
   */
  async #call<Fact>(
    operation: string,
    subject: string,
    request: { idempotencyKey: string } | null,
    effect: (strike: Strike | null) => Fact,
    mayBeRateLimited = true,
  ): Promise<Called<Fact>> {
    invariant(!isInsideTransaction(), 'no provider is called inside a database transaction');
    const nth = this.#count(`${operation} ${subject}`);
    const requestId = `req_${operation}_${subject}_${nth}`;
    const strike = this.#weather.strike(operation, `${subject} ${nth}`, mayBeRateLimited);
    if (strike !== null) this.#strikes.set(strike, (this.#strikes.get(strike) ?? 0) + 1);
    const lost = (reason: 'timeout' | 'connection'): Called<Fact> => ({ kind: 'unknown', reason, isReplay: false, requestId });
    if (strike === 'timeout_before') return lost('timeout');
    if (strike === 'reset') return lost('connection');
    if (strike === 'rate_limit') return { kind: 'not_now', reason: 'rate_limited', retryAfterMs: 1_000, requestId };
    const answer = request === null ? this.#run(effect, strike, requestId) : this.#runOnce(request, effect, strike, requestId);
    return strike === 'timeout_after' ? lost('timeout') : answer;
  }

  #runOnce<Fact>(
    request: { idempotencyKey: string },
    effect: (strike: Strike | null) => Fact,
    strike: Strike | null,
    requestId: string,
  ): Called<Fact> {
    const { idempotencyKey, ...rest } = request;
    const fingerprint = JSON.stringify(rest, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
    const nowMs = this.#clock.now().getTime();
    const kept = this.#keys.get(idempotencyKey);
    if (kept && kept.keptUntilMs > nowMs) {
      if (kept.fingerprint !== fingerprint)
        return { kind: 'refused', code: 'idempotency_error', message: 'This key was used for another request.', requestId };
      // Kept under the fingerprint of this very request, so it is of its shape.
      return replayOf(kept.answer as Called<Fact>);
    }
    const answer = this.#run(effect, strike, requestId);
    this.#keys.set(idempotencyKey, { fingerprint, answer, keptUntilMs: nowMs + KEY_KEPT_MS });
    return answer;
  }

  #run<Fact>(effect: (strike: Strike | null) => Fact, strike: Strike | null, requestId: string): Called<Fact> {
    const serverError: Called<Fact> = { kind: 'unknown', reason: 'server_error', isReplay: false, requestId };
    if (strike === 'error_before') return serverError;
    try {
      const fact = effect(strike);
      return strike === 'error_after' ? serverError : { kind: 'fact', fact, requestId };
    } catch (error) {
      if (error instanceof Refused) return { kind: 'refused', code: error.code, message: error.message, requestId };
      throw error;
    }
  }

  #charge(request: ChargeRequest, strike: Strike | null): PaymentFact {
    const { customerObjectId: customer, amountMinor, currency } = request;
    const method = this.#methods.get(request.methodObjectId);
    if (!method?.isAttached || method.customer !== customer)
      throw new Refused('resource_missing', `No such payment method: ${request.methodObjectId}`);
    if (amountMinor <= 0n) throw new Refused('parameter_invalid_integer', 'An amount is positive.');
    const payment: Payment = {
      id: this.#newId('pi', customer),
      customer,
      method,
      amountMinor,
      currency,
      intentRef: request.intentRef,
      invoiceRef: request.invoiceRef,
      status: 'not_executed',
      charge: null,
      decline: null,
      createdAt: this.#clock.now(),
    };
    this.#payments.set(payment.id, payment);
    const own = this.#paymentsOf.get(customer);
    if (own) own.push(payment);
    else this.#paymentsOf.set(customer, [payment]);
    const telling = tellingAfter(strike);
    const decline = method.broken ?? method.card.declines;
    if (decline !== null) this.#decline(payment, decline, telling);
    else if (method.card.asks === 'always') {
      if (request.isOffSession) this.#decline(payment, 'authentication_required', telling);
      else {
        payment.status = 'requires_action';
        this.#emit('payment_intent.requires_action', payment.id, telling);
      }
    } else if (strike === 'processing') {
      payment.status = 'processing';
      this.#emit('payment_intent.processing', payment.id, telling);
      this.#plans.later(this.#after(PROCESSING_MS), () => {
        if (payment.status === 'processing') this.#take(payment, 'news');
      });
    } else this.#take(payment, telling);
    return paymentFact(payment);
  }

  #take(payment: Payment, telling: Telling): void {
    const charge = this.#addCharge(payment, true);
    const { amountMinor, currency } = payment;
    const fee = roundedQuotient(amountMinor * FEE_PER_MILLE, 1_000n) + FEE_FIXED;
    charge.record = this.#book('charge', 'charge', charge.id, null, amountMinor, fee, currency);
    payment.status = 'succeeded';
    payment.decline = null;
    this.#emit('payment_intent.succeeded', payment.id, telling);
    if (payment.method.card.isContested) {
      const chance = this.#seeded.child(`contest ${payment.id}`);
      if (chance.chance(0.3)) this.#plans.later(this.#after(chance.int(3, 20) * DAY_MS), () => this.#contest(payment, charge));
    }
  }

  #decline(payment: Payment, decline: DeclineName, telling: Telling): void {
    this.#addCharge(payment, false);
    payment.status = 'declined';
    payment.decline = decline;
    this.#emit('payment_intent.payment_failed', payment.id, telling);
  }

  #addCharge(payment: Payment, isPaid: boolean): Charge {
    const { amountMinor, currency } = payment;
    const id = this.#newId('ch', payment.customer);
    const createdAt = this.#clock.now();
    const charge = { id, payment: payment.id, isPaid, amountMinor, refundedMinor: 0n, currency, createdAt, record: null };
    payment.charge = charge;
    return charge;
  }

  #refund(request: RefundRequest, strike: Strike | null): RefundFact {
    const payment = this.#requirePayment(request.paymentObjectId);
    const { charge } = payment;
    if (payment.status !== 'succeeded' || !charge?.isPaid)
      throw new Refused('charge_not_refundable', 'The payment has no charge that succeeded.');
    if (this.#disputesOf(charge).some(({ status }) => status !== 'won'))
      throw new Refused('charge_disputed', 'The charge has been charged back.');
    const left = charge.amountMinor - charge.refundedMinor;
    if (request.amountMinor <= 0n || request.amountMinor > left)
      throw new Refused('charge_already_refunded', `Only ${left} is left of the charge.`);
    charge.refundedMinor += request.amountMinor;
    const id = this.#newId('re', payment.customer);
    const { refunds } = payment.method.card;
    const refund: Refund = {
      id,
      payment,
      refundRef: request.refundRef,
      amountMinor: request.amountMinor,
      status: refunds === 'later' ? 'pending' : 'succeeded',
      failureReason: null,
      records: [this.#book('refund', 'refund', id, charge.id, -request.amountMinor, 0n, payment.currency)],
    };
    this.#refunds.set(id, refund);
    this.#refundsOf.set(payment.id, [...(this.#refundsOf.get(payment.id) ?? []), refund]);
    this.#emit('refund.created', id, tellingAfter(strike));
    if (refunds === 'later')
      this.#plans.later(this.#after(REFUND_LATER_MS), () => {
        refund.status = 'succeeded';
        this.#emit('refund.updated', id, 'news');
      });
    if (refunds === 'come_back') this.#plans.later(this.#after(REFUND_BACK_MS), () => this.#bringBack(refund, charge));
    return refundFact(refund);
  }

  #bringBack(refund: Refund, charge: Charge): void {
    refund.status = 'failed';
    refund.failureReason = 'expired_or_canceled_card';
    refund.records.push(
      this.#book('refund_failure', 'refund_failure', refund.id, charge.id, refund.amountMinor, 0n, charge.currency),
    );
    charge.refundedMinor -= refund.amountMinor;
    this.#emit('refund.failed', refund.id, 'news');
  }

  #contest(payment: Payment, charge: Charge): void {
    const amountMinor = charge.amountMinor - charge.refundedMinor;
    if (amountMinor <= 0n) return;
    const id = this.#newId('dp', payment.customer);
    const dispute: Dispute = {
      id,
      payment,
      charge,
      amountMinor,
      status: 'open',
      evidenceDueAt: this.#after(EVIDENCE_MS),
      records: [this.#book('adjustment', 'dispute', id, charge.id, -amountMinor, DISPUTE_FEE, charge.currency)],
    };
    this.#disputes.set(id, dispute);
    this.#emit('charge.dispute.created', id, 'news');
    const chance = this.#seeded.child(`ruling ${id}`);
    const isWon = chance.chance(0.4);
    this.#plans.later(this.#after(chance.int(20, 45) * DAY_MS), () => {
      dispute.status = isWon ? 'won' : 'lost';
      if (isWon)
        dispute.records.push(this.#book('adjustment', 'dispute_reversal', id, charge.id, amountMinor, 0n, charge.currency));
      this.#emit('charge.dispute.closed', id, 'news');
    });
  }

  #disputesOf(charge: Charge): Dispute[] {
    return [...this.#disputes.values()].filter((dispute) => dispute.charge === charge);
  }

  #setupsOf(userId: string): Setup[] {
    const customer = `cus_${userId}`;
    const made = this.#counts.get(`seti ${customer}`) ?? 0;
    return Array.from({ length: made }, (_, at) => this.#setups.get(`seti_${customer}_${at + 1}`)).filter(
      (setup) => setup !== undefined,
    );
  }

  #book(
    nativeType: string,
    kind: ProviderRecordFact['kind'],
    objectId: string,
    parentObjectId: string | null,
    grossMinor: bigint,
    feeMinor: bigint,
    currency: string,
  ): ProviderRecordFact {
    const nativeId = `bt_${objectId}_${this.#count(`bt ${objectId}`)}`;
    const record: ProviderRecordFact = {
      nativeId,
      nativeType,
      kind,
      objectId,
      parentObjectId,
      grossMinor,
      feeMinor,
      netMinor: grossMinor - feeMinor,
      currency,
      occurredAt: this.#clock.now(),
      status: 'succeeded',
      raw: `${nativeId} ${nativeType} ${grossMinor} ${feeMinor} ${currency}`,
    };
    this.#records.push(record);
    return record;
  }

  /** @param telling an event that repeats an answer is sent now and then only; news always is, though it may be lost on its way */
  #emit(type: string, objectId: string, telling: Telling): void {
    const eventId = `evt_${objectId}_${this.#count(`evt ${objectId}`)}`;
    if (telling === 'repeats' && !this.#weather.isRepeated(eventId)) return;
    const now = this.#clock.now();
    const raw = JSON.stringify({ id: eventId, type, object: objectId, at: now.toISOString() });
    const event = { eventId, type, objectKind: this.objectKindOf(type), objectId, createdAt: now };
    this.#events.push({ event, raw });
    const body = Buffer.from(raw);
    const headers = { 'simulated-signature': signatureOf(body) };
    for (const delayMs of this.#weather.fateOf(eventId).delaysMs) this.#plans.deliver(this.#after(delayMs), { body, headers });
  }

  /** Place of the first event at an instant or later; they stand in the order of their time. */
  #firstEventAt(at: Date): number {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const found = this.#events[middle];
      if (found && found.event.createdAt < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #requireSetup(id: string): Setup {
    const setup = this.#setups.get(id);
    if (!setup) throw new Refused('resource_missing', `No such setup: ${id}`);
    return setup;
  }

  #requirePayment(id: string): Payment {
    const payment = this.#payments.get(id);
    if (!payment) throw new Refused('resource_missing', `No such payment: ${id}`);
    return payment;
  }

  #newId(kind: string, customer: string): string {
    return `${kind}_${customer}_${this.#count(`${kind} ${customer}`)}`;
  }

  #count(of: string): number {
    const next = (this.#counts.get(of) ?? 0) + 1;
    this.#counts.set(of, next);
    return next;
  }

  #after(ms: number): Date {
    return new Date(this.#clock.now().getTime() + ms);
  }
}

/** Whether an event repeats an answer that came through, or is news. */
type Telling = 'repeats' | 'news';

function tellingAfter(strike: Strike | null): Telling {
  return strike === null ? 'repeats' : 'news';
}

/** A kept answer given again; a kept 500 says that it was kept. */
function replayOf<Fact>(kept: Called<Fact>): Called<Fact> {
  return kept.kind === 'unknown' ? { ...kept, isReplay: true } : kept;
}

function signatureOf(body: Uint8Array): string {
  return createHmac('sha256', SECRET).update(body).digest('hex');
}

function stepAction(id: string): ProviderNextAction {
  return { type: 'REDIRECT', clientSecret: `${id}_secret`, redirectUrl: `https://bank.simulated/${id}` };
}

function setupFact({ id, setupRef, status, method }: Setup): SetupFact {
  return {
    objectId: id,
    setupRef,
    status,
    method:
      method === null
        ? null
        : {
            objectId: method.id,
            kind: 'card',
            fingerprint: `fp_${method.customer}_${method.card.last4}`,
            brand: method.card.brand,
            last4: method.card.last4,
            expiryMonth: 12,
            expiryYear: 2040,
            wallet: null,
            funding: 'credit',
            issuingCountry: method.card.country,
          },
    nextAction: status === 'requires_action' ? stepAction(id) : null,
    decline: status === 'declined' ? DECLINES.generic_decline : null,
  };
}

function paymentFact(payment: Payment): PaymentFact {
  const { id, status, charge, decline } = payment;
  return {
    objectId: id,
    status,
    chargeId: charge?.id ?? null,
    amountMinor: payment.amountMinor,
    currency: payment.currency,
    intentRef: payment.intentRef,
    decline: decline === null ? null : DECLINES[decline],
    nextAction: status === 'requires_action' ? stepAction(id) : null,
    statementDescriptor: charge?.isPaid ? 'EXAMPLE NETWORK' : null,
    records: charge?.record ? [charge.record] : [],
  };
}

function refundFact({ id, payment, refundRef, amountMinor, status, failureReason, records }: Refund): RefundFact {
  return {
    objectId: id,
    status,
    amountMinor,
    currency: payment.currency,
    refundRef,
    paymentObjectId: payment.id,
    chargeId: payment.charge?.id ?? null,
    failureReason,
    records: [...records],
  };
}

function disputeFact({ id, payment, charge, amountMinor, status, evidenceDueAt, records }: Dispute): DisputeFact {
  return {
    objectId: id,
    paymentObjectId: payment.id,
    chargeId: charge.id,
    amountMinor,
    currency: charge.currency,
    reason: 'fraudulent',
    status,
    evidenceDueAt,
    records: [...records],
  };
}
