import { couponForNextPeriod } from '../domain/catalogue/coupon.js';
import type { SubscriptionId, TierId, TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import { isService, type InvoiceLine } from '../domain/invoice/line.js';
import { confirmChange, quoteChange, type ChangeNow, type ChangeQuote } from '../domain/subscription/change-tier.js';
import { coveringLine } from '../domain/subscription/proration.js';
import { keyBucket } from '../platform/json.js';
import { loadProviderCustomer, lockCaller } from '../store/customers.store.js';
import { requireInvoice } from '../store/invoices.store.js';
import { loadTransaction } from '../store/payments.store.js';
import { changeSubscription, loadSubscription, type SubscriptionRow } from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { payAndAnswer } from './answer-payment.js';
import { beginPayment } from './begin-payment.js';
import { notFound } from './cancel-subscription.js';
import { newId, own, refusal, type Cashier } from './cashier.js';
import type { Actor, ChangeTierAnswer, ChangeTierCommand, Refusal } from './contract.js';
import { deliver } from './deliver.js';
import { describedLine, issueInvoice } from './issue-invoice.js';
import { giveNote } from './proration-note.js';
import { digestOf } from './quotes.js';
import { readChange, type ChangeRead } from './read-change.js';
import { runCommand } from './run-command.js';
import { unusable } from './subscribe.js';

/** Ids of what a change may write. */
type Ids = ReturnType<typeof newIds>;

/**
 * Moves a subscription to another price: at once, when what is due for it is paid, or at the end of the period. Refusals: NOT_FOUND, INVALID_INPUT for
 * a quote that is not of this change, those of quoteChange and, by a quote, PRICE_CHANGED; PAYMENT_DECLINED when what was due was not paid.
 */
export const changeTier =
  (cashier: Cashier) =>
  async (actor: Actor, command: ChangeTierCommand): Promise<ChangeTierAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId } = actor;
    const { subscriptionId } = command;
    const ids = newIds(cashier, keyBucket(userId));
    const end = await runCommand<TransactionId>(cashier, {
      scope: own(userId),
      operation: 'changeTier',
      key: idempotencyKey,
      input,
      // The payment that it began, if anything was due; the subscription is the one that was named.
      resultType: 'charge',
      resultId: ids.transaction,
      work: async (uow) => {
        const customer = await lockCaller(uow, actor);
        const subscription = await loadSubscription(uow, subscriptionId);
        if (subscription?.userId !== userId) return [notFound()];
        const read = await readChange(uow, customer, subscription, command.newPriceId);
        const quote = decide(uow, cashier, userId, command, read);
        if ('code' in quote) return [refusal(quote.code, quote.message, quote.field, { subscriptionId })];
        return carryOut(uow, cashier, { subscription, read, quote, ids });
      },
    });
    const { resultId, refusals, isReplay } = end;
    if (resultId === null) return { subscriptionId: null, transactionId: null, refusals, isReplay };
    const payment = await inTx(cashier.tx, own(userId), (uow) => loadTransaction(uow, resultId));
    const declines = payment === null ? [] : await payAndAnswer(cashier, userId, resultId, isReplay);
    return { subscriptionId, transactionId: payment && resultId, refusals: declines, isReplay };
  };

function newIds(cashier: Cashier, bucket: number) {
  return {
    invoice: newId(cashier, 'inv', bucket),
    intent: newId(cashier, 'pin', bucket),
    transaction: newId(cashier, 'txn', bucket),
  };
}

/** What the change costs now, or, by a quote, exactly what was shown. */
function decide(uow: UnitOfWork, cashier: Cashier, userId: string, command: ChangeTierCommand, { facts }: ChangeRead) {
  const { expectedVersion, timing, quoteId } = command;
  const { now } = uow;
  if (quoteId === null) return quoteChange(facts, { timing, expectedVersion, now });
  const shown = cashier.quotes.open(userId, quoteId);
  const isOfThis =
    shown?.subscriptionId === command.subscriptionId &&
    shown.priceId === command.newPriceId &&
    (timing === null || timing === shown.timing);
  if (!isOfThis) return refusal('INVALID_INPUT', 'This is not a quote of this change.', ['input', 'quoteId']);
  return confirmChange(shown, facts, { now, expectedVersion, digestOf });
}

