/**
 * Applies stored events: each names an object, the object is fetched, and what it says enters through the same doors as our own answers.
 * Many events about one object are one fetch. Nothing is believed of the event but its name.
 */
import { idTimeMs, parsePublicId, type TransactionId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { invariant } from '../domain/invariant.js';
import { CALL_TIMEOUT_MS, LEASE_MS } from '../domain/payment/schedule.js';
import type { Called, DisputeFact, EventPage, PaymentFact, ProviderEvent, RefundFact, SetupFact } from '../ports/provider.js';
import { lockCustomer } from '../store/customers.store.js';
import {
  listDisputes,
  loadDispute,
  loadIntent,
  loadLatestAttempt,
  loadRefund,
  loadTransaction,
} from '../store/payments.store.js';
import {
  claimListing,
  claimWebhooks,
  endKnownWebhooks,
  findRef,
  moveListedUntil,
  recordFinding,
  settleWebhooks,
  unknownEvents,
  type ClaimedWebhook,
  type WebhookOutcome,
} from '../store/provider.store.js';
import { inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { keyBucket } from '../platform/json.js';
import type { ForEach } from '../platform/repeat.js';
import { applyDisputeFact } from './apply-dispute-fact.js';
import { applySetupFact } from './complete-setup.js';
import { BATCH, type Cashier, findingId, newId, own, SYSTEM } from './cashier.js';
import { gather } from '../platform/gather.js';
import { settleTold } from './renew.js';
import { keepEvents } from './receive-webhook.js';
import { recordPayment } from './send-payment.js';
import { adoptRefund, applyRefundFact } from './apply-refund-fact.js';
import { LATE } from './send-refund.js';
import { applyOrphanRefund } from './give-back-orphan.js';
import { loadSetup } from '../store/payment-methods.store.js';

/** Waits between tries; after the last an event is parked, within ten minutes of its coming. */
const BACKOFF_MS = [1_000, 5_000, 15_000, 45_000, 90_000, 120_000, 150_000] as const;
const MOST_TRIES = BACKOFF_MS.length + 1;
/** While the provider can not tell, an event waits for this part of its age, within these bounds. */
const UNANSWERED_WAIT_OF_AGE = 0.5;
const UNANSWERED_MIN_MS = 1_000;
const UNANSWERED_MAX_MS = 120_000;
/** All workers together list so often, and a little more rarely as each looks only once a minute: what was missed is here within ten minutes. */
export const LISTING_EVERY_MS = 4 * 60_000;
/** Each listing reaches back this much before the end of the last one, against clocks and late writers. */
const LISTING_OVERLAP_MS = 10 * 60_000;
/** The first listing of all reaches back this far: as long as the provider re-delivers. */
const FIRST_LISTING_MS = 3 * 86_400_000;
/** The provider keeps events for thirty days. */
const LISTED_AT_MOST_MS = 30 * 86_400_000;
/** One listing covers at most this span, so that the mark moves on as it goes. */
const LISTING_SPAN_MS = 6 * 3_600_000;
/** Listed events kept by one statement. */
const KEPT_AT_ONCE = 100;
/** A listed event younger than this may still be on its way; it is kept, but does not count as missed. */
const ON_ITS_WAY_MS = 60_000;

/** One turn at the stored events. */
export interface WebhookTurn {
  claimed: number;
  /** What the application of single objects threw: bugs, or broken infrastructure. Their events were put off or parked already. */
  failures: unknown[];
}

/** Events that tell only what is known are ended so many times as many at once as others are claimed: they cost nearly nothing. */
const KNOWN_FOR_ONE = 8;

/** Ends events that tell only what is known here already; answers with their number. */
async function endKnown(cashier: Cashier, buckets: Slot, limit: number): Promise<number> {
  const ended = await inTx(cashier.tx, BATCH, (uow) => endKnownWebhooks(uow, buckets, cashier.provider.successEvents, limit));
  for (let nth = 0; nth < ended; nth++) cashier.events.webhook('applied');
  return ended;
}

/**
 * Ends those events that tell only what is known; claims and applies up to `limit` of the others. Each object is worked on by itself: what fails about one is that one's alone.
 * @throws what kept the queue itself from being read or written
 */
export async function applyWebhooks(cashier: Cashier, buckets: Slot, limit: number, forEach: ForEach): Promise<WebhookTurn> {
  const known = await endKnown(cashier, buckets, limit * KNOWN_FOR_ONE);
  // Read before the claim is written: by this clock the lease never seems to last longer than it does.
  const claimedAtMs = cashier.monotonicMs();
  const claimed = await inTx(cashier.tx, BATCH, (uow) =>
    claimWebhooks(uow, buckets, limit, new Date(uow.now.getTime() + LEASE_MS)),
  );
  const leftMs = (): number => claimedAtMs + LEASE_MS - cashier.monotonicMs();
  const settleRenewal = gather<PaymentFact, boolean>(
    async (facts) => (leftMs() > 0 ? settleTold(cashier, facts) : facts.map(() => false)),
    limit,
  );
  const turn: Turn = { cashier, leftMs, settleRenewal };
  const end = gather<Ended, null>((ended) => settle(cashier, ended), limit);
  const failures: unknown[] = [];
  // What says nothing to us is one group, and ends together.
  const objects = Map.groupBy(claimed, (event) => (kindOf(cashier, event) === 'other' ? null : event.objectId));
  await forEach([...objects.values()], async (events) => {
    let outcome: Outcome;
    try {
      outcome = await applyObject(turn, events);
    } catch (error) {
      failures.push(error);
      outcome = 'again';
    }
    await end({ events, outcome });
  });
  return { claimed: known + claimed.length, failures };
}

/** A worker's turn and what is left of its lease, by the clock that nobody moves: a process can be stopped between any two lines. */
interface Turn {
  cashier: Cashier;
  leftMs: () => number;
  /** Writes a success of a renewal together with others; false: it is none, or not as plain. */
  settleRenewal: (fact: PaymentFact) => Promise<boolean>;
}

/** Events about one object, and what became of them. */
interface Ended {
  events: ClaimedWebhook[];
  outcome: Outcome;
}

/**
 * What became of the events about one object. `again`: it does not fit yet, which counts as a try. `unanswered`: the provider could not
 * tell. `late`: the lease was over, or too short for a call, so nothing was done.
 */
type Outcome = 'done' | 'ignored' | 'again' | 'unanswered' | 'late';

async function applyObject(turn: Turn, events: ClaimedWebhook[]): Promise<Outcome> {
  const [first] = events;
  invariant(first !== undefined, 'a group has an event');
  const kind = kindOf(turn.cashier, first);
  if (kind === 'other' || first.objectId === null) return 'ignored';
  // So many workers ended over it that the object may be the cause.
  if (events.some((event) => event.attempts > MOST_TRIES)) return 'again';
  return fetchAndApply(turn, kind, first.objectId);
}

function kindOf(cashier: Cashier, event: ClaimedWebhook): ProviderEvent['objectKind'] {
  return event.objectId === null ? 'other' : cashier.provider.objectKindOf(event.type);
}

/** Ends claims, where they still hold. */
async function settle(cashier: Cashier, ended: readonly Ended[]): Promise<null[]> {
  const outcomeOf = new Map(ended.flatMap(({ events, outcome }) => events.map((event) => [event, outcome] as const)));
  const settled = await inTx(cashier.tx, BATCH, async (uow) => {
    const decide = (event: ClaimedWebhook): WebhookOutcome => decideWebhook(outcomeOf.get(event) ?? 'again', event, uow.now);
    const held = await settleWebhooks(uow, [...outcomeOf.keys()], decide);
    const ends = held.map((event) => ({ event, status: decide(event).status }));
    for (const { event, status } of ends) if (status === 'parked') await findParked(uow, event);
    return ends;
  });
  for (const { event, status } of settled) {
    if (status === 'parked') cashier.events.findingOpened('webhook_parked', 2);
    if (status !== 'new') cashier.events.webhook(status === 'done' ? 'applied' : status);
    else if (outcomeOf.get(event) !== 'late') cashier.events.webhook('retried');
  }
  return ended.map(() => null);
}

function decideWebhook(outcome: Outcome, event: ClaimedWebhook, now: Date): WebhookOutcome {
  const after = (ms: number): Date => new Date(now.getTime() + ms);
  switch (outcome) {
    case 'done':
    case 'ignored':
      return { status: outcome };
    case 'late':
      return { status: 'new', nextActionAt: now, countsAsTry: false };
    case 'unanswered': {
      // No fault of the event: it waits for the provider, and is asked for more rarely the older it is.
      const waitMs = (now.getTime() - idTimeMs(event.id)) * UNANSWERED_WAIT_OF_AGE;
      return {
        status: 'new',
        nextActionAt: after(Math.min(Math.max(waitMs, UNANSWERED_MIN_MS), UNANSWERED_MAX_MS)),
        countsAsTry: false,
      };
    }
    case 'again': {
      const waitMs = BACKOFF_MS[event.attempts - 1];
      return waitMs === undefined ? { status: 'parked' } : { status: 'new', nextActionAt: after(waitMs), countsAsTry: true };
    }
  }
}

/** An event is tried no more: a person finds it in the findings, and the queue goes on. */
async function findParked(uow: UnitOfWork, event: ClaimedWebhook): Promise<void> {
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
}

async function fetchAndApply(turn: Turn, kind: 'payment' | 'refund' | 'dispute' | 'setup', objectId: string): Promise<Outcome> {
  const { cashier } = turn;
  const { provider } = cashier;
  switch (kind) {
    case 'payment':
      return ask(
        turn,
        'read',
        () => provider.readPayment(objectId),
        (fact) => applyPayment(turn, fact),
      );
    case 'refund':
      return ask(
        turn,
        'readRefund',
        () => provider.readRefund(objectId),
        (fact) => applyRefund(turn, fact),
      );
    case 'dispute': {
      const known = await disputeVersion(cashier, objectId);
      return ask(
        turn,
        'readDispute',
        () => provider.readDispute(objectId),
        (fact) => applyDispute(turn, fact, known),
      );
    }
    case 'setup':
      return ask(
        turn,
        'readSetup',
        () => provider.readSetup(objectId),
        (fact) => applySetup(cashier, fact),
      );
  }
}

/** Asks the provider and lets its answer decide: a call is begun only if it ends within the lease, a decision is made only within it. */
async function ask<Fact>(
  { cashier, leftMs }: Turn,
  operation: string,
  call: () => Promise<Called<Fact>>,
  apply: (fact: Fact) => Promise<Outcome>,
): Promise<Outcome> {
  if (leftMs() < CALL_TIMEOUT_MS) return 'late';
  const called = await call();
  cashier.events.providerCalled(operation, called.kind);
  if (leftMs() <= 0) return 'late';
  switch (called.kind) {
    case 'fact':
      return apply(called.fact);
    case 'refused':
      return 'again';
    case 'not_now':
    case 'unknown':
      return 'unanswered';
  }
}

async function applySetup(cashier: Cashier, fact: SetupFact): Promise<Outcome> {
  if (fact.setupRef === null) return 'ignored';
  const setupId = parsePublicId('set', fact.setupRef);
  const setup = setupId && (await inTx(cashier.tx, SYSTEM, (uow) => loadSetup(uow, setupId)));
  if (!setup) return 'again';
  await inTx(cashier.tx, own(setup.userId), (uow) => applySetupFact(uow, cashier, setup.id, fact));
  return 'done';
}

/** The object may be one that we know by its id, or one whose own unit of work is not committed yet: then again later. */
async function applyPayment({ cashier, leftMs, settleRenewal }: Turn, fact: PaymentFact): Promise<Outcome> {
  if (fact.status === 'succeeded' && (await settleRenewal(fact))) return 'done';
  if (leftMs() <= 0) return 'late';
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
  const { applied } = await recordPayment(cashier, payment, { kind: 'fact', fact, requestId: null }, 'provider_event');
  // It was to be cancelled at the provider, whose word is still to come.
  return applied === 'cancelFirst' ? 'unanswered' : 'done';
}

async function applyRefund(turn: Turn, fact: RefundFact): Promise<Outcome> {
  const { cashier } = turn;
  const ref = await lookUp(cashier, fact.objectId);
  const refundId = ref?.kind === 'refund' ? ref.id : fact.refundRef && parsePublicId('txn', fact.refundRef);
  const known = refundId ? await inTx(cashier.tx, SYSTEM, (uow) => loadRefund(uow, refundId)) : null;
  if (!refundId || (!known && (await orphanOf(cashier, fact)) !== null)) return applyForeignRefund(turn, fact);
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
async function applyForeignRefund(turn: Turn, fact: RefundFact): Promise<Outcome> {
  const { cashier } = turn;
  const orphanId = await orphanOf(cashier, fact);
  if (orphanId !== null) return (await applyOrphanRefund(cashier, orphanId, fact)) ? 'done' : 'again';
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, SYSTEM, (uow) => loadTransaction(uow, chargeId));
  if (!charge || chargeId === null) return unlessForeign(turn, fact.paymentObjectId);
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

/** @param known the version of our row before the provider was asked: an answer may be older than what somebody else wrote since */
async function applyDispute(turn: Turn, fact: DisputeFact, known: number | null): Promise<Outcome> {
  const { cashier } = turn;
  const chargeId = await findCharge(cashier, fact.chargeId, fact.paymentObjectId);
  const charge = chargeId === null ? null : await inTx(cashier.tx, SYSTEM, (uow) => loadTransaction(uow, chargeId));
  if (!charge || chargeId === null) return unlessForeign(turn, fact.paymentObjectId);
  // The charge must be in the books before it can be disputed.
  if (charge.status !== 'succeeded') return 'again';
  return inTx(cashier.tx, own(charge.userId), async (uow): Promise<Outcome> => {
    await lockCustomer(uow, charge.userId);
    const row = (await listDisputes(uow, chargeId)).find((one) => one.providerObjectId === fact.objectId);
    if ((row?.version ?? null) !== known) return 'again';
    await applyDisputeFact(uow, cashier, chargeId, fact);
    return 'done';
  });
}

/** The version of our row of a dispute; null when it was never met. */
async function disputeVersion(cashier: Cashier, objectId: string): Promise<number | null> {
  const ref = await lookUp(cashier, objectId);
  if (ref?.kind !== 'dispute') return null;
  const row = await inTx(cashier.tx, SYSTEM, (uow) => loadDispute(uow, ref.id));
  return row?.version ?? null;
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
async function unlessForeign(turn: Turn, paymentObjectId: string | null): Promise<Outcome> {
  if (paymentObjectId === null) return 'ignored';
  return ask(
    turn,
    'read',
    () => turn.cashier.provider.readPayment(paymentObjectId),
    async (fact) => (fact.intentRef === null ? 'ignored' : 'again'),
  );
}

function lookUp(cashier: Cashier, objectId: string) {
  return inTx(cashier.tx, SYSTEM, (uow) => findRef(uow, objectId, cashier.provider.accountId));
}

/**
 * Lists the provider's own events and keeps those that never arrived: run always, not only after an outage. Goes on from where the last
 * listing ended, span by span, so that a worker that was away leaves no hole. Nothing is done while another worker's listing is fresh.
 */
export async function fetchMissedEvents(cashier: Cashier): Promise<void> {
  const { provider } = cashier;
  const claimed = await inTx(cashier.tx, SYSTEM, (uow) => claimListing(uow, provider.accountId, LISTING_EVERY_MS));
  if (claimed === null) return;
  const now = cashier.tx.clock.now().getTime();
  const until = claimed.listedUntil;
  let from =
    until === null
      ? now - FIRST_LISTING_MS
      : Math.max(Math.min(until.getTime(), now) - LISTING_OVERLAP_MS, now - LISTED_AT_MOST_MS);
  while (from < now) {
    const to = Math.min(from + LISTING_SPAN_MS, now);
    if (!(await listSpan(cashier, { from: new Date(from), to: new Date(to) }, now))) return;
    await inTx(cashier.tx, SYSTEM, (uow) => moveListedUntil(uow, provider.accountId, new Date(to), LISTING_EVERY_MS));
    from = to;
  }
}

/** Keeps what was missed in a span, page by page. @returns whether it was read to its end */
async function listSpan(cashier: Cashier, span: { from: Date; to: Date }, now: number): Promise<boolean> {
  let after: string | null = null;
  do {
    const called: Called<EventPage> = await cashier.provider.listEvents({ ...span, after });
    cashier.events.providerCalled('listEvents', called.kind);
    if (called.kind !== 'fact') return false;
    await keepMissed(cashier, called.fact.events, now);
    after = called.fact.next;
  } while (after !== null);
  return true;
}

async function keepMissed(cashier: Cashier, listed: EventPage['events'], now: number): Promise<void> {
  if (listed.length === 0) return;
  const { accountId } = cashier.provider;
  const ids = listed.map(({ event }) => event.eventId);
  const unknown = await inTx(cashier.tx, BATCH, (uow) => unknownEvents(uow, accountId, ids));
  const missed = listed
    .filter(({ event }) => unknown.has(event.eventId))
    .map(({ event, raw }) => ({ id: newId(cashier, 'whe', keyBucket(event.eventId)), event, rawBody: Buffer.from(raw) }));
  for (let first = 0; first < missed.length; first += KEPT_AT_ONCE) {
    const portion = missed.slice(first, first + KEPT_AT_ONCE);
    const added = await keepEvents(cashier, portion, 'listing');
    for (const { id, event } of portion)
      if (added.has(id) && event.createdAt.getTime() < now - ON_ITS_WAY_MS) cashier.events.webhook('missed');
  }
}
