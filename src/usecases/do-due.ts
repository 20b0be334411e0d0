/**
 * What falls due of subscriptions by itself: periods that end, trials and pauses that are over. A batch is decided under the locks of its
 * customers; what is billed at the moment the last period ends is written set-based with the attempt that will collect it (see renew.ts),
 * everything else one by one, as it is rare.
 */
import { areProvenSent, trialNotices } from '../domain/consent/notices.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { balanceUsed, invoiceFinalized, type Movement } from '../domain/ledger/journals.js';
import { daysOf } from '../domain/ledger/revenue.js';
import { decidePendingChange } from '../domain/subscription/change-tier.js';
import { decideDue, type DueFacts } from '../domain/subscription/due.js';
import type { BilledPrice } from '../domain/subscription/proration.js';
import {
  afterHold,
  firstPeriod,
  followingPeriod,
  pauseOver,
  quoteRenewal,
  renewed,
  spreadOf,
  unpaid,
  type DuePeriod,
  type RenewalQuote,
} from '../domain/subscription/renewal.js';
import { entitledUntilFor, type SubscriptionStatus } from '../domain/subscription/subscription.js';
import { decideTrialEnd, TRIAL_WITHOUT_METHOD } from '../domain/subscription/trial.js';
import { customerRateAt, type TaxRate } from '../domain/tax/tax.js';
import type { PeriodUnit } from '../domain/time/periods.js';
import { isoDay } from '../domain/time/periods.js';
import { couponOf } from '../store/catalogue.store.js';
import { listTaxRates } from '../store/tax.store.js';
import { listNotices, planNotices } from '../store/notices.store.js';
import { recordFinding } from '../store/provider.store.js';
import {
  isAnySubscriptionDue,
  loadDueSubscriptions,
  lockDueSubscriptions,
  putOffRenewals,
  TOLD,
  writeRenewalBills,
  type DueRow,
  type RenewalBill,
  type SourcedMovement,
  type SubscriptionRef,
} from '../store/renewals.store.js';
import {
  changeSubscription,
  loadSubscription,
  loadTierPrice,
  type SubscriptionChange,
  type SubscriptionRow,
} from '../store/subscriptions.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { rankedPrice, targetPrice } from './billed-price.js';
import { findingId, newId, BATCH, type Cashier } from './cashier.js';
import { chargeKey, fingerprintOf, renewalRequest } from './charge-request.js';
import { giveUpChange } from './drop-renewal.js';
import { endSubscription, type EndReason } from './end-subscription.js';
import { describedLine, issueInvoice } from './issue-invoice.js';
import { openPeriod } from './open-period.js';
import { outboxIds, sourced } from './renew.js';
import { retryRenewal } from './retry-renewal.js';

/** What one subscription's trouble puts it off by, so that it stands before nobody. */
const TROUBLE_MS = 15 * 60_000;
/** A change that was given up is looked at again after this: by then the provider has said how its payment ended. */
const SETTLING_MS = 60_000;

/** How renewals are run. */
export interface RenewalOptions {
  /** Attempts go out within this of the moment the period began, spread evenly. */
  spreadMs: number;
}

/** Whether anything is due in these buckets: one look, so that an idle worker asks for little. */
export async function isAnythingDue(cashier: Cashier, buckets: Slot): Promise<boolean> {
  return inTx(cashier.tx, BATCH, (uow) => isAnySubscriptionDue(uow, buckets));
}

/** One turn. */
export interface DueTurn {
  /** Subscriptions that were looked at. */
  looked: number;
  /** What was thrown about single subscriptions: bugs, or broken infrastructure. They were put off. */
  failures: unknown[];
}

/** Does what is due of up to `limit` subscriptions; none waits for another's trouble. */
export async function doDue(cashier: Cashier, options: RenewalOptions, buckets: Slot, limit: number): Promise<DueTurn> {
  try {
    return { looked: await doBatch(cashier, options, buckets, limit), failures: [] };
  } catch (error) {
    if (limit === 1) throw error;
  }
  // Something about one of them: each by itself, and the one is put off.
  const failures: unknown[] = [];
  let looked = 0;
  for (; looked < limit; looked++) {
    let taken: SubscriptionRef[] = [];
    try {
      if ((await doBatch(cashier, options, buckets, 1, (refs) => (taken = refs))) === 0) break;
    } catch (error) {
      failures.push(error);
      await inTx(cashier.tx, BATCH, (uow) => putOffRenewals(uow, taken, new Date(uow.now.getTime() + TROUBLE_MS)));
    }
  }
  return { looked, failures };
}

