/**
 * Applies stored events: each names an object, the object is fetched, and what it says enters through the same doors as our own answers.
 * Many events about one object are one fetch. Nothing is believed of the event but its name.
 */
import { parsePublicId, type TransactionId } from '../domain/ids.js';
import { invariant } from '../domain/invariant.js';
import type { Called, DisputeFact, PaymentFact, ProviderEvent, RefundFact } from '../ports/provider.js';
import { lockCustomer } from '../store/customers.store.js';
import { loadIntent, loadLatestAttempt, loadRefund, loadTransaction } from '../store/payments.store.js';
import {
  claimWebhooks,
  findRef,
  listedUntil,
  moveListedUntil,
  recordFinding,
  settleWebhooks,
  storeWebhook,
  unknownEvents,
  type ClaimedWebhook,
} from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { keyBucket } from '../platform/json.js';
import { applyDisputeFact } from './apply-dispute-fact.js';
import { applySetupFact } from './complete-setup.js';
import { type Cashier, findingId, newId, own, SYSTEM } from './cashier.js';
import { recordPayment } from './send-payment.js';
import { adoptRefund, applyRefundFact } from './apply-refund-fact.js';
import { LATE } from './send-refund.js';
import { applyOrphanRefund } from './give-back-orphan.js';
import { loadSetup } from '../store/payment-methods.store.js';

/** A claim on stored events lasts this long. */
const LEASE_MS = 60_000;
/** Waits between tries; after the last an event is parked, within ten minutes of its coming. */
const BACKOFF_MS = [1_000, 5_000, 15_000, 45_000, 90_000, 120_000, 150_000] as const;
/** Each listing reaches back this much before the end of the last one, against clocks and late writers. */
const LISTING_OVERLAP_MS = 10 * 60_000;
/** The first listing of all reaches back this far: as long as the provider re-delivers. */
const FIRST_LISTING_MS = 3 * 86_400_000;
/** The provider keeps events for thirty days. */
const LISTED_AT_MOST_MS = 30 * 86_400_000;
/** One listing covers at most this span, so that the mark moves on as it goes. */
const LISTING_SPAN_MS = 3_600_000;
/** A listed event younger than this may still be on its way; it is kept, but does not count as missed. */
const ON_ITS_WAY_MS = 60_000;

