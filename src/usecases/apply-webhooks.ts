/**
 * Applies stored events: each names an object, the object is fetched, and what it says enters through the same doors as our own answers.
 * Many events about one object are one fetch. Nothing is believed of the event but its name.
 */
import { bucketOf, parsePublicId, type TransactionId, type WebhookEventId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import type { Called, DisputeFact, PaymentFact, RefundFact } from '../ports/provider.js';
import { lockCustomer } from '../store/customers.store.js';
import { changeRefund, loadIntent, loadLatestAttempt, loadRefund, loadTransaction } from '../store/payments.store.js';
import {
  claimWebhooks,
  findRef,
  newestWebhookAt,
  recordFinding,
  settleWebhooks,
  storeWebhook,
  type ClaimedWebhook,
} from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { keyBucket } from '../platform/json.js';
import { applyDisputeFact } from './apply-dispute-fact.js';
import { applySetupFact } from './complete-setup.js';
import { findingId, newId, own, type Cashier } from './cashier.js';
import { SYSTEM_USER } from './receive-webhook.js';
import { requestRefund } from './request-refund.js';
import { readPayment, recordPayment } from './send-payment.js';
import { applyRefundFact } from './send-refund.js';
import { loadSetup } from '../store/payment-methods.store.js';

/** A claim on stored events lasts this long. */
const LEASE_MS = 60_000;
/** Waits between tries; after the last an event is parked, within ten minutes of its coming. */
const BACKOFF_MS = [1_000, 5_000, 15_000, 45_000, 90_000, 120_000, 150_000] as const;
/** Events listed again reach back this much before the newest known, against clocks and late writers. */
const LISTING_OVERLAP_MS = 10 * 60_000;
/** With nothing known yet, a listing reaches back this far: as long as the provider re-delivers. */
const FIRST_LISTING_MS = 3 * 86_400_000;
/** A listed event younger than this may still be on its way; it is kept, but does not count as missed. */
const ON_ITS_WAY_MS = 60_000;

/** Claims and applies up to `limit` stored events. @returns how many were claimed */
export async function applyWebhooks(cashier: Cashier, buckets: number[], limit: number): Promise<number> {
  const claimed = await inTx(cashier.tx, own(SYSTEM_USER), (uow) =>
    claimWebhooks(uow, buckets, limit, new Date(uow.now.getTime() + LEASE_MS)),
  );
  for (const events of Map.groupBy(claimed, (event) => event.objectId).values()) await applyObject(cashier, events);
  return claimed.length;
}

/** What became of the events about one object. */
type Outcome = 'done' | 'ignored' | 'again';

async function applyObject(cashier: Cashier, events: ClaimedWebhook[]): Promise<void> {
  const [first] = events;
  invariant(first !== undefined, 'a group has an event');
  const kind = events.map((event) => cashier.provider.objectKindOf(event.type)).find((one) => one !== 'other');
  const { objectId } = first;
  const outcome = kind === undefined || objectId === null ? 'ignored' : await fetchAndApply(cashier, kind, objectId);
  await inTx(cashier.tx, own(SYSTEM_USER), async (uow) => {
    if (outcome !== 'again') {
      await settleWebhooks(uow, events, { status: outcome });
      events.forEach(() => cashier.events.webhook(outcome === 'done' ? 'applied' : 'ignored'));
      return;
    }
    for (const event of events) {
      const waitMs = BACKOFF_MS[event.attempts - 1];
      if (waitMs !== undefined) {
        await settleWebhooks(uow, [event], { status: 'new', nextActionAt: new Date(uow.now.getTime() + waitMs) });
        cashier.events.webhook('retried');
      } else {
        await park(uow, cashier, event);
      }
    }
  });
}

/** Gives up on an event for now: a person finds it in the findings, and the queue goes on. */
async function park(uow: UnitOfWork, cashier: Cashier, event: ClaimedWebhook): Promise<void> {
  await settleWebhooks(uow, [event], { status: 'parked' });
  await recordFinding(uow, {
    id: findingId('webhook_parked', event.id, uow.now),
    providerAccountId: event.providerAccountId,
    kind: 'webhook_parked',
    severity: 2,
    currency: null,
    oursMinor: null,
    theirsMinor: null,
    recordId: null,
    subjectType: 'webhook',
    subjectId: event.id,
  });
  cashier.events.webhook('parked');
  cashier.events.findingOpened('webhook_parked', 2);
}

async function fetchAndApply(
  cashier: Cashier,
  kind: 'payment' | 'refund' | 'dispute' | 'setup',
  objectId: string,
): Promise<Outcome> {
  const { provider } = cashier;
  switch (kind) {
    case 'payment':
      return whenFact(await provider.readPayment(objectId), (fact) => applyPayment(cashier, fact));
    case 'refund':
      return whenFact(await provider.readRefund(objectId), (fact) => applyRefund(cashier, fact));
    case 'dispute':
      return whenFact(await provider.readDispute(objectId), (fact) => applyDispute(cashier, fact));
    case 'setup':
      return whenFact(await provider.readSetup(objectId), async (fact) => {
        if (fact.setupRef === null) return 'ignored';
        const setupId = parsePublicId('set', fact.setupRef);
        const setup = setupId && (await inTx(cashier.tx, own(SYSTEM_USER), (uow) => loadSetup(uow, setupId)));
        if (!setup) return 'again';
        await inTx(cashier.tx, own(setup.userId), (uow) => applySetupFact(uow, cashier, setup.id, fact));
        return 'done';
      });
  }
}

async function whenFact<Fact>(called: Called<Fact>, apply: (fact: Fact) => Promise<Outcome>): Promise<Outcome> {
  return called.kind === 'fact' ? apply(called.fact) : 'again';
}

/** The object may be one that we know by its id, or one whose own unit of work is not committed yet: then again later. */
async function applyPayment(cashier: Cashier, fact: PaymentFact): Promise<Outcome> {
  const ref = await lookUp(cashier, fact.objectId);
  if (ref === null && fact.intentRef === null) return 'ignored';
  const intentId = ref?.kind === 'payment_intent' ? ref.id : fact.intentRef && parsePublicId('pin', fact.intentRef);
  if (!intentId) return 'again';
  const held = await inTx(cashier.tx, own(SYSTEM_USER), async (uow) => {
    const intent = await loadIntent(uow, intentId);
    const attempt = intent && (await loadLatestAttempt(uow, intent.id));
    return intent && attempt ? { intent, attempt } : null;
  });
  if (!held) return 'again';
  const { attempt } = held;
  // An attempt's id is its transaction's.
  const payment = { ...held, id: attempt.id as TransactionId, userId: attempt.userId };
  await recordPayment(cashier, payment, { kind: 'fact', fact, requestId: null }, 'provider_event');
  return 'done';
}

async function applyRefund(cashier: Cashier, fact: RefundFact): Promise<Outcome> {
  const ref = await lookUp(cashier, fact.objectId);
  const refundId = ref?.kind === 'refund' ? ref.id : fact.refundRef && parsePublicId('txn', fact.refundRef);
  if (!refundId) return adoptRefund(cashier, fact);
  const known = await inTx(cashier.tx, own(SYSTEM_USER), (uow) => loadRefund(uow, refundId));
  if (!known) return 'again';
  return inTx(cashier.tx, own(known.userId), async (uow) => {
    await lockCustomer(uow, known.userId);
    const refund = await loadRefund(uow, refundId);
    invariant(refund !== null, 'a refund that was read is there', { refundId });
    if (refund.status === 'created') return 'again';
    await applyRefundFact(uow, cashier, refund, fact, 'provider_event');
    return 'done';
  });
}

/** A refund made at the provider by hand: booked once, by the provider's id, under the customer's lock. */
async function adoptRefund(cashier: Cashier, fact: RefundFact): Promise<Outcome> {
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, own(SYSTEM_USER), (uow) => loadTransaction(uow, chargeId));
  if (!charge || chargeId === null) return unlessForeign(cashier, fact.paymentObjectId);
  return inTx(cashier.tx, own(charge.userId), async (uow): Promise<Outcome> => {
    await lockCustomer(uow, charge.userId);
    if (await findRef(uow, fact.objectId, cashier.provider.accountId)) return 'again';
    const payment = await readPayment(uow, chargeId);
    const current = await loadTransaction(uow, chargeId);
    if (!payment || !current) return 'again';
    const asked = await requestRefund(uow, cashier, {
      charge: current,
      attempt: payment.attempt,
      amount: { minor: fact.amountMinor, currency: fact.currency },
      reason: 'requested',
      note: 'Made at the provider.',
      requestedBy: 'provider',
      cause: 'provider_event',
      endSubscription: false,
    });
    if ('refused' in asked) return 'again';
    const created = await loadRefund(uow, asked.refundId);
    invariant(created !== null, 'a refund just written is there', { id: asked.refundId });
    const { now } = uow;
    await changeRefund(uow, created, { status: 'sent', sentAt: now, callDeadlineAt: now, keyValidUntil: now, nextActionAt: now });
    const sent = await loadRefund(uow, asked.refundId);
    invariant(sent !== null, 'a refund just written is there', { id: asked.refundId });
    await applyRefundFact(uow, cashier, sent, fact, 'provider_event');
    return 'done';
  });
}