/** What a batch works with. */
interface Batch {
  uow: UnitOfWork;
  cashier: Cashier;
  options: RenewalOptions;
  rates: TaxRate[];
  bills: RenewalBill[];
  movements: SourcedMovement[];
}

/** @param tell is told which were taken, before anything can fail about them */
async function doBatch(
  cashier: Cashier,
  options: RenewalOptions,
  buckets: Slot,
  limit: number,
  tell: (refs: SubscriptionRef[]) => void = () => undefined,
): Promise<number> {
  return inTx(cashier.tx, BATCH, async (uow) => {
    const refs = await lockDueSubscriptions(uow, buckets, limit);
    tell(refs);
    if (refs.length === 0) return 0;
    const rows = await loadDueSubscriptions(uow, refs, cashier.provider.accountId);
    const countries = new Set(rows.flatMap(({ country }) => country ?? []));
    const batch: Batch = { uow, cashier, options, rates: await listTaxRates(uow, [...countries]), bills: [], movements: [] };
    for (const row of rows) await doOne(batch, row);
    if (batch.bills.length > 0) await writeRenewalBills(uow, batch.bills, batch.movements, cashier.provider.accountId);
    return refs.length;
  });
}

/** The order in which a subscription's row is looked at is `decideDue`'s; here each outcome is written. */
async function doOne(batch: Batch, row: DueRow): Promise<void> {
  const { uow, cashier } = batch;
  const facts = factsOf(row);
  const due = decideDue(facts, uow.now);
  switch (due.kind) {
    case 'nothing':
    case 'expire':
    case 'retry':
      return putOffRenewals(uow, [row], row.status === 'paused' ? (row.resumesAt ?? facts.pauseEndsAt) : row.periodEnd);
    case 'held':
      return putOffRenewals(uow, [row], afterHold(uow.now));
    case 'end':
      return endSubscription(uow, cashier, row.id, END_REASONS[due.endReason], 'timeout');
    case 'settle_change':
      await giveUpChange(uow, cashier, row.id);
      return putOffRenewals(uow, [row], new Date(uow.now.getTime() + SETTLING_MS));
    case 'pause':
      return beginPause(uow, row);
    case 'end_trial':
      return endTrial(batch, row);
    case 'use_prepaid':
      return enterPrepaid(uow, row, due.prepaidPeriodsLeft);
    case 'resume':
    case 'renew':
      return row.openInvoiceId === null ? billNext(batch, row, due.kind) : retryRenewal(uow, cashier, row, row.openInvoiceId);
  }
}

const END_REASONS = { customer: 'period_end', gift_over: 'gift_over', pause_over: 'pause_over' } as const satisfies Record<
  string,
  EndReason
>;

/** A row as the facts that `decideDue` looks at. */
function factsOf(row: DueRow): DueFacts {
  return {
    // Column checks: one of these words.
    status: row.status as SubscriptionStatus,
    hold: row.hold as DueFacts['hold'],
    renewedBy: row.renewedBy === 'us' ? 'us' : 'provider',
    periodStart: row.periodStart,
    periodEnd: row.periodEnd,
    cancelAtPeriodEnd: row.cancelAtPeriodEnd,
    pauseAtPeriodEnd: row.pauseAtPeriodEnd,
    hasPendingChange: row.pendingPriceId !== null,
    hasOpenChange: row.hasOpenChange,
    resumesAt: row.resumesAt,
    pauseEndsAt: row.resumesAt === null ? pauseOver(row.periodEnd) : null,
    prepaidPeriods: row.prepaidPeriods,
    isGift: row.giftId !== null,
    isOptedIn: row.renewsAfterGift,
  };
}

/** Writes one change of one subscription, read under the lock that the batch holds. */
async function change(uow: UnitOfWork, row: DueRow, write: Omit<SubscriptionChange, 'cause'>): Promise<void> {
  await changeSubscription(uow, await requireSubscription(uow, row), { ...write, cause: 'renewal' });
}