/** Claims and applies up to `limit` stored events. @returns how many were claimed */
export async function applyWebhooks(cashier: Cashier, buckets: number[], limit: number): Promise<number> {
  const claimed = await inTx(cashier.tx, SYSTEM, (uow) =>
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
  await inTx(cashier.tx, SYSTEM, async (uow) => {
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

/** Tries an event no more: a person finds it in the findings, and the queue goes on. */
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
        const setup = setupId && (await inTx(cashier.tx, SYSTEM, (uow) => loadSetup(uow, setupId)));
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
  const held = await inTx(cashier.tx, SYSTEM, async (uow) => {
    const intent = await loadIntent(uow, intentId);
    const attempt = intent && (await loadLatestAttempt(uow, intent.id));
    return intent && attempt ? { intent, attempt } : null;
  });
  if (!held) return 'again';
  const { attempt } = held;
  // An attempt's id is its transaction's.
  const payment = { ...held, id: attempt.id as TransactionId, userId: attempt.userId, claimedAtMs: null };
  await recordPayment(cashier, payment, { kind: 'fact', fact, requestId: null }, 'provider_event');
  return 'done';
}

async function applyRefund(cashier: Cashier, fact: RefundFact): Promise<Outcome> {
  const ref = await lookUp(cashier, fact.objectId);
  const refundId = ref?.kind === 'refund' ? ref.id : fact.refundRef && parsePublicId('txn', fact.refundRef);
  const known = refundId ? await inTx(cashier.tx, SYSTEM, (uow) => loadRefund(uow, refundId)) : null;
  if (!refundId || (!known && (await orphanOf(cashier, fact)) !== null)) return applyForeignRefund(cashier, fact);
  if (!known) return 'again';
  return inTx(cashier.tx, own(known.userId), async (uow) => {
    await lockCustomer(uow, known.userId);
    const refund = await loadRefund(uow, refundId);
    invariant(refund !== null, 'a refund that was read is there', { refundId });
    if (refund.status === 'created') return 'again';
    const applied = await applyRefundFact(uow, cashier, refund, fact, 'provider_event');
    if (applied !== 'late') return 'done';
    const isAdopted = await adoptRefund(uow, cashier, refund.paymentAttemptId, fact, { note: LATE, cause: 'provider_event' });
    return isAdopted ? 'done' : 'again';
  });
}

/** A refund made at the provider by hand: of a charge of ours, or of one that nothing of ours explains. */
async function applyForeignRefund(cashier: Cashier, fact: RefundFact): Promise<Outcome> {
  const orphanId = await orphanOf(cashier, fact);
  if (orphanId !== null) return (await applyOrphanRefund(cashier, orphanId, fact)) ? 'done' : 'again';
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, SYSTEM, (uow) => loadTransaction(uow, chargeId));
  if (!charge || chargeId === null) return unlessForeign(cashier, fact.paymentObjectId);
  return inTx(cashier.tx, own(charge.userId), async (uow): Promise<Outcome> => {
    await lockCustomer(uow, charge.userId);
    const isAdopted = await adoptRefund(uow, cashier, chargeId, fact, { note: 'Made at the provider.', cause: 'provider_event' });
    return isAdopted ? 'done' : 'again';
  });
}

/** The finding of the orphan that a refund gives back; null when its charge is none. */
async function orphanOf(cashier: Cashier, fact: RefundFact): Promise<string | null> {
  const charge = fact.chargeId === null ? null : await lookUp(cashier, fact.chargeId);
  return charge?.kind === 'orphan' ? charge.id : null;
}

async function applyDispute(cashier: Cashier, fact: DisputeFact): Promise<Outcome> {
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, SYSTEM, (uow) => loadTransaction(uow, chargeId));
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
  const attempt = await inTx(cashier.tx, SYSTEM, (uow) => loadLatestAttempt(uow, payment.id));
  return attempt?.id ?? null;
}

/** An account may serve others too: what bears no mark of ours is theirs. What does will be known once its own unit of work is committed. */
async function unlessForeign(cashier: Cashier, paymentObjectId: string | null): Promise<Outcome> {
  if (paymentObjectId === null) return 'ignored';
  const called = await cashier.provider.readPayment(paymentObjectId);
  return called.kind === 'fact' && called.fact.intentRef === null ? 'ignored' : 'again';
}

function lookUp(cashier: Cashier, objectId: string) {
  return inTx(cashier.tx, SYSTEM, (uow) => findRef(uow, objectId, cashier.provider.accountId));
}

/**
 * Lists the provider's own events and keeps those that never arrived: run always, not only after an outage. Goes on from where the last
 * listing ended, span by span, so that a worker that was away leaves no hole.
 */
export async function fetchMissedEvents(cashier: Cashier): Promise<void> {
  const { provider } = cashier;
  const now = cashier.tx.clock.now().getTime();
  const until = await inTx(cashier.tx, SYSTEM, (uow) => listedUntil(uow, provider.accountId));
  let from =
    until === null
      ? now - FIRST_LISTING_MS
      : Math.max(Math.min(until.getTime(), now) - LISTING_OVERLAP_MS, now - LISTED_AT_MOST_MS);
  while (from < now) {
    const to = Math.min(from + LISTING_SPAN_MS, now);
    const called = await provider.listEvents({ from: new Date(from), to: new Date(to) });
    cashier.events.providerCalled('listEvents', called.kind);
    if (called.kind !== 'fact') return;
    await keepMissed(cashier, called.fact, now);
    await inTx(cashier.tx, SYSTEM, (uow) => moveListedUntil(uow, provider.accountId, new Date(to)));
    from = to;
  }
}

async function keepMissed(cashier: Cashier, listed: { event: ProviderEvent; raw: string }[], now: number): Promise<void> {
  const { accountId } = cashier.provider;
  const ids = listed.map(({ event }) => event.eventId);
  const unknown = await inTx(cashier.tx, SYSTEM, (uow) => unknownEvents(uow, accountId, ids));
  for (const { event, raw } of listed) {
    if (!unknown.has(event.eventId)) continue;
    const id = newId(cashier, 'whe', keyBucket(event.eventId));
    const webhook = { id, event, providerAccountId: accountId, source: 'listing', rawBody: Buffer.from(raw) } as const;
    const isNew = await inTx(cashier.tx, SYSTEM, (uow) => storeWebhook(uow, webhook));
    if (isNew && event.createdAt.getTime() < now - ON_ITS_WAY_MS) cashier.events.webhook('missed');
  }
}
