import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type Stripe from 'stripe';
import { InvariantBroken } from '../../src/domain/invariant.js';
import { bucketOf, idTimeMs, makeId, type PriceId, type TransactionId, type WebhookEventId } from '../../src/domain/ids.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { keyBucket } from '../../src/platform/json.js';
import { eachAtMost, type ForEach } from '../../src/platform/repeat.js';
import type { PaymentProvider } from '../../src/ports/provider.js';
import { OVERTAKEN_WAIT_MS, unknownEvents, type NewWebhook } from '../../src/store/provider.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { applyWebhooks } from '../../src/usecases/apply-webhooks.js';
import { BATCH, type Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor } from '../../src/usecases/contract.js';
import { keepEvents, receiveWebhook } from '../../src/usecases/receive-webhook.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { eventually } from '../support/eventually.js';
import { letProviderWork, stateOf, stepUrl, subscription } from '../support/lives.js';
import { finishStep, priceId, signedBy, someUser, startWorld, type World, WEBHOOK_SECRET, withCard } from '../support/world.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const sixteenAtOnce: ForEach = (items, work) => eachAtMost(items, 16, work);
const oneAfterAnother: ForEach = (items, work) => eachAtMost(items, 1, work);

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld({ callTimeoutMs: 20_000 });
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterEach(async () => world.clearFaults());
afterAll(async () => world.stop());

/** A user whose payment was confirmed on the provider's page, which only the provider knows; its events are kept and wait. */
interface Paid {
  actor: Actor;
  transactionId: TransactionId;
  events: Stripe.Event[];
}

async function paidOnThePage(): Promise<Paid> {
  const [paid] = await severalPaidOnThePage(1);
  if (!paid) throw new Error('nobody paid');
  return paid;
}

async function severalPaidOnThePage(count: number): Promise<Paid[]> {
  const actors: Actor[] = [];
  for (let i = 0; i < count; i++) actors.push(await withCard(world, someUser(), 'pm_card_authenticationRequired'));
  await takeNewEvents();
  await world.work('webhooks');
  const all: Paid[] = [];
  for (const actor of actors) {
    const { transactionId } = await world.commands.subscribe(actor, subscription(premium));
    if (transactionId === null) throw new Error('no charge');
    await finishStep(await stepUrl(world, actor), 'complete');
    all.push({ actor, transactionId, events: await takeNewEvents() });
  }
  return all;
}

const taken = new Set<string>();
async function takeNewEvents(): Promise<Stripe.Event[]> {
  const events = (await world.events()).filter((event) => !taken.has(event.id));
  for (const event of events) {
    taken.add(event.id);
    expect(await world.receive(event)).toBe('stored');
  }
  return events;
}

const objectOf = (event: Stripe.Event): string => ('id' in event.data.object ? String(event.data.object.id) : '');

async function inbox(events: readonly { id: string }[]) {
  return world.query<{
    event_id: string;
    status: string;
    attempts: number;
    lease_until: Date | null;
    next_action_at: Date | null;
  }>(
    'select event_id, status, attempts, lease_until, next_action_at from webhook_inbox where event_id = any($1) order by event_id',
    [events.map((event) => event.id)],
  );
}

async function statusOf(transactionId: TransactionId): Promise<string | undefined> {
  const [row] = await world.query<{ status: string }>('select status from payment_attempt where id = $1', [transactionId]);
  return row?.status;
}

/** A worker's cashier whose provider was changed, whose clock that nobody moves is ours, and which counts what it does. */
function watched(change: Partial<PaymentProvider> = {}) {
  const seen = { nowMs: 0, calls: 0, changes: 0 };
  const { provider, events } = world.worker;
  const counting = new Proxy(
    { ...provider, ...change },
    {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function' || !/^(read|cancel)/.test(String(name))) return value;
        return (...args: unknown[]): unknown => {
          seen.calls++;
          return value.apply(target, args);
        };
      },
    },
  );
  const cashier: Cashier = {
    ...world.worker,
    provider: counting,
    monotonicMs: () => seen.nowMs,
    events: { ...events, statusChanged: () => void seen.changes++ },
  };
  return { cashier, seen };
}

