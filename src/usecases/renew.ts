/**
 * Collecting renewals: attempts whose time has come (do-due.ts billed them) are claimed, sent, and their successes written many at a time. Whatever
 * is not a plain success takes the road of every other payment, so there is one way for each outcome and a crash anywhere leaves rows that the
 * resolver ends.
 */
import { makeId, parsePublicId } from '../domain/ids.js';
import type { Slot } from '../platform/slots.js';
import { paymentSucceeded, providerFee, type Movement } from '../domain/ledger/journals.js';
import { CALL_TIMEOUT_MS, LEASE_MS } from '../domain/payment/schedule.js';
import { isRenewedBy, renewed } from '../domain/subscription/renewal.js';
import type { SubscriptionStatus } from '../domain/subscription/subscription.js';
import { gather } from '../platform/gather.js';
import { keyBucket, sha256 } from '../platform/json.js';
import type { ForEach } from '../platform/repeat.js';
import type { ChargeRequest, PaymentFact } from '../ports/provider.js';
import {
  countDueAttempts,
  giveRenewalsBack,
  lockLostRenewals,
  lockRenewalAttempts,
  lockStanding,
  openRenewalsOf,
  resendRenewals,
  sendRenewals,
  TOLD,
  writePaidRenewals,
  type OpenRenewal,
  type PaidRenewal,
  type RenewalAttemptRef,
  type RenewalStanding,
  type SentRenewal,
  type SourcedMovement,
} from '../store/renewals.store.js';
import type { TransactionCause } from '../store/payments.store.js';
import { countCharged, slowCallsDown } from '../store/renewal-control.store.js';
import { alone, inTx, type UnitOfWork } from '../store/unit-of-work.js';
import { mayStillSend, newId, own, BATCH, SYSTEM, type Cashier } from './cashier.js';
import { fingerprintOf, renewalRequest } from './charge-request.js';
import { readPayment, recordPayment, sendPayment } from './send-payment.js';

/** Whether any renewal waits to go out in these buckets: one look, so that an idle worker asks for little. */
export async function isAnyToSend(cashier: Cashier, buckets: Slot): Promise<boolean> {
  return inTx(cashier.tx, BATCH, async (uow) => (await countDueAttempts(uow, buckets, 1)) > 0);
}

/** Movements of a row with the row. */
export function sourced(
  movements: readonly Movement[],
  owner: { bucket: number; userId: string },
  sourceId: string,
  invoiceId: string | null,
  effectiveAt: Date,
): SourcedMovement[] {
  return movements.map(({ amountMinor, ...movement }) => ({
    ...movement,
    amount: amountMinor.toString(),
    bucket: owner.bucket,
    userId: owner.userId,
    sourceId,
    invoiceId,
    effectiveAt,
  }));
}

/** Ids of rows of the outbox, for `count` changes that are told of somebody. */
export function outboxIds(uow: UnitOfWork, cashier: Cashier, bucket: number, count: number): string[] {
  return Array.from({ length: count }, () => makeId('whe', bucket, uow.now.getTime(), cashier.tx.random.bytes(8)));
}

/** A claimed renewal, and when it was claimed by the clock that nobody moves. */
interface Claimed extends SentRenewal {
  claimedAtMs: number;
}

/** Sends what is due, any number of times; made once for a worker. */
export interface Collector {
  /**
   * Claims and sends up to `limit` attempts of these buckets, as many of them as are admitted, and writes how they ended.
   */
  collect(buckets: Slot, limit: number, admit: (wanted: number) => Promise<number>): Promise<Collected>;
  /** Claims up to `limit` sent ones whose worker is gone, asks by the same request how they ended, and writes it. They were admitted before. */
  recover(buckets: Slot, limit: number): Promise<Collected>;
}

/** How many were claimed, and what was thrown about single ones. */
export interface Collected {
  claimed: number;
  failures: unknown[];
}

/** A sent renewal is looked at so long after its claim: when its call is surely over. */
export const FIRST_LOOK_MS = CALL_TIMEOUT_MS + 1_000;

/** Claimed at once by a process that has sent nothing yet, or came too late with the last ones; doubled with each batch that went out in time. */
const SLOWEST = 16;