async function applyDispute(cashier: Cashier, fact: DisputeFact): Promise<Outcome> {
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, own(SYSTEM_USER), (uow) => loadTransaction(uow, chargeId));
  if (!charge || chargeId === null) return unlessForeign(cashier, fact.paymentObjectId);
  // The charge must be in the books before it can be disputed.
  if (charge.status !== 'succeeded') return 'again';
  await inTx(cashier.tx, own(charge.userId), async (uow) => {
    await lockCustomer(uow, charge.userId);
    await applyDisputeFact(uow, cashier, chargeId, fact);
  });
  return 'done';
}

/** Our charge of a provider's charge or payment object. */
async function findCharge(
  cashier: Cashier,
  chargeObjectId: string | null,
  paymentObjectId: string | null,
): Promise<string | null> {
  const charge = chargeObjectId === null ? null : await lookUp(cashier, chargeObjectId);
  if (charge?.kind === 'charge') return charge.id;
  const payment = paymentObjectId === null ? null : await lookUp(cashier, paymentObjectId);
  if (payment?.kind !== 'payment_intent') return null;
  const attempt = await inTx(cashier.tx, own(SYSTEM_USER), (uow) => loadLatestAttempt(uow, payment.id));
  return attempt?.id ?? null;
}

/** An account may serve others too: what bears no mark of ours is theirs. What does will be known once its own unit of work is committed. */
async function unlessForeign(cashier: Cashier, paymentObjectId: string | null): Promise<Outcome> {
  if (paymentObjectId === null) return 'ignored';
  const called = await cashier.provider.readPayment(paymentObjectId);
  return called.kind === 'fact' && called.fact.intentRef === null ? 'ignored' : 'again';
}