test('a poison event among ten thousand holds up none of the others, is tried eight times, and is parked with its finding', async () => {
  const [fine, poisoned] = await severalPaidOnThePage(2);
  if (!fine || !poisoned) throw new Error('two paid');
  const [kept] = await world.query<{ row: object }>('select to_jsonb(t) as row from transaction t where id = $1', [
    poisoned.transactionId,
  ]);
  // A row that must be there is not: whatever applies the payment meets a broken invariant.
  await world.query('delete from transaction where id = $1', [poisoned.transactionId]);
  await addEvents(10_000 - poisoned.events.length - fine.events.length, objectOf(fine.events[0] as Stripe.Event));
  const poison = poisoned.events.filter((event) => world.worker.provider.objectKindOf(event.type) === 'payment');
  const failures: unknown[] = [];
  let turns = 0;
  for (let claimed = 64; claimed >= 64; turns++) {
    const turn = await applyWebhooks(world.worker, ALL_BUCKETS, 64, sixteenAtOnce);
    ({ claimed } = turn);
    failures.push(...turn.failures);
  }
  // Ten thousand by sixty-four a turn; the last turn finds less than it could take.
  expect(turns).toBeLessThanOrEqual(160);
  const left = await world.query<{ event_id: string }>("select event_id from webhook_inbox where status in ('new', 'parked')");
  expect(new Set(left.map((row) => row.event_id))).toEqual(new Set(poison.map((event) => event.id)));
  expect(await statusOf(fine.transactionId)).toBe('succeeded');

  for (let seconds = 0; seconds < 600; seconds += 10) {
    world.clock.advance(10 * SECOND);
    failures.push(...(await applyWebhooks(world.worker, ALL_BUCKETS, 64, sixteenAtOnce)).failures);
  }
  expect(failures.every((error) => error instanceof InvariantBroken)).toBe(true);
  // The events about it came together and are tried together.
  expect(failures).toHaveLength(8);
  const rows = await inbox(poison);
  expect(rows.map((row) => [row.status, row.attempts, row.lease_until])).toEqual(poison.map(() => ['parked', 8, null]));
  const findings = await world.query(
    "select 1 from recon_finding f join webhook_inbox w on w.id = f.subject_id where f.kind = 'webhook_parked' and w.event_id = any($1)",
    [poison.map((event) => event.id)],
  );
  expect(findings).toHaveLength(poison.length);

  // Mended and given back to the queue, as the operator's page says, it is applied.
  await world.query('insert into transaction select * from jsonb_populate_record(null::transaction, $1)', [
    JSON.stringify(kept?.row),
  ]);
  await world.query("update webhook_inbox set status = 'new', attempts = 0, next_action_at = $1 where status = 'parked'", [
    world.clock.now(),
  ]);
  await world.work('webhooks');
  expect(await statusOf(poisoned.transactionId)).toBe('succeeded');
  await world.query("update recon_finding set status = 'resolved', resolved_by = 'test', resolved_at = now(), note = 'mended'");
  await expectSoundBooks(world);
}, 300_000);

/** Stores events by the thousand: half say nothing to us, half are about one object. */
async function addEvents(count: number, objectId: string): Promise<void> {
  const at = world.clock.now();
  const rows = Array.from({ length: count }, (_, i) => {
    const eventId = `evt_many${i}`;
    const bucket = keyBucket(eventId);
    const id = makeId('whe', bucket, at.getTime(), Buffer.from(String(i).padStart(8, '0')));
    return {
      bucket,
      event_id: eventId,
      id,
      type: i % 2 === 0 ? 'customer.updated' : 'payment_intent.succeeded',
      object_id: objectId,
    };
  });
  await world.query(
    `insert into webhook_inbox (bucket, event_id, provider_account_id, id, type, object_id, source, provider_created_at, status, next_action_at)
     select bucket, event_id, 1, id, type, case when type like 'customer%' then 'cus_' || event_id else object_id end, 'push', $2, 'new', $2
     from jsonb_to_recordset($1) r(bucket smallint, event_id text, id uuid, type text, object_id text)`,
    [JSON.stringify(rows), at],
  );
}

test('what fails about one object is reported by the chore, which goes on', async () => {
  const { events } = await paidOnThePage();
  const broken = new Error('broken on purpose');
  const worker = await world.startWorker((cashier) => ({
    ...cashier,
    provider: { ...cashier.provider, readPayment: () => Promise.reject(broken) },
  }));
  await worker.work('webhooks');
  expect(world.reported.splice(0)).toEqual([broken]);
  expect((await inbox(events)).some((row) => row.status === 'new' && row.attempts === 1 && row.lease_until === null)).toBe(true);
  world.clock.advance(SECOND);
  await world.work('webhooks');
  expect((await inbox(events)).map((row) => row.status)).not.toContain('new');
});