/** Successes written by one statement at most. */
const MOST_SETTLED_AT_ONCE = 500;

/** The collector of one worker: successes that come while others are being written are written with the next ones. */
export function makeCollector(cashier: Cashier, forEach: ForEach): Collector {
  const settle = gather<Paid, boolean>((paid) => settlePaid(cashier, paid, 'renewal'), MOST_SETTLED_AT_ONCE);

  /** So many are claimed at once: few by a process that is just warming up, as what it can not send in time helps nobody. */
  let pace = SLOWEST;

  /** Sends them side by side; those that were claimed too long ago go back to whoever is faster. */
  async function sendAll(claimed: readonly Claimed[]): Promise<unknown[]> {
    const late: Claimed[] = [];
    const failures = await each(claimed, async (renewal) => {
      // Too late to send: the lease may be over when it arrives.
      if (!mayStillSend(cashier, renewal.claimedAtMs)) late.push(renewal);
      else await send(renewal);
    });
    pace = late.length > 0 ? SLOWEST : pace * 2;
    if (late.length > 0) await inTx(cashier.tx, BATCH, (uow) => giveRenewalsBack(uow, late));
    return failures;
  }

  async function send(renewal: Claimed): Promise<void> {
    const called = await cashier.provider.charge(requestOf(renewal));
    cashier.events.providerCalled('charge', called.kind);
    if (called.kind === 'not_now' && called.reason === 'rate_limited') await goSlower(cashier, called.retryAfterMs);
    if (called.kind === 'fact' && isPlain(called.fact, renewal) && (await settle({ renewal, fact: called.fact }))) {
      cashier.events.statusChanged('charge', 'succeeded');
      return;
    }
    const held = await inTx(cashier.tx, own(renewal.userId), (uow) => readPayment(uow, renewal.id));
    if (!held) return;
    const claimed = {
      id: renewal.id,
      userId: renewal.userId,
      intent: held.intent,
      attempt: Object.assign(held.attempt, { version: renewal.version }),
      claimedAtMs: renewal.claimedAtMs,
    };
    await recordPayment(cashier, claimed, called, 'renewal');
  }

  /** Each by itself: what is thrown about one is told, and stops no other. */
  async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<unknown[]> {
    const failures: unknown[] = [];
    await forEach(items, async (item) => {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    });
    return failures;
  }

  return {
    collect: async (buckets, limit, admit) => {
      const due = await inTx(cashier.tx, BATCH, (uow) => countDueAttempts(uow, buckets, Math.min(limit, pace)));
      const admitted = due === 0 ? 0 : await admit(due);
      if (admitted === 0) return { claimed: 0, failures: [] };
      const { claimed, unwanted } = await claim(cashier, buckets, admitted);
      const failed = await sendAll(claimed);
      // Those that are not wanted any more end here; those that can not be charged as they stand are looked at one by one.
      const failedToo = await each(unwanted, (ref) => sendPayment(cashier, ref));
      return { claimed: claimed.length + unwanted.length, failures: [...failed, ...failedToo] };
    },
    recover: async (buckets, limit) => {
      const claimed = await claimLost(cashier, buckets, Math.min(limit, pace));
      return { claimed: claimed.length, failures: await sendAll(claimed) };
    },
  };
}

/** Sent renewals whose worker is gone, or whose lease is over, are claimed again. One that would now be asked for differently is left to the resolver. */
async function claimLost(cashier: Cashier, buckets: Slot, limit: number): Promise<Claimed[]> {
  const { sent, claimedAtMs } = await inTx(cashier.tx, BATCH, async (uow) => {
    const now = uow.now.getTime();
    const locked = await lockLostRenewals(uow, buckets, limit, new Date(now + FIRST_LOOK_MS));
    const claim = { leaseUntil: new Date(now + LEASE_MS), claimedBy: cashier.presence?.() ?? null };
    const claimed = locked.length === 0 ? [] : await resendRenewals(uow, locked, claim);
    return { sent: claimed, claimedAtMs: cashier.monotonicMs() };
  });
  return sent
    .filter((renewal) => fingerprintOf(requestOf(renewal)).equals(renewal.fingerprint))
    .map((renewal) => ({ ...renewal, claimedAtMs }));
}

