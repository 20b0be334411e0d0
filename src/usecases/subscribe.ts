import { CONSENT_TEXT_VERSION } from '../domain/consent/consent.js';
import { trialNotices } from '../domain/consent/notices.js';
import type { CouponId, PaymentMethodId, PriceId, SubscriptionId, TierId, TransactionId } from '../domain/ids.js';
import { quoteSubscribe, type SubscribeQuote } from '../domain/subscription/subscribe.js';
import { entitledUntilFor } from '../domain/subscription/subscription.js';
import { identitiesOf, TRIAL_WITHOUT_METHOD, type PersonFacts } from '../domain/subscription/trial.js';
import { keyBucket } from '../platform/json.js';
import { claimCoupon } from '../store/coupons.store.js';
import { loadProviderCustomer, lockCaller, type CustomerRow } from '../store/customers.store.js';
import type { InvoicePurpose } from '../store/invoices.store.js';
import { loadMethod, type PaymentMethodRow } from '../store/payment-methods.store.js';
import { loadFirstCharge } from '../store/payments.store.js';
import {
  insertSubscription,
  loadLiveSubscription,
  loadTierPrice,
  type PriceRow,
  type SubscriptionRow,
  type TierRow,
} from '../store/subscriptions.store.js';
import { planNotices } from '../store/notices.store.js';
import { claimTrial, listTrialsUsed } from '../store/trials.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { newId, own, refusal, returnUrlOf, type Cashier } from './cashier.js';
import type { Actor, Refusal, SubscribeAnswer, SubscribeCommand } from './contract.js';
import { describedLine, issueInvoice, type InvoicePlan } from './issue-invoice.js';
import { targetPrice } from './billed-price.js';
import { loadCouponFacts, loadTerms, personOf } from './load-terms.js';
import { runCommand } from './run-command.js';

/**
 * Starts a subscription and charges its first period; with a trial, or where a coupon or the balance leaves nothing due, it begins at
 * once and nothing is charged. Refusals: those of quoteSubscribe, and INVALID_INPUT for a return address not allowed.
 */