test('an event that ends eight workers is parked by the ninth, which does not touch it', async () => {
  const { events } = await paidOnThePage();
  const { cashier, seen } = watched();
  const dying: ForEach = () => Promise.reject(new Error('killed'));
  for (let deaths = 0; deaths < 8; deaths++) {
    await expect(applyWebhooks(cashier, ALL_BUCKETS, 64, dying)).rejects.toThrow('killed');
    world.clock.advance(61 * SECOND);
  }
  await applyWebhooks(cashier, ALL_BUCKETS, 64, oneAfterAnother);
  expect([seen.calls, seen.changes]).toEqual([0, 0]);
  const rows = await inbox(events);
  expect(rows.filter((row) => row.status === 'parked').length).toBeGreaterThan(0);
  await world.query("update webhook_inbox set status = 'new', attempts = 0, next_action_at = $1 where status = 'parked'", [
    world.clock.now(),
  ]);
  await world.work('webhooks');
  expect((await inbox(events)).map((row) => row.status)).not.toContain('new');
});

test('events outlast a provider that does not answer for an hour: none is parked, and all are applied when it does', async () => {
  const { transactionId, events } = await paidOnThePage();
  await world.fault({ operation: 'payment_intents.retrieve', kind: 'rate_limit', probability: 1 });
  let looks = 0;
  for (let minutes = 0; minutes < 60; minutes++) {
    const { claimed, failures } = await applyWebhooks(world.worker, ALL_BUCKETS, 64, sixteenAtOnce);
    expect(failures).toEqual([]);
    looks += claimed > 0 ? 1 : 0;
    world.clock.advance(MINUTE);
  }
  expect((await inbox(events)).map((row) => row.status)).not.toContain('parked');
  expect(looks).toBeLessThan(60);
  await world.clearFaults();
  world.clock.advance(2 * MINUTE);
  await world.work('webhooks');
  expect(await statusOf(transactionId)).toBe('succeeded');
});

test('under a slow provider a worker begins no call that its lease might not outlast; the rest goes back untried', async () => {
  const lives = await severalPaidOnThePage(4);
  const { cashier, seen } = watched({
    readPayment: async (id) => {
      const answer = await world.worker.provider.readPayment(id);
      seen.nowMs += 18 * SECOND;
      return answer;
    },
  });
  await applyWebhooks(cashier, ALL_BUCKETS, 1_000, oneAfterAnother);
  // Begun at 0, 18 and 36 s of 60; at 54 s a call of up to 20 s would not end in time.
  expect(seen.calls).toBe(3);
  const open = (await inbox(lives.flatMap(({ events }) => events))).filter((row) => row.status === 'new');
  expect(open.length).toBeGreaterThan(0);
  expect(open.every((row) => row.attempts === 0 && row.lease_until === null)).toBe(true);
  await world.work('webhooks');
  for (const { transactionId } of lives) expect(await statusOf(transactionId)).toBe('succeeded');
});

test('a worker that was stopped beyond its lease calls nobody and decides nothing when it wakes', async () => {
  const { transactionId, events } = await paidOnThePage();
  const { cashier, seen } = watched();
  const sleepsAfterItsClaim: ForEach = async (items, work) => {
    seen.nowMs += 61 * SECOND;
    world.clock.advance(61 * SECOND);
    await world.work('webhooks');
    await oneAfterAnother(items, work);
  };
  expect((await applyWebhooks(cashier, ALL_BUCKETS, 64, sleepsAfterItsClaim)).claimed).toBeGreaterThan(0);
  expect([seen.calls, seen.changes]).toEqual([0, 0]);
  expect(await statusOf(transactionId)).toBe('succeeded');
  const rows = await inbox(events);
  expect(rows.map((row) => row.status)).not.toContain('new');
  // The claim of the one that did the work was the second.
  expect(rows.filter((row) => row.status === 'done').every((row) => row.attempts === 2)).toBe(true);
});

