import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type Stripe from 'stripe';
import type { PriceId, SetupId } from '../../src/domain/ids.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { keyBucket } from '../../src/platform/json.js';
import type { ForEach } from '../../src/platform/repeat.js';
import type { PaymentProvider } from '../../src/ports/provider.js';
import { OVERTAKEN_WAIT_MS } from '../../src/store/provider.store.js';
import { applyWebhooks } from '../../src/usecases/apply-webhooks.js';
import { receiveWebhook } from '../../src/usecases/receive-webhook.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { TestClock } from '../support/clock.js';
import { answerDispute, disputesOf, letProviderWork, paymentsOf, stateOf, stepUrl, subscription } from '../support/lives.js';
import { permutations } from '../support/permutations.js';
import { rehearse } from '../support/rehearsal.js';
import {
  finishStep,
  newKey,
  priceId,
  signedBy,
  someUser,
  startWorld,
  type World,
  WEBHOOK_SECRET,
  withCard,
} from '../support/world.js';

/** Orders that are drawn for each property; `EVENT_ORDERS=5000 npm test -- test/usecases/events-in-any-order` draws more. */
const ORDERS = Number(process.env['EVENT_ORDERS'] ?? 100);
const TEN_MINUTES = 10 * 60_000;
const objectOf = (event: Stripe.Event): string => ('id' in event.data.object ? String(event.data.object.id) : event.id);
const kindOf = (event: Stripe.Event) => world.worker.provider.objectKindOf(event.type);
const oneAfterAnother: ForEach = async (items, work) => {
  for (const item of items) await work(item);
};

let world: World;
let premium: PriceId;
let pack: PriceId;
/** A life of which every answer of the provider was lost; its events, oldest first, wait to be told. */
let ana: Actor;
let events: Stripe.Event[];

beforeAll(async () => {
  world = await startWorld({ callTimeoutMs: 20_000 });
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [product] = await world.query<{ key: string }>('select key from product where unlocks is not null');
  pack = (await priceId(world, { product: product?.key ?? '', currency: 'USD' })) as PriceId;
  ana = someUser('ana');
  await live(ana, async () => undefined);
  await world.receiveEvents();
  const known = await stateOf(world, ana);
  expect(known['disputes']).toEqual([]);
  const all = await world.events();
  // Two payments, a dispute, a refund and the last setup: what came before, our own answers told; those that say nothing have ended already.
  const lastSetup = all.findLast((event) => kindOf(event) === 'setup');
  events = all.filter(
    (event) => ['payment', 'refund', 'dispute'].includes(kindOf(event)) || (lastSetup && objectOf(event) === objectOf(lastSetup)),
  );
});
afterAll(async () => world.stop());

/**
 * A payment with 3-D Secure, another that is disputed, the dispute won, part of it given back in the provider's dashboard, and a card
 * added with a step; `tell` comes after each thing that happened at the provider.
 */
async function live(actor: Actor, tell: () => Promise<void>): Promise<void> {
  await withCard(world, actor, 'pm_card_authenticationRequired');
  await tell();
  await buyPack(actor);
  await tell();
  await finishStep(await stepUrl(world, actor), 'complete');
  await tell();
  await withCard(world, actor, 'pm_card_createDispute');
  await tell();
  // The answers of the charge and of every look at it are lost.
  await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
  await world.commands.subscribe(actor, subscription(premium));
  await letProviderWork(world);
  await tell();
  const [dispute] = await disputesOf(world, actor);
  if (typeof dispute?.payment_intent !== 'string') throw new Error('no dispute');
  await answerDispute(world, dispute.id, 'winning_evidence');
  await tell();
  await world.stripe.refunds.create({ payment_intent: dispute.payment_intent, amount: 100 }, { idempotencyKey: newKey() });
  await tell();
  const started = await startSetup(actor);
  await finishStep(started.url, 'complete');
  await tell();
}

const buyPack = (actor: Actor) =>
  world.commands.purchase(actor, {
    priceId: pack,
    quantity: 1,
    paymentMethodId: null,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });

/** Begins to add a card that asks for a step, as far as the step. */
async function startSetup(actor: Actor): Promise<{ setupId: SetupId; url: string }> {
  const { setupId } = await world.commands.startPaymentMethodSetup(actor, {
    kind: 'card',
    makeDefault: false,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (setupId === null) throw new Error('no setup');
  const first = await world.commands.completePaymentMethodSetup(actor, {
    setupId,
    providerToken: 'pm_card_threeDSecure2Required',
  });
  const url = first.nextAction?.redirectUrl;
  if (!url) throw new Error('no step');
  return { setupId, url };
}

/** The provider as it stands now: each object is read once. */
function still(provider: PaymentProvider): PaymentProvider {
  const kept = new Map<string, Promise<unknown>>();
  return new Proxy(provider, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || !String(name).startsWith('read')) return value;
      return (id: string) => {
        const answer = kept.get(id) ?? (value.call(target, id) as Promise<unknown>);
        kept.set(id, answer);
        return answer;
      };
    },
  });
}

