import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { parsePublicId, type PriceId, type TransactionId } from '../../src/domain/ids.js';
import type { PaymentProvider } from '../../src/ports/provider.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { newKey, priceId, someStaff, someUser, startWorld, withCard, type World } from '../support/world.js';

/** The provider's lists lag: an operation that took effect does not show until it is let. So absence is concluded wrongly, as it may be. */

let world: World;
let premium: PriceId;
let provider: PaymentProvider;

beforeAll(async () => {
  world = await startWorld();
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  ({ provider } = world.worker);
});
afterEach(async () => {
  world.worker.provider = provider;
  await world.clearFaults();
});
afterAll(async () => world.stop());

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function hideFromLists(): void {
  const nothing = async () => ({ kind: 'fact', fact: null, requestId: null }) as const;
  world.worker.provider = { ...provider, findPayment: nothing, findRefund: nothing };
}

function showAgain(): void {
  world.worker.provider = provider;
}

const subscribe = (actor: Actor) =>
  world.commands.subscribe(actor, {
    priceId: premium,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

async function attemptOf(actor: Actor) {
  const [row] = await world.query<{ id: string; status: string; absent_since: Date | null; next_action_at: Date | null }>(
    'select id, status, absent_since, next_action_at from payment_attempt where user_id = $1',
    [actor.userId],
  );
  if (!row) throw new Error('no attempt');
  return row;
}

async function chargesOf(actor: Actor) {
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  return (await world.truth()).charges.filter((charge) => charge.customer === row?.object_id && charge.paid);
}

async function findingsAbout(subjectId: string) {
  return world.query<{ kind: string; severity: number; status: string; resolved_by: string | null }>(
    'select kind, severity, status, resolved_by from recon_finding where subject_id = $1 order by kind',
    [subjectId],
  );
}

async function suspense(): Promise<bigint> {
  const [row] = await world.query<{ balance: bigint }>(
    `select coalesce(sum(e.amount), 0)::bigint as balance from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'suspense'`,
  );
  return row?.balance ?? 0n;
}

async function pass(ms: number, stepMs: number, ...chores: string[]): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    await world.advance(stepMs);
    await world.work(...chores);
  }
}

/** A payment that took effect at the provider, whose answer came as an error and which no list shows, until it is called absent. */
async function takenForDead(token = 'pm_card_visa'): Promise<Actor> {
  const ana = await withCard(world, someUser(), token);
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  hideFromLists();
  await subscribe(ana);
  await pass(40 * MINUTE, 5 * MINUTE, 'payments');
  expect((await attemptOf(ana)).status).toBe('not_executed');
  return ana;
}

test('a charge that appears a day after it was called absent is given back in full, told as a finding, and changes nothing else', async () => {
  const ana = await takenForDead();
  expect((await chargesOf(ana)).map(({ amount_refunded }) => amount_refunded)).toEqual([0]);
  showAgain();
  await pass(DAY + 4 * HOUR, 4 * HOUR, 'payments', 'orphans');
  expect((await chargesOf(ana)).map(({ amount, amount_refunded }) => [amount, amount_refunded])).toEqual([[800, 800]]);
  const attempt = await attemptOf(ana);
  expect([attempt.status, attempt.next_action_at]).toEqual(['not_executed', null]);
  expect(await findingsAbout(attempt.id)).toEqual([
    { kind: 'late_appearance', severity: 1, status: 'open', resolved_by: null },
    { kind: 'missing_here_orphan', severity: 1, status: 'resolved', resolved_by: 'refunded' },
  ]);
  expect(await suspense()).toBe(0n);
  const told = await world.query<{ status: string }>(
    "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
    [ana.userId],
  );
  expect(told.map((row) => row.status)).toEqual(['pending', 'unknown', 'failed']);
  const rows = await world.query<{ status: string }>('select status from subscription where user_id = $1', [ana.userId]);
  expect(rows).toEqual([{ status: 'incomplete_expired' }]);
  // Its webhooks come at last, several times: nothing more happens.
  await world.receiveEvents();
  await world.work('webhooks', 'orphans');
  expect((await findingsAbout(attempt.id)).length).toBe(2);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a charge that a webhook names after it was called absent is given back once, though the answer of the refund is lost', async () => {
  const ana = await takenForDead();
  await world.fault({ operation: 'refunds.create', kind: 'timeout_after', count: 1 });
  showAgain();
  await world.receiveEvents();
  await world.work('webhooks', 'orphans');
  await pass(10 * MINUTE, 2 * MINUTE, 'orphans');
  expect((await chargesOf(ana)).map(({ amount_refunded }) => amount_refunded)).toEqual([800]);
  const [charge] = await chargesOf(ana);
  expect((await world.truth()).refunds.filter((refund) => refund.charge === charge?.id)).toHaveLength(1);
  expect((await findingsAbout((await attemptOf(ana)).id)).map(({ kind, status }) => [kind, status])).toEqual([
    ['late_appearance', 'open'],
    ['missing_here_orphan', 'resolved'],
  ]);
  await world.receiveEvents();
  await world.work('webhooks');
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a charge that appeared late and is given back by hand at the provider is not given back twice', async () => {
  const ana = await takenForDead();
  const [charge] = await chargesOf(ana);
  showAgain();
  const byHand = new URLSearchParams({ charge: charge?.id ?? '', amount: '300' });
  const answer = await fetch(`${world.standIn.url}/v1/refunds`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk_test_sandbox' },
    body: byHand,
  });
  expect(answer.status).toBe(200);
  await pass(DAY + 4 * HOUR, 4 * HOUR, 'payments', 'orphans');
  await world.receiveEvents();
  await world.work('webhooks', 'orphans');
  expect((await chargesOf(ana)).map(({ amount_refunded }) => amount_refunded)).toEqual([300]);
  const attempt = await attemptOf(ana);
  expect((await findingsAbout(attempt.id)).map(({ kind, status }) => [kind, status])).toEqual([
    ['late_appearance', 'open'],
    ['missing_here_orphan', 'open'],
  ]);
  expect(await suspense()).toBe(-500n);
  await fetch(`${world.standIn.url}/v1/refunds`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk_test_sandbox' },
    body: new URLSearchParams({ charge: charge?.id ?? '' }),
  });
  await world.receiveEvents();
  await world.work('webhooks');
  expect((await findingsAbout(attempt.id)).map(({ status }) => status)).toEqual(['open', 'resolved']);
  expect(await suspense()).toBe(0n);
  await expectSoundBooks(world);
  await expectBooksOfProvider(world);
});