test('a worker that was stopped between an answer and its decision drops the answer', async () => {
  const { transactionId } = await paidOnThePage();
  const { cashier, seen } = watched({
    readPayment: async (id) => {
      const answer = await world.worker.provider.readPayment(id);
      seen.nowMs += 61 * SECOND;
      return answer;
    },
  });
  await applyWebhooks(cashier, ALL_BUCKETS, 64, oneAfterAnother);
  expect([seen.calls, seen.changes]).toEqual([1, 0]);
  expect(await statusOf(transactionId)).toBe('requires_action');
  await world.work('webhooks');
  expect(await statusOf(transactionId)).toBe('succeeded');
});

test('what a worker had claimed when it was killed another one finishes within seventy-five seconds', async () => {
  const { transactionId, events } = await paidOnThePage();
  await expect(applyWebhooks(world.worker, ALL_BUCKETS, 64, () => Promise.reject(new Error('killed')))).rejects.toThrow('killed');
  const other = await world.startWorker();
  let seconds = 0;
  for (; seconds < 75 && (await statusOf(transactionId)) !== 'succeeded'; seconds += 5) {
    world.clock.advance(5 * SECOND);
    await other.work('webhooks');
  }
  expect(seconds).toBeGreaterThanOrEqual(60);
  expect(await statusOf(transactionId)).toBe('succeeded');
  expect((await inbox(events)).map((row) => row.status)).not.toContain('new');
});

test('workers on one queue claim disjoint events, and what happened is told once', async () => {
  const lives = await severalPaidOnThePage(3);
  await world.query(
    "update webhook_inbox set status = 'new', attempts = 0, next_action_at = $1 where event_id ~ '^evt_many[1-3]..$'",
    [world.clock.now()],
  );
  const claims: string[][] = [];
  const workers = [watched(), watched(), watched(), watched()];
  const recording =
    (mine: string[]): ForEach =>
    (items, work) =>
      eachAtMost(items, 4, async (item) => {
        mine.push(...(item as { eventId: string }[]).map((event) => event.eventId));
        await work(item);
      });
  await Promise.all(
    workers.map(async ({ cashier }) => {
      const mine: string[] = [];
      claims.push(mine);
      for (let turn = 0; turn < 4; turn++) await applyWebhooks(cashier, ALL_BUCKETS, 16, recording(mine));
    }),
  );
  const all = claims.flat();
  expect(claims.every((mine) => mine.length > 0)).toBe(true);
  expect(new Set(all).size).toBe(all.length);
  await world.work('webhooks');
  for (const { actor } of lives) {
    const told = await world.query<{ status: string }>(
      "select status from feed_entry where user_id = $1 and change = 'payment_status' order by seq",
      [actor.userId],
    );
    expect(told.map((row) => row.status)).toEqual(['pending', 'requires_action', 'succeeded']);
  }
});

test('one event at two gateways at the same instant is one row, with one body', async () => {
  const bodies = Array.from({ length: 25 }, (_, i) =>
    Buffer.from(
      JSON.stringify({
        id: `evt_twice${i}`,
        type: 'customer.updated',
        created: 1_700_000_000,
        data: { object: { id: 'cus_1' } },
      }),
    ),
  );
  const gateways = [
    receiveWebhook(world.gateway),
    receiveWebhook({ ...world.gateway, tx: { ...world.gateway.tx, source: world.worker.tx.source } }),
  ];
  for (const body of bodies) {
    const headers = { 'stripe-signature': signedBy(WEBHOOK_SECRET, body, world.clock.now()) };
    expect(await Promise.all(gateways.map((receive) => receive(body, headers)))).toEqual(['stored', 'stored']);
  }
  const rows = await world.query<{ id: string }>("select id from webhook_inbox where event_id like 'evt_twice%'");
  expect(rows).toHaveLength(25);
  const kept = await world.query('select id from webhook_payload where id = any($1)', [rows.map((row) => row.id)]);
  expect(kept).toHaveLength(25);
  expect(rows.every((row) => bucketOf(row.id) < 4_096 && idTimeMs(row.id) > 0)).toBe(true);
});