export const subscribe =
  (cashier: Cashier) =>
  async (actor: Actor, command: SubscribeCommand): Promise<SubscribeAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const bucket = keyBucket(userId);
    const ids = {
      subscription: newId(cashier, 'sub', bucket),
      invoice: newId(cashier, 'inv', bucket),
      intent: newId(cashier, 'pin', bucket),
      transaction: newId(cashier, 'txn', bucket),
      redemption: newId(cashier, 'cpn', bucket),
      consent: newId(cashier, 'aud', bucket),
    };
    const returnUrl = returnUrlOf(cashier, command.returnUrl);
    if (typeof returnUrl !== 'string')
      return { subscriptionId: null, transactionId: null, refusals: [returnUrl], isReplay: false };
    let begun: TransactionId | null = null;
    const end = await runCommand<SubscriptionId>(cashier, {
      scope: own(userId),
      operation: 'subscribe',
      key: idempotencyKey,
      input,
      resultType: 'subscription',
      resultId: ids.subscription,
      work: async (uow) => {
        begun = null;
        const customer = await lockCaller(uow, actor);
        const found = await loadTierPrice(uow, command.priceId);
        const method = await methodFor(uow, customer, command.paymentMethodId);
        const person = personOf(userId, method);
        const decision = await quote(uow, command, { customer, found, method, person });
        if (decision.kind === 'refused') {
          const { code, message, field, subscriptionId } = decision;
          return [refusal(code, message, field, subscriptionId === undefined ? {} : { subscriptionId })];
        }
        const isDue = decision.sums.dueMinor > 0n;
        const customerObjectId = isDue ? await loadProviderCustomer(uow, userId, cashier.provider.accountId) : null;
        if (!found || (isDue && (!method || customerObjectId === null))) return [unusable()];
        await insertSubscription(
          uow,
          {
            id: ids.subscription,
            userId,
            tierGroup: found.tier.tierGroup,
            // Ids of rows are ids of their kind.
            tierId: found.tier.id as TierId,
            priceId: found.price.id as PriceId,
            paymentMethodId: command.paymentMethodId,
            zone: customer.zone,
            ...beginningOf(decision),
          },
          { id: ids.consent, textVersion: CONSENT_TEXT_VERSION },
        );
        if (decision.trial !== null) {
          const planned = trialNotices(decision.period.start, decision.trial.endsAt);
          await planNotices(uow, cashier.tx.random, { userId, subscriptionId: ids.subscription }, planned);
        }
        const invoice = invoiceOf(decision, { id: ids.invoice, userId, subscriptionId: ids.subscription, found });
        if (invoice !== null && isDue && method && customerObjectId !== null) {
          begun = ids.transaction;
          const collecting = { intentId: ids.intent, transactionId: begun, method, customerObjectId, returnUrl };
          await beginPayment(uow, cashier, { ...invoice, ...collecting });
        } else if (invoice !== null) {
          await issueInvoice(uow, cashier, invoice);
        }
        // Last, as others wait for these rows until the commit.
        await claim(uow, { decision, found, ids, userId, person });
        return [];
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { subscriptionId: null, transactionId: null, refusals, isReplay };
    const transactionId = isReplay ? await inTx(cashier.tx, own(userId), (uow) => loadFirstCharge(uow, resultId)) : begun;
    const declines = transactionId === null ? [] : await payAndAnswer(cashier, userId, transactionId, isReplay);
    return { subscriptionId: resultId, transactionId, refusals: declines, isReplay };
  };

/** A tier's price with its tier. */
type FoundPrice = { price: PriceRow; tier: TierRow };

/** Reads what the decision looks at, and decides. */
async function quote(
  uow: UnitOfWork,
  command: SubscribeCommand,
  known: { customer: CustomerRow; found: FoundPrice | null; method: PaymentMethodRow | null; person: PersonFacts },
): Promise<ReturnType<typeof quoteSubscribe>> {
  const { customer, found, method, person } = known;
  const { userId } = customer;
  const tierGroup = found?.tier.tierGroup ?? null;
  const live = tierGroup === null ? null : await loadLiveSubscription(uow, userId, tierGroup);
  const usedIdentities =
    tierGroup === null || !command.useTrial ? [] : await listTrialsUsed(uow, tierGroup, identitiesOf(person));
  return quoteSubscribe({
    price: found && targetPrice(found),
    // Ids of rows are ids of their kind.
    live: live && { id: live.id as SubscriptionId },
    coupon: command.coupon === null ? null : await loadCouponFacts(uow, command.coupon, person),
    trial: command.useTrial
      ? { trialDays: found?.price.trialDays ?? 0, person, usedIdentities, withoutMethod: TRIAL_WITHOUT_METHOD }
      : null,
    country: customer.country,
    zone: customer.zone,
    ...(found === null ? { ratePpm: 0, balanceMinor: 0n } : await loadTerms(uow, customer, found.price.currency, uow.now)),
    expectedAmount: command.expectedAmount,
    method: method && { kind: method.kind, status: method.status as 'active' },
    isMethodAsked: command.paymentMethodId !== null,
    now: uow.now,
  });
}

/** Takes the coupon and the trial. If another was faster, all is undone and decided again. */
async function claim(
  uow: UnitOfWork,
  of: {
    decision: SubscribeQuote;
    found: FoundPrice;
    ids: { subscription: SubscriptionId; redemption: CouponId };
    userId: string;
    person: PersonFacts;
  },
): Promise<void> {
  const { decision, found, ids, userId, person } = of;
  const subscriptionId = ids.subscription;
  const { running, trial } = decision;
  if (running !== null)
    await claimCoupon(uow, { id: ids.redemption, userId, subscriptionId, running, identities: identitiesOf(person) });
  if (trial !== null) await claimTrial(uow, { tierGroup: found.tier.tierGroup, subscriptionId, identities: trial.identities });
}

/** The columns with which a subscription begins. */
function beginningOf({ status, anchorLocal, period, trial }: SubscribeQuote) {
  const { start, end } = period;
  const entitled = {
    incomplete: () => entitledUntilFor({ status: 'incomplete', periodStart: start }),
    active: () => entitledUntilFor({ status: 'active', periodEnd: end, endsAtPeriodEnd: false }),
    trialing: () =>
      entitledUntilFor({ status: 'trialing', trialEndsAt: end, hasMethod: trial?.atEnd === 'charge', endsAtTrialEnd: false }),
  };
  return {
    status,
    anchorLocal,
    periodStart: start,
    periodEnd: end,
    entitledUntil: entitled[status](),
    trialEndsAt: trial?.endsAt ?? null,
    nextActionAt: status === 'incomplete' ? null : end,
  };
}

/** The invoice of the first period; null in a trial, which has none. */
function invoiceOf(
  { line, sums, period, running }: SubscribeQuote,
  of: { id: InvoicePlan['id']; userId: string; subscriptionId: SubscriptionId; found: FoundPrice },
): InvoicePlan | null {
  if (line === null) return null;
  const { id, userId, subscriptionId, found } = of;
  const purpose: InvoicePurpose = {
    kind: 'period',
    subscriptionId,
    epoch: period.epoch,
    periodNumber: period.n,
    periodStart: period.start,
    periodEnd: period.end,
  };
  const lines = [describedLine(line, found.tier.name, running?.coupon.id)];
  return { id, userId, currency: found.price.currency, lines, sums, for: purpose, earnedOver: period };
}

/** The method a request names, if it is the user's own; else the user's default. */
export async function methodFor(
  uow: UnitOfWork,
  customer: Pick<CustomerRow, 'userId' | 'defaultPaymentMethodId'>,
  asked: PaymentMethodId | null,
): Promise<PaymentMethodRow | null> {
  const id = asked ?? customer.defaultPaymentMethodId;
  const method = id === null ? null : await loadMethod(uow, id);
  return method?.userId === customer.userId ? method : null;
}

/** What a subscription's charges are made with: its own method where it can be used, else the user's default (rules N5). */
export async function chargedMethod(
  uow: UnitOfWork,
  subscription: Pick<SubscriptionRow, 'userId' | 'paymentMethodId'>,
  defaultMethodId: string | null,
): Promise<PaymentMethodRow | null> {
  for (const id of [subscription.paymentMethodId, defaultMethodId]) {
    const method = id === null ? null : await loadMethod(uow, id);
    if (method?.userId === subscription.userId && method.status === 'active') return method;
  }
  return null;
}

/** The refusal of a method that the provider does not know. */
export function unusable(): Refusal {
  return refusal('PAYMENT_METHOD_UNUSABLE', 'Add a payment method first.', ['input', 'paymentMethodId']);
}