async function requireSubscription(uow: UnitOfWork, row: DueRow): Promise<SubscriptionRow> {
  const subscription = await loadSubscription(uow, row.id);
  invariant(subscription !== null, 'what falls due is there', { id: row.id });
  return subscription;
}

async function beginPause(uow: UnitOfWork, row: DueRow): Promise<void> {
  await change(uow, row, {
    kind: 'paused',
    set: {
      status: 'paused',
      pauseAtPeriodEnd: false,
      entitledUntil: entitledUntilFor({ status: 'paused', pausedAt: row.periodEnd }),
      nextActionAt: row.resumesAt ?? pauseOver(row.periodEnd),
    },
  });
}

async function enterPrepaid(uow: UnitOfWork, row: DueRow, prepaidPeriods: number): Promise<void> {
  const period = followingPeriod({ epoch: row.epoch, n: row.periodNumber, end: row.periodEnd }, ruleOf(row), uow.now);
  await reportSkipped(uow, row, period);
  const isLast = prepaidPeriods === 0 && !row.renewsAfterGift && row.giftId !== null;
  const entitledUntil = entitledUntilFor({ status: 'active', periodEnd: period.end, endsAtPeriodEnd: isLast });
  const set = { ...renewed(period), prepaidPeriods, entitledUntil };
  await change(uow, row, { kind: 'renewed', set, data: { prepaid: true } });
}

/** The end of a trial: charged, ended or, where nobody was told of it, put off (rules V3, C2). */
async function endTrial(batch: Batch, row: DueRow): Promise<void> {
  const { uow, cashier } = batch;
  const trialEndsAt = row.trialEndsAt ?? row.periodEnd;
  const planned = trialNotices(row.periodStart, trialEndsAt);
  const decision = decideTrialEnd(
    {
      trialEndsAt,
      cancelAtPeriodEnd: row.cancelAtPeriodEnd,
      hasMethod: hasMethod(row),
      withoutMethod: TRIAL_WITHOUT_METHOD,
      isNoticeSent: areProvenSent(planned, await listNotices(uow, row.id), trialEndsAt, 0),
    },
    uow.now,
  );
  switch (decision.kind) {
    case 'not_due':
      return putOffRenewals(uow, [row], trialEndsAt);
    case 'end':
      return endSubscription(uow, cashier, row.id, decision.endReason === 'customer' ? 'period_end' : 'trial_over', 'timeout');
    case 'pause':
      return beginPause(uow, row);
    case 'postpone':
      await openFinding(batch, row, 'trial_untold');
      await planNotices(
        uow,
        cashier.tx.random,
        { userId: row.userId, subscriptionId: row.id },
        trialNotices(row.periodStart, decision.trialEndsAt),
      );
      return change(uow, row, {
        kind: 'trial_extended',
        set: {
          trialEndsAt: decision.trialEndsAt,
          periodEnd: decision.trialEndsAt,
          entitledUntil: entitledUntilFor({
            status: 'trialing',
            trialEndsAt: decision.trialEndsAt,
            hasMethod: true,
            endsAtTrialEnd: false,
          }),
          nextActionAt: decision.trialEndsAt,
        },
      });
    case 'convert':
      return row.openInvoiceId === null
        ? bill(
            batch,
            row,
            { price: billedOf(row), tierName: row.tierName },
            firstPeriod(row.epoch, decision.anchorAt, ruleOf(row), uow.now),
          )
        : retryRenewal(uow, cashier, row, row.openInvoiceId);
  }
}

/** The next period, at the price that waited or else the pinned one; out of a pause, and at another interval, with a new anchor. */
async function billNext(batch: Batch, row: DueRow, due: 'renew' | 'resume'): Promise<void> {
  const { uow } = batch;
  const { sold, interval } = await soldNext(batch, row);
  const own = ruleOf(row);
  const rule = { ...own, ...interval };
  const isOther = interval.unit !== own.unit || interval.count !== own.count;
  const next = followingPeriod({ epoch: row.epoch, n: row.periodNumber, end: row.periodEnd }, own, uow.now);
  const period =
    due === 'resume'
      ? firstPeriod(row.epoch, uow.now, rule, uow.now)
      : isOther
        ? firstPeriod(row.epoch, next.start, rule, uow.now)
        : next;
  if (due === 'renew') await reportSkipped(uow, row, isOther ? next : period);
  await bill(batch, row, sold, period);
}