/** What a provider that is asked too much is spared for, at least. */
const SLOWER_MS = 30_000;

async function goSlower(cashier: Cashier, retryAfterMs: number): Promise<void> {
  await inTx(cashier.tx, SYSTEM, (uow) =>
    slowCallsDown(uow, cashier.provider.accountId, new Date(uow.now.getTime() + Math.max(retryAfterMs, SLOWER_MS))),
  );
}

async function claim(
  cashier: Cashier,
  buckets: Slot,
  limit: number,
): Promise<{ claimed: Claimed[]; unwanted: RenewalAttemptRef[] }> {
  const { refs, sent, claimedAtMs } = await inTx(cashier.tx, BATCH, async (uow) => {
    const locked = await lockRenewalAttempts(uow, buckets, limit);
    if (locked.length === 0) return { refs: locked, sent: [], claimedAtMs: 0 };
    const now = uow.now.getTime();
    const times = {
      callDeadlineAt: new Date(now + CALL_TIMEOUT_MS),
      keyValidUntil: new Date(now + cashier.provider.keyLifeMs),
      leaseUntil: new Date(now + LEASE_MS),
      nextActionAt: new Date(now + FIRST_LOOK_MS),
      claimedBy: cashier.presence?.() ?? null,
    };
    const claimed = await sendRenewals(uow, locked, times);
    // Read before the commit: whatever holds the process up from here on counts.
    return { refs: locked, sent: claimed, claimedAtMs: cashier.monotonicMs() };
  });
  // Only what is really taken counts against the hour's plan: of those admitted another lane may have taken some.
  if (sent.length > 0) await countCharged(alone(cashier.tx), cashier.provider.accountId, sent.length);
  const isSent = new Set<string>(sent.map(({ id }) => id));
  return {
    claimed: sent.map((renewal) => ({ ...renewal, claimedAtMs })),
    unwanted: refs.filter(({ id }) => !isSent.has(id)),
  };
}

function requestOf(renewal: SentRenewal): ChargeRequest {
  const { idempotencyKey, amount, currency, customerObjectId, methodObjectId, intentId, invoiceId } = renewal;
  return renewalRequest({ idempotencyKey, amountMinor: amount, currency, customerObjectId, methodObjectId, intentId, invoiceId });
}

/**
 * Writes successes that events tell of renewals whose own answer was lost, together.
 * @returns for each whether it was: what was not takes the road of every other payment
 */
export async function settleTold(cashier: Cashier, facts: readonly PaymentFact[]): Promise<boolean[]> {
  const intentOf = (fact: PaymentFact) => (fact.intentRef === null ? null : parsePublicId('pin', fact.intentRef));
  const intents = facts.map(intentOf).filter((id) => id !== null);
  const open = intents.length === 0 ? [] : await inTx(cashier.tx, BATCH, (uow) => openRenewalsOf(uow, intents));
  const openOf = new Map<string, OpenRenewal>(open.map((renewal) => [renewal.intentId, renewal]));
  const paid = facts.map((fact): Paid | null => {
    const renewal = openOf.get(intentOf(fact) ?? '');
    return renewal && isPlain(fact, renewal) ? { renewal, fact } : null;
  });
  const together = paid.filter((one) => one !== null);
  const written = together.length === 0 ? [] : await settlePaid(cashier, together, 'provider_event');
  for (const isWritten of written) if (isWritten) cashier.events.statusChanged('charge', 'succeeded');
  const isWritten = new Map(together.map((one, i) => [one, written[i] ?? false]));
  return paid.map((one) => one !== null && (isWritten.get(one) ?? false));
}

/** A renewal and the success that its provider told of it. */
interface Paid {
  renewal: OpenRenewal;
  fact: PaymentFact;
}