test('an event that comes before our own answer waits for it, and nothing more is asked of the provider', async () => {
  const ana = await withCard(world, someUser(), 'pm_card_visa');
  await takeNewEvents();
  await world.work('webhooks');
  const { cashier, seen } = watched({
    charge: async (request) => {
      const answer = await world.gateway.provider.charge(request);
      await takeNewEvents();
      await applyWebhooks(cashier, ALL_BUCKETS, 64, oneAfterAnother);
      return answer;
    },
  });
  const { transactionId } = await makeCommands(cashier).subscribe(ana, subscription(premium));
  await applyWebhooks(cashier, ALL_BUCKETS, 64, oneAfterAnother);
  expect(seen.calls).toBe(0);
  const told = await world.query<{ status: string; cause: string }>(
    'select status, cause from transaction_event where transaction_id = $1 order by version',
    [transactionId],
  );
  expect(told.map((row) => [row.status, row.cause])).toEqual([
    ['pending', 'user'],
    ['succeeded', 'user'],
  ]);
  expect(await world.query("select from webhook_inbox where status = 'new'")).toEqual([]);
  await expectSoundBooks(world);
});

test('an event that comes long before our own answer is applied, and the answer then changes nothing', async () => {
  const ana = await withCard(world, someUser());
  await takeNewEvents();
  const early: Cashier = {
    ...world.gateway,
    provider: {
      ...world.gateway.provider,
      charge: async (request) => {
        const answer = await world.gateway.provider.charge(request);
        // The answer is on its way; the event is faster.
        await takeNewEvents();
        world.clock.advance(OVERTAKEN_WAIT_MS);
        await world.work('webhooks');
        return answer;
      },
    },
  };
  const { transactionId, refusals } = await makeCommands(early).subscribe(ana, subscription(premium));
  expect(refusals).toEqual([]);
  expect(await statusOf(transactionId as TransactionId)).toBe('succeeded');
  const told = await world.query<{ status: string; cause: string }>(
    'select status, cause from transaction_event where transaction_id = $1 order by version',
    [transactionId],
  );
  expect(told.map((row) => row.status)).toEqual(['pending', 'succeeded']);
  expect(told.at(-1)?.cause).toBe('provider_event');
  await expectSoundBooks(world);
});

test('an event without news leaves the claim of a call that is under way', async () => {
  const ana = await withCard(world, someUser(), 'pm_card_authenticationRequired');
  await takeNewEvents();
  await world.work('webhooks');
  const { transactionId } = await world.commands.subscribe(ana, subscription(premium));
  const leases: (Date | null)[] = [];
  const asking: Cashier = {
    ...world.gateway,
    provider: {
      ...world.gateway.provider,
      readPayment: async (id) => {
        await takeNewEvents();
        await world.work('webhooks');
        const [row] = await world.query<{ lease_until: Date | null }>('select lease_until from payment_attempt where id = $1', [
          transactionId,
        ]);
        leases.push(row?.lease_until ?? null);
        return world.gateway.provider.readPayment(id);
      },
    },
  };
  await makeCommands(asking).confirmPayment(ana, { transactionId: transactionId as TransactionId });
  expect(leases).toEqual([expect.any(Date)]);
});

test('an event of something that is not committed here yet waits for it, and is applied within ten minutes', async () => {
  const { actor, transactionId, events } = await paidOnThePage();
  // What another process has not committed, the worker can not see.
  await world.query(
    'create policy not_committed_yet on payment_intent as restrictive to pay_worker using (user_id <> ' + `'${actor.userId}')`,
  );
  for (let minutes = 0; minutes < 5; minutes++) {
    await world.work('webhooks');
    world.clock.advance(MINUTE);
  }
  expect(await statusOf(transactionId)).toBe('requires_action');
  await world.query('drop policy not_committed_yet on payment_intent');
  for (let minutes = 5; minutes < 10; minutes++) {
    await world.work('webhooks');
    world.clock.advance(MINUTE);
  }
  expect(await statusOf(transactionId)).toBe('succeeded');
  expect((await inbox(events)).map((row) => row.status)).not.toContain('parked');
  await expectSoundBooks(world);
});