/** What a period is sold at. */
interface Sold {
  price: BilledPrice;
  tierName: string;
}

/** The price of the next period. One that waited and is not sold any more is dropped, and a person is told (rules V4). */
async function soldNext(batch: Batch, row: DueRow): Promise<{ sold: Sold; interval: { unit: PeriodUnit; count: number } }> {
  const { uow } = batch;
  const pinned = { sold: { price: billedOf(row), tierName: row.tierName }, interval: intervalOf(row) };
  if (row.pendingPriceId === null) return pinned;
  const [current, target] = [await loadTierPrice(uow, row.priceId), await loadTierPrice(uow, row.pendingPriceId)];
  invariant(current !== null, 'the pinned price is there', { id: row.id });
  if (target === null || decidePendingChange(rankedPrice(current), targetPrice(target), uow.now).kind === 'drop') {
    await change(uow, row, { kind: 'change_dropped', set: { pendingPriceId: null }, data: { priceId: row.pendingPriceId } });
    await openFinding(batch, row, 'pending_price_gone');
    return pinned;
  }
  const price = rankedPrice(target);
  return { sold: { price, tierName: target.tier.name }, interval: { unit: price.intervalUnit, count: price.intervalCount } };
}

/** Bills a period: with the others of the batch where something is to be charged, at once where nothing is. */
async function bill(batch: Batch, row: DueRow, sold: Sold, period: DuePeriod): Promise<void> {
  const { uow } = batch;
  const quote = quoteRenewal({
    price: sold.price,
    period,
    running: row.coupon && {
      coupon: couponOf({ ...row.coupon, redeemBy: row.coupon.redeemBy === null ? null : new Date(row.coupon.redeemBy) }),
      periodsLeft: row.couponPeriodsLeft,
    },
    ratePpm: customerRateAt(batch.rates, row.country, period.start),
    balanceMinor: row.balance,
  });
  if (quote.sums.settlement !== 'charge') return enterUncharged(batch, row, sold, period, quote);
  if (!hasMethod(row)) return billWithoutMethod(batch, row, sold, period, quote);
  const [one, movements] = billOf(batch, row, sold, period, quote);
  batch.bills.push(one);
  batch.movements.push(...sourced(movements, one, one.invoiceId, one.invoiceId, uow.now));
}

/** Nothing is to be charged: the invoice is paid as it is issued, and the period begins. */
async function enterUncharged(batch: Batch, row: DueRow, sold: Sold, period: DuePeriod, quote: RenewalQuote): Promise<void> {
  await invoicePeriod(batch, row, sold, period, quote);
  const couponId = quote.coupon?.id ?? null;
  const subscription = await requireSubscription(batch.uow, row);
  const isEntered = await openPeriod(batch.uow, subscription, { period, priceId: sold.price.id, couponId }, 'renewal');
  invariant(isEntered, 'a period that is due is entered', { id: row.id });
}

async function invoicePeriod(batch: Batch, row: DueRow, sold: Sold, period: DuePeriod, quote: RenewalQuote): Promise<void> {
  const { uow, cashier } = batch;
  await issueInvoice(uow, cashier, {
    id: newId(cashier, 'inv', row.bucket),
    userId: row.userId,
    currency: row.currency,
    lines: [describedLine(quote.line, sold.tierName, quote.coupon?.id)],
    sums: quote.sums,
    for: {
      kind: 'period',
      subscriptionId: row.id,
      epoch: period.epoch,
      periodNumber: period.n,
      periodStart: period.start,
      periodEnd: period.end,
    },
    earnedOver: period,
  });
}

/** Owed, and nothing to charge: the customer is past due until a method is there (rules N5). A pause that can not be paid for goes on. */
async function billWithoutMethod(batch: Batch, row: DueRow, sold: Sold, period: DuePeriod, quote: RenewalQuote): Promise<void> {
  const { uow } = batch;
  if (row.status === 'paused')
    return change(uow, row, { kind: 'renewal_put_off', set: { nextActionAt: null }, data: { reason: 'METHOD_MISSING' } });
  await invoicePeriod(batch, row, sold, period, quote);
  const subscription = await requireSubscription(uow, row);
  await changeSubscription(uow, subscription, {
    kind: 'past_due',
    cause: 'renewal',
    set: unpaid(subscription),
    data: { reason: 'METHOD_MISSING' },
  });
}