/** A success as it should be, with its line of the provider's books in the same currency: it may be written with others. */
function isPlain(fact: PaymentFact, renewal: OpenRenewal): boolean {
  const [record, ...more] = fact.records;
  return (
    fact.status === 'succeeded' &&
    fact.chargeId !== null &&
    fact.amountMinor === renewal.amount &&
    fact.currency === renewal.currency &&
    record !== undefined &&
    more.length === 0 &&
    record.kind === 'charge' &&
    record.currency === renewal.currency
  );
}

/** Writes successes together; false for those that must take the other road, as something has moved meanwhile. */
async function settlePaid(cashier: Cashier, paid: readonly Paid[], cause: TransactionCause): Promise<boolean[]> {
  return inTx(cashier.tx, BATCH, async (uow) => {
    const standing = await lockStanding(
      uow,
      paid.map(({ renewal }) => renewal),
    );
    const standingOf = new Map(standing.map((row) => [row.id, row]));
    const rows: PaidRenewal[] = [];
    const movements: SourcedMovement[] = [];
    const users = new Set<string>();
    const isTogether = paid.map(({ renewal, fact }) => {
      const row = standingOf.get(renewal.id);
      // A customer's feed is numbered once in a statement: a second renewal of the same customer goes alone.
      if (!row || !movesOn(row) || users.has(renewal.userId)) return false;
      users.add(renewal.userId);
      const one = paidRow(uow, cashier, renewal, fact, row);
      rows.push(one.paid);
      movements.push(...one.movements);
      return true;
    });
    if (rows.length > 0) await writePaidRenewals(uow, rows, movements, { providerAccountId: cashier.provider.accountId, cause });
    return isTogether;
  });
}

function movesOn(row: RenewalStanding): boolean {
  const subscription = { status: row.subscriptionStatus as SubscriptionStatus, epoch: row.epoch, periodNumber: row.periodNumber };
  return row.isPlain && isRenewedBy(subscription, { epoch: row.invoiceEpoch, n: row.invoicePeriod });
}

function paidRow(
  uow: UnitOfWork,
  cashier: Cashier,
  renewal: OpenRenewal,
  fact: PaymentFact,
  row: RenewalStanding,
): { paid: PaidRenewal; movements: SourcedMovement[] } {
  const [record] = fact.records;
  if (!record || fact.chargeId === null) throw new Error('only a plain success is written with others');
  const recordId = newId(cashier, 'txn', renewal.bucket);
  const period = { epoch: row.invoiceEpoch, n: row.invoicePeriod, start: row.invoiceStart, end: row.invoiceEnd };
  const { status: _, epoch: __, ...columns } = renewed(period);
  const movements = [
    ...sourced(
      paymentSucceeded(renewal.amount, renewal.currency, false),
      renewal,
      renewal.id,
      renewal.invoiceId,
      record.occurredAt,
    ),
    ...sourced(providerFee(record.feeMinor, record.currency), renewal, recordId, null, record.occurredAt),
  ];
  return {
    movements,
    paid: {
      bucket: renewal.bucket,
      userId: renewal.userId,
      attemptId: renewal.id,
      attemptVersion: row.attemptVersion,
      intentId: renewal.intentId,
      invoiceId: renewal.invoiceId,
      subscriptionId: row.subscriptionId,
      subscriptionVersion: row.subscriptionVersion,
      subscriptionStatus: row.subscriptionStatus,
      outboxIds: outboxIds(uow, cashier, renewal.bucket, TOLD.ofPaid),
      version: row.transactionVersion + 1,
      previousStatus: row.transactionStatus,
      statementDescriptor: fact.statementDescriptor,
      objectId: fact.objectId,
      objectBucket: keyBucket(fact.objectId),
      chargeId: fact.chargeId,
      chargeBucket: keyBucket(fact.chargeId),
      ...columns,
      recordId,
      nativeId: record.nativeId,
      nativeType: record.nativeType,
      recordObjectId: record.objectId,
      recordParentId: record.parentObjectId,
      gross: record.grossMinor.toString(),
      fee: record.feeMinor.toString(),
      net: record.netMinor.toString(),
      currency: record.currency,
      occurredAt: record.occurredAt,
      day: record.occurredAt.toISOString().slice(0, 10),
      recordStatus: record.status,
      digest: sha256(record.raw).toString('hex'),
    },
  };
}