test('events that come three days late bring what they would have brought at once, and older news changes nothing', async () => {
  const [ben, cia] = [
    await withCard(world, someUser(), 'pm_card_createDispute'),
    await withCard(world, someUser(), 'pm_card_createDispute'),
  ];
  await world.commands.subscribe(ben, subscription(premium));
  await letProviderWork(world);
  await takeNewEvents();
  await world.work('webhooks');
  const atOnce = await stateOf(world, ben);
  expect(atOnce['disputes']).toMatchObject([{ status: 'open' }]);
  await world.commands.subscribe(cia, subscription(premium));
  await letProviderWork(world);
  await world.advance(72 * HOUR);
  await takeNewEvents();
  await world.work('webhooks');
  world.clock.advance(SECOND);
  await world.work('webhooks');
  const withoutIds = (state: object): unknown =>
    JSON.parse(JSON.stringify(state, (name, value: unknown) => (name.startsWith('provider_') ? undefined : value)));
  expect(withoutIds(await stateOf(world, cia))).toEqual(withoutIds(atOnce));
});

test('an event of a payment that is known and booked as succeeded asks the provider nothing; one that may bring news does', async () => {
  await takeNewEvents();
  await world.work('webhooks');
  const actor = await withCard(world, someUser());
  await takeNewEvents();
  await world.work('webhooks');
  await world.commands.subscribe(actor, subscription(premium));
  const calls: string[] = [];
  const listening: Cashier = {
    ...world.worker,
    events: { ...world.worker.events, providerCalled: (what) => void calls.push(what) },
  };
  const own = (await takeNewEvents()).filter((event) => world.worker.provider.objectKindOf(event.type) === 'payment');
  expect(own.map(({ type }) => type)).toEqual(['payment_intent.succeeded']);
  await applyWebhooks(listening, ALL_BUCKETS, 100, oneAfterAnother);
  expect(calls).toEqual([]);
  const ends = await world.query('select distinct status from webhook_inbox where event_id = any($1)', [own.map(({ id }) => id)]);
  expect(ends).toEqual([{ status: 'done' }]);

  const [paid] = await severalPaidOnThePage(1);
  await applyWebhooks(listening, ALL_BUCKETS, 100, oneAfterAnother);
  expect(calls).toEqual(['read']);
  const [row] = await world.query('select status from transaction where id = $1', [paid?.transactionId]);
  expect(row).toEqual({ status: 'succeeded' });
  await world.work('payments');
  await expectSoundBooks(world);
});

test('an event is kept, and looked for, by its own keys: what else is known of the account is not read', async () => {
  const [type] = world.gateway.provider.successEvents;
  if (type === undefined) throw new Error('nothing tells of a success');
  let told = 0;
  const keepTen = async (): Promise<void> => {
    const events = Array.from({ length: 10 }, (): NewWebhook => {
      const eventId = `evt_told${++told}`;
      const at = world.clock.now();
      const id = makeId('whe', keyBucket(eventId), at.getTime(), Buffer.from(String(told).padStart(8, '0'))) as WebhookEventId;
      return {
        id,
        event: { eventId, type, objectKind: 'payment', objectId: `pi_told${told}`, createdAt: at },
        rawBody: Buffer.from('{}'),
      };
    });
    const eventIds = events.map(({ event }) => event.eventId);
    expect(await inTx(world.gateway.tx, BATCH, (uow) => unknownEvents(uow, 1, eventIds))).toEqual(new Set(eventIds));
    expect((await keepEvents(world.gateway, events, 'listing')).size).toBe(10);
  };
  /** What was done so far, as far as connections have told it: events kept, and entries of indexes read. */
  const done = async (): Promise<{ kept: number; read: number }> => {
    const [row] = await world.query<{ kept: number; read: number }>(
      `select (select n_tup_ins::int from pg_stat_user_tables where relname = 'webhook_inbox') as kept,
         (select sum(idx_tup_read)::int from pg_stat_user_indexes where relname in ('webhook_inbox', 'provider_ref')) as read`,
    );
    return row ?? { kept: 0, read: 0 };
  };
  await keepTen(); // Planned while little is known.
  await world.query(
    `insert into provider_ref (bucket, object_id, provider_account_id, kind, id)
     select key_bucket('pi_known' || n), 'pi_known' || n, 1, 'payment', gen_random_uuid() from generate_series(1, 5000) n`,
  );
  const before = await done();
  for (let round = 0; round < 20; round++) await keepTen();
  // A connection tells what it did at the end of a transaction, once a second.
  const after = await eventually(async () => {
    await keepTen();
    const now = await done();
    expect(now.kept - before.kept).toBeGreaterThanOrEqual(200);
    return now;
  });
  expect((after.read - before.read) / (after.kept - before.kept)).toBeLessThan(20);
});