function billOf(batch: Batch, row: DueRow, sold: Sold, period: DuePeriod, quote: RenewalQuote): [RenewalBill, Movement[]] {
  const { uow, cashier, options } = batch;
  const { line, sums, coupon } = quote;
  const ids = {
    invoiceId: newId(cashier, 'inv', row.bucket),
    intentId: newId(cashier, 'pin', row.bucket),
    attemptId: newId(cashier, 'txn', row.bucket),
  };
  const idempotencyKey = chargeKey(cashier.env, ids.attemptId);
  const request = renewalRequest({
    idempotencyKey,
    amountMinor: sums.dueMinor,
    currency: row.currency,
    customerObjectId: row.customerObjectId ?? '',
    methodObjectId: row.methodObjectId ?? '',
    intentId: ids.intentId,
    invoiceId: ids.invoiceId,
  });
  const sendAt = new Date(period.start.getTime() + spreadOf(row.id, options.spreadMs));
  const { netMinor, taxMinor } = line;
  const movements = [
    ...invoiceFinalized({ kind: 'period', netMinor, taxMinor, currency: row.currency }),
    ...balanceUsed(sums, row.currency),
  ];
  const made: RenewalBill = {
    bucket: row.bucket,
    userId: row.userId,
    subscriptionId: row.id,
    ...ids,
    outboxIds: outboxIds(uow, cashier, row.bucket, TOLD.ofBill),
    epoch: period.epoch,
    periodNumber: period.n,
    periodStart: period.start,
    periodEnd: period.end,
    ...daysOf(period, isoDay(uow.now)),
    currency: row.currency,
    net: netMinor.toString(),
    discount: line.discountMinor.toString(),
    tax: taxMinor.toString(),
    ratePpm: line.ratePpm,
    couponId: coupon?.id ?? null,
    creditApplied: sums.creditAppliedMinor.toString(),
    debitCollected: sums.debitCollectedMinor.toString(),
    amount: sums.dueMinor.toString(),
    description: sold.tierName,
    priceId: sold.price.id,
    methodId: row.methodId ?? '',
    idempotencyKey,
    fingerprint: fingerprintOf(request).toString('hex'),
    sendAt: sendAt > uow.now ? sendAt : uow.now,
  };
  return [made, movements];
}

/** Periods that passed while nobody was charged: nobody will be, and the subscription's history says so (rules N7). */
async function reportSkipped(uow: UnitOfWork, row: DueRow, period: DuePeriod): Promise<void> {
  if (period.skipped === 0) return;
  await change(uow, row, { kind: 'periods_skipped', set: {}, data: { from: row.periodNumber + 1, count: period.skipped } });
}

async function openFinding(batch: Batch, row: DueRow, kind: string): Promise<void> {
  const { uow, cashier } = batch;
  await recordFinding(uow, {
    id: findingId(kind, row.id, uow.now),
    providerAccountId: cashier.provider.accountId,
    kind,
    severity: 3,
    currency: null,
    oursMinor: 0n,
    theirsMinor: 0n,
    recordId: null,
    subjectType: 'subscription',
    subjectId: row.id,
  });
  cashier.events.findingOpened(kind, 3);
}

function hasMethod(row: DueRow): boolean {
  return row.methodId !== null && row.customerObjectId !== null;
}

function ruleOf(row: DueRow): { anchorLocal: string; zone: string; unit: PeriodUnit; count: number } {
  return { anchorLocal: row.anchorLocal, zone: row.zone, ...intervalOf(row) };
}

function intervalOf(row: DueRow): { unit: PeriodUnit; count: number } {
  // Column check: one of these words.
  return { unit: row.intervalUnit as PeriodUnit, count: row.intervalCount };
}

/** The pinned price as a line needs it. */
function billedOf(row: DueRow): BilledPrice {
  return {
    id: row.priceId,
    amountMinor: row.amount,
    currency: row.currency,
    // Column checks: one of these words.
    intervalUnit: row.intervalUnit as BilledPrice['intervalUnit'],
    taxBehavior: row.taxBehavior as BilledPrice['taxBehavior'],
  };
}