/** Plays events in this order, so many a turn, from the same beginning; waits as long as any is to be tried again. */
async function play(order: readonly Stripe.Event[], eventsATurn: readonly number[]): Promise<Record<string, unknown>> {
  return rehearse(world.worker, async (cashier, query) => {
    const clock = new TestClock(world.clock.now());
    const beganAt = clock.now().getTime();
    const ids = order.map((event) => event.id);
    await query('update webhook_inbox set next_action_at = null', []);
    await query(
      `update webhook_inbox w set next_action_at = k.at from unnest($1::smallint[], $2::text[], $3::timestamptz[]) k(bucket, event_id, at)
       where w.bucket = k.bucket and w.event_id = k.event_id`,
      [ids.map(keyBucket), ids, ids.map((_id, i) => new Date(beganAt - ids.length + i))],
    );
    const player = { ...cashier, tx: { ...cashier.tx, clock }, provider: stillProvider };
    for (let turn = 0; ; turn++) {
      const limit = eventsATurn[turn % eventsATurn.length] ?? 1;
      const { claimed, failures } = await applyWebhooks(player, ALL_BUCKETS, limit, oneAfterAnother);
      expect(failures).toEqual([]);
      if (claimed > 0) continue;
      const [next] = await query<{ at: Date | null }>('select min(next_action_at) as at from webhook_inbox');
      if (!next?.at) break;
      clock.set(next.at);
      expect(clock.now().getTime() - beganAt).toBeLessThan(TEN_MINUTES);
    }
    expect(await query("select event_id from webhook_inbox where next_action_at is not null or status = 'parked'")).toEqual([]);
    return stateOf({ query: (text, params) => query(text, params) }, ana);
  });
}

let stillProvider: PaymentProvider;
beforeAll(() => {
  stillProvider = still(world.worker.provider);
});

test('events told in the order in which they happened bring every state right', async () => {
  const state = await play(events, [1]);
  expect(state).toMatchObject({
    subscriptions: [{ status: 'active', hold: 'none', cancel_at_period_end: true }],
    purchases: [{ status: 'completed' }],
    disputes: [{ status: 'won', is_withdrawn: true, isReversed: true }],
    refunds: [{ status: 'succeeded', amount: '100' }],
    setups: [{ status: 'succeeded' }, { status: 'succeeded' }, { status: 'succeeded' }],
    methods: [{ status: 'active' }, { status: 'active' }, { status: 'active' }],
  });
  const truth = await paymentsOf(world, ana);
  expect(truth.map((intent) => intent.status)).toEqual(['succeeded', 'succeeded']);
});

test('the objects of a life, told in every order there is, end in one state', async () => {
  const expected = await play(events, [1]);
  const objects = [...Map.groupBy(events, objectOf).values()];
  expect(objects).toHaveLength(5);
  // All that is known of one object comes by one fetch, so one event of each tells everything.
  const orders = permutations(objects.flatMap((about) => about.slice(0, 1)));
  expect(orders).toHaveLength(120);
  for (const order of orders) expect(await play(order, [1])).toEqual(expected);
}, 120_000);

test(
  'the events of a life, told in any order and in any portions, end in one state',
  async () => {
    const expected = await play(events, [1]);
    const portions = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 });
    const everyOrder = fc.shuffledSubarray(events, { minLength: events.length, maxLength: events.length });
    await fc.assert(
      fc.asyncProperty(everyOrder, portions, async (order, eventsATurn) => {
        expect(await play(order, eventsATurn)).toEqual(expected);
      }),
      {
        numRuns: ORDERS,
        // Orders that were wrong once, or that are the likeliest to be: backwards; the disputes and refunds first; all at once.
        examples: [
          [events.toReversed(), [1]],
          [events.toSorted((a, b) => Number(b.type.startsWith('charge.')) - Number(a.type.startsWith('charge.'))), [1]],
          [events, [events.length]],
        ],
      },
    );
  },
  60_000 + ORDERS * 1_000,
);

test('events that come five times each, in any order, are kept and applied once', async () => {
  const expected = await play(events, [1]);
  const fiveTimes = Array.from({ length: 5 }, () => events).flat();
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(fiveTimes, { minLength: fiveTimes.length, maxLength: fiveTimes.length }),
      async (order) => {
        const state = await rehearse(world.worker, async (cashier, query) => {
          const clock = new TestClock(world.clock.now());
          const player = { ...cashier, tx: { ...cashier.tx, clock }, provider: stillProvider };
          await query('delete from webhook_inbox');
          const receive = receiveWebhook(player);
          const apply = () => applyWebhooks(player, ALL_BUCKETS, 64, oneAfterAnother);
          for (const [i, event] of order.entries()) {
            const body = Buffer.from(JSON.stringify(event));
            expect(await receive(body, { 'stripe-signature': signedBy(WEBHOOK_SECRET, body, clock.now()) })).toBe('stored');
            if (i % 20 === 19) expect((await apply()).failures).toEqual([]);
          }
          for (let seconds = 0; seconds < 600; seconds += 60) {
            clock.advance(60_000);
            await apply();
          }
          const rows = await query<{ status: string }>('select status from webhook_inbox');
          expect(rows.filter((row) => !['done', 'ignored'].includes(row.status))).toEqual([]);
          expect(rows).toHaveLength(events.length);
          return stateOf({ query: (text, params) => query(text, params) }, ana);
        });
        expect(state).toEqual(expected);
      },
    ),
    { numRuns: 8 },
  );
}, 120_000);

test('a life told step by step ends as one that is told when it is over', async () => {
  const toldAtOnce = await play(events, [1]);
  const ben = someUser('ben');
  const seen = new Set(events.map((event) => event.id));
  await live(ben, async () => {
    for (const event of await world.events()) {
      if (seen.has(event.id)) continue;
      seen.add(event.id);
      expect(await world.receive(event)).toBe('stored');
    }
    await world.work('webhooks');
    world.clock.advance(OVERTAKEN_WAIT_MS);
    await world.work('webhooks');
  });
  expect(withoutIds(await stateOf(world, ben))).toEqual(withoutIds(toldAtOnce));
  await expectSoundBooks(world);
}, 120_000);

/** A state in which the provider's ids are left out. */
function withoutIds(state: Record<string, unknown>): unknown {
  return JSON.parse(JSON.stringify(state, (name, value: unknown) => (name.startsWith('provider_') ? undefined : value)));
}