interface Change {
  subscription: SubscriptionRow;
  read: ChangeRead;
  quote: Exclude<ChangeQuote, { kind: 'refused' }>;
  ids: Ids;
}

/** Writes what was decided. */
async function carryOut(uow: UnitOfWork, cashier: Cashier, change: Change): Promise<Refusal[]> {
  const { subscription, quote, read } = change;
  const data = { fromPriceId: subscription.priceId, toPriceId: quote.priceId };
  switch (quote.kind) {
    case 'now':
      return changeNow(uow, cashier, change, quote);
    case 'in_trial':
      invariant(read.target !== null, 'a change is to a price that is there', data);
      await changeSubscription(uow, subscription, {
        kind: 'tier_changed',
        cause: 'user',
        set: { priceId: quote.priceId, tierId: read.target.tier.id as TierId, pendingPriceId: null },
        data,
      });
      return [];
    case 'at_period_end':
    case 'at_resume':
      await changeSubscription(uow, subscription, {
        kind: 'change_planned',
        cause: 'user',
        set: { pendingPriceId: quote.priceId },
        data,
      });
      return [];
  }
}

/** Invoices a change at once. Where nothing is to be collected it takes effect in this unit of work; else when it is paid. */
async function changeNow(uow: UnitOfWork, cashier: Cashier, change: Change, quote: ChangeNow): Promise<Refusal[]> {
  const { subscription, read, ids } = change;
  const { userId } = subscription;
  const { target, method } = read;
  invariant(target !== null, 'a change is to a price that is there', { id: subscription.id });
  const { currency } = target.price;
  const isCharged = quote.sums.settlement === 'charge';
  const customerObjectId = isCharged ? await loadProviderCustomer(uow, userId, cashier.provider.accountId) : null;
  if (isCharged && (method === null || customerObjectId === null)) return [unusable()];
  const old = coveringLine(read.lines, quote.prorationAt);
  if (quote.isCreditNote) {
    invariant(old !== null, 'what is given back is of a line', { id: subscription.id });
    await giveNote(uow, {
      forInvoiceId: ids.invoice,
      reason: 'tier_change',
      userId,
      currency,
      line: old,
      credit: quote.credit,
      invoiceIds: [old.invoiceId, ...read.lines.map(({ invoiceId }) => invoiceId).filter((id) => id !== old.invoiceId)],
      providerAccountId: cashier.provider.accountId,
    });
  }
  const period = quote.anchor?.period ?? {
    epoch: subscription.epoch,
    start: quote.prorationAt,
    end: subscription.periodEnd,
  };
  // The rest of a period is reduced as the period was; a new one by the coupon at work.
  const coupon = quote.anchor === null ? read.facts.periodCoupon : couponForNextPeriod(read.facts.running);
  const couponId = coupon?.id ?? null;
  const plan = {
    id: ids.invoice,
    userId,
    currency,
    lines: quote.lines.map((line) => described(line, target.tier.name, old?.tierName ?? '', couponId)),
    sums: quote.sums,
    for: {
      kind: 'change' as const,
      // A row's id is an id of its kind.
      subscriptionId: subscription.id as SubscriptionId,
      epoch: period.epoch,
      periodStart: period.start,
      periodEnd: period.end,
    },
    earnedOver: period,
  };
  if (method === null || customerObjectId === null || !isCharged) {
    await issueInvoice(uow, cashier, plan);
    const isGiven = await deliver(uow, cashier, await requireInvoice(uow, ids.invoice), 'user');
    invariant(isGiven, 'what was just decided takes effect', { id: subscription.id });
    return [];
  }
  await beginPayment(uow, cashier, {
    ...plan,
    intentId: ids.intent,
    transactionId: ids.transaction,
    method,
    customerObjectId,
    returnUrl: cashier.defaultReturnUrl,
  });
  return [];
}

function described(line: InvoiceLine, newTier: string, oldTier: string, couponId: string | null) {
  return isService(line) ? describedLine(line, newTier, couponId) : describedLine(line, `Unused time of ${oldTier}`);
}