test('a charge that appeared late and whose giving back fails at the bank stays a finding, with its money in suspense', async () => {
  const ana = await takenForDead('pm_card_refundFail');
  showAgain();
  await pass(DAY + 4 * HOUR, 4 * HOUR, 'payments', 'orphans');
  await fetch(`${world.standIn.url}/sandbox/advance`, { method: 'POST' });
  await world.receiveEvents();
  await world.work('webhooks', 'orphans');
  const attempt = await attemptOf(ana);
  expect((await findingsAbout(attempt.id)).map(({ kind, status, resolved_by }) => [kind, status, resolved_by])).toEqual([
    ['late_appearance', 'open', null],
    ['missing_here_orphan', 'open', null],
  ]);
  expect(await suspense()).toBe(-800n);
  await expectSoundBooks(world);
});

test('a payment that appears late and still waits for its customer is cancelled, so that it can not be paid any more', async () => {
  const ana = await takenForDead('pm_card_threeDSecure2Required');
  showAgain();
  await pass(DAY + 4 * HOUR, 4 * HOUR, 'payments');
  const { paymentIntents } = await world.truth();
  expect(paymentIntents.at(-1)?.status).toBe('canceled');
  const attempt = await attemptOf(ana);
  expect(attempt.status).toBe('not_executed');
  expect((await findingsAbout(attempt.id)).map(({ kind }) => kind)).toEqual(['late_appearance']);
  expect(await chargesOf(ana)).toEqual([]);
  await expectSoundBooks(world);
});

test('what was called absent and never appears is looked for one, two and three days later, and then no more', async () => {
  const ana = await withCard(world, someUser());
  await world.fault({ operation: 'payment_intents.create', kind: 'error_before', count: 1 });
  await subscribe(ana);
  await pass(40 * MINUTE, 5 * MINUTE, 'payments');
  const { status, absent_since: since } = await attemptOf(ana);
  expect(status).toBe('not_executed');
  let looks = 0;
  world.worker.provider = {
    ...provider,
    findPayment: async (request) => {
      looks++;
      return provider.findPayment(request);
    },
  };
  const lookAt = async (ms: number): Promise<number> => {
    await world.advance((since?.getTime() ?? 0) + ms - world.clock.now().getTime());
    await world.work('payments');
    return looks;
  };
  for (const days of [1, 2, 3]) {
    expect(await lookAt(days * DAY - MINUTE)).toBe(days - 1);
    expect(await lookAt(days * DAY + MINUTE)).toBe(days);
  }
  expect(await lookAt(6 * DAY)).toBe(3);
  expect((await attemptOf(ana)).next_action_at).toBeNull();
  await expectSoundBooks(world);
});

test('a refund that appears after it was called absent is taken into the books once, and its customer told', async () => {
  const ana = await withCard(world, someUser());
  const { transactionId } = await subscribe(ana);
  await world.fault({ operation: 'refunds.create', kind: 'error_after', count: 1 });
  hideFromLists();
  const answer = await world.commands.refund(someStaff('support'), {
    transactionId: transactionId as TransactionId,
    amount: { minor: 300n, currency: 'USD' },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  await pass(40 * MINUTE, 5 * MINUTE, 'refunds');
  const refunds = () =>
    world.query<{ id: string; status: string; amount: bigint }>(
      'select id, status, amount from refund where user_id = $1 order by id',
      [ana.userId],
    );
  expect((await refunds()).map(({ status }) => status)).toEqual(['canceled']);
  showAgain();
  await pass(DAY + 4 * HOUR, 4 * HOUR, 'refunds');
  await world.receiveEvents();
  await world.work('webhooks', 'refunds');
  expect((await refunds()).map(({ status, amount }) => [status, amount])).toEqual([
    ['canceled', 300n],
    ['succeeded', 300n],
  ]);
  expect((await chargesOf(ana)).map(({ amount_refunded }) => amount_refunded)).toEqual([300]);
  expect((await findingsAbout(answer.refundId ?? '')).map(({ kind }) => kind)).toEqual(['late_appearance']);
  await pass(3 * DAY, 12 * HOUR, 'refunds');
  expect(await refunds()).toHaveLength(2);
  await expectSoundBooks(world);
});

test('the id in the metadata of such a refund is that of its finding', async () => {
  const orphans = await world.query<{ id: string }>(`select id from recon_finding where kind = 'missing_here_orphan'`);
  const { refunds } = await world.truth();
  const named = refunds.flatMap(({ metadata }) => parsePublicId('txn', metadata?.['refund_id'] ?? '') ?? []);
  expect(named.filter((id) => orphans.some((orphan) => orphan.id === id)).length).toBe(3);
});