function lookUp(cashier: Cashier, objectId: string) {
  return inTx(cashier.tx, own(SYSTEM_USER), (uow) => findRef(uow, objectId, cashier.provider.accountId));
}

/** Lists the provider's own events and keeps those that never arrived: run always, not only after an outage. */
export async function fetchMissedEvents(cashier: Cashier): Promise<void> {
  const { provider } = cashier;
  const now = cashier.tx.clock.now().getTime();
  const newest = await inTx(cashier.tx, own(SYSTEM_USER), (uow) => newestWebhookAt(uow, provider.accountId));
  const since = new Date(newest === null ? now - FIRST_LISTING_MS : newest.getTime() - LISTING_OVERLAP_MS);
  const called = await provider.listEvents(since);
  cashier.events.providerCalled('listEvents', called.kind);
  if (called.kind !== 'fact') return;
  for (const { event, raw } of called.fact) {
    const bucket = keyBucket(event.eventId);
    const id: WebhookEventId = newId(cashier, 'whe', bucket);
    invariant(bucketOf(id) === bucket, 'an event lies in the bucket of its id', { eventId: event.eventId });
    const isNew = await inTx(cashier.tx, own(SYSTEM_USER), (uow) =>
      storeWebhook(uow, { id, event, providerAccountId: provider.accountId, source: 'listing', rawBody: Buffer.from(raw) }),
    );
    if (isNew && event.createdAt.getTime() < now - ON_ITS_WAY_MS) cashier.events.webhook('missed');
  }
}
