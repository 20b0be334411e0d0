/**
 * A subscription whose period is just ending, and everything that may want it then: the renewal is billed and charged, and the customer cancels,
 * changes the tier and pauses. Each order is made, one after the other and within a call that is under way: units of work of one customer follow each
 * other, so whatever happens at the same instant is one of these.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PriceId, SubscriptionId } from '../../src/domain/ids.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { LEASE_MS } from '../../src/domain/payment/schedule.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor } from '../../src/usecases/contract.js';
import { doDue } from '../../src/usecases/do-due.js';
import { makeCollector } from '../../src/usecases/renew.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { cancellation, letSleep, paymentsOf, subscription } from '../support/lives.js';
import { permutations } from '../support/permutations.js';
import { change, rowOf, sell } from '../support/tier-changes.js';
import { newKey, oneByOne, someUser, startWorld, withCard, type World } from '../support/world.js';
import { holding } from './scene.js';

const MINUTE = 60_000;
const LIMIT = 50;
const PRICE = 1000;

let world: World;
let month: Record<'basic' | 'premium', PriceId>;
let actor: Actor;
let id: SubscriptionId;

beforeAll(async () => {
  world = await startWorld();
  month = await sell(world, { basic: { rank: 1, amount: PRICE }, premium: { rank: 2, amount: 2500 } });
});
beforeEach(async () => {
  await letSleep(world);
  await world.query('update subscription set next_action_at = null');
  actor = await withCard(world, someUser());
  const { subscriptionId, refusals } = await world.commands.subscribe(actor, subscription(month.basic));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  id = subscriptionId;
  await toTheEndOfThePeriod(MINUTE);
});
afterAll(async () => world.stop());

/** Lets time go on to the end of the present period, or to so much before it. */
async function toTheEndOfThePeriod(beforeMs = 0): Promise<void> {
  const { period_end: end } = await rowOf(world, id);
  await world.advance(Math.max(0, end.getTime() - beforeMs - world.clock.now().getTime()));
}

/** What a step came to: done, or the code of its refusal. */
type Came = string;
const came = ({ refusals }: { refusals: { code: string }[] }): Came => refusals[0]?.code ?? 'done';

const STEPS = {
  end: async (): Promise<Came> => {
    await toTheEndOfThePeriod();
    return 'done';
  },
  bill: async (cashier: Cashier): Promise<Came> => {
    const { failures } = await doDue(cashier, { spreadMs: 0 }, ALL_BUCKETS, LIMIT);
    return failures.length === 0 ? 'done' : `failed: ${String(failures[0])}`;
  },
  collect: async (cashier: Cashier): Promise<Came> => {
    const { failures } = await makeCollector(cashier, oneByOne).collect(ALL_BUCKETS, LIMIT, async (wanted) => wanted);
    return failures.length === 0 ? 'done' : `failed: ${String(failures[0])}`;
  },
  'cancel now': async (cashier: Cashier) => cancel(cashier, true),
  'cancel at the end': async (cashier: Cashier) => cancel(cashier, false),
  change: async (cashier: Cashier) => came(await makeCommands(cashier).changeTier(actor, change(id, month.premium))),
  pause: async (cashier: Cashier) =>
    came(await makeCommands(cashier).pauseSubscription(actor, { subscriptionId: id, resumesAt: null, idempotencyKey: newKey() })),
} as const;
type Step = keyof typeof STEPS;

async function cancel(cashier: Cashier, immediately: boolean): Promise<Came> {
  return came(await makeCommands(cashier).cancelSubscription(actor, cancellation(id, immediately)));
}

/** A period ends, is billed, and is charged. */
const RENEWAL: readonly Step[] = ['end', 'bill', 'collect'];

/** Every order of some steps in which those of the renewal follow each other. */
function orders(steps: readonly Step[]): Step[][] {
  const isInTurn = (order: readonly Step[]): boolean =>
    RENEWAL.every((step, place) => place === 0 || order.indexOf(RENEWAL[place - 1] ?? step) < order.indexOf(step));
  const hasRenewal = steps.includes('end');
  return permutations(steps).filter((order) => !hasRenewal || isInTurn(order));
}

/** What the provider keeps of the user's money. */
async function kept(): Promise<number> {
  const ids = new Set((await paymentsOf(world, actor)).map((intent) => intent.id));
  const { data } = await world.stripe.charges.list({ limit: 100 });
  return data
    .filter(({ payment_intent: payment, paid }) => paid && typeof payment === 'string' && ids.has(payment))
    .reduce((sum, charge) => sum + charge.amount - charge.amount_refunded, 0);
}

/** Lets the worker do what is due and end what is open. */
async function settle(): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await STEPS.bill(world.worker);
    await STEPS.collect(world.worker);
    await world.advance(LEASE_MS + 60_000);
    await world.work('payments', 'refunds');
  }
}

/** `ORDERS=whole npm test -- test/crash/verbs-that-meet` makes every order; the suite one in 48. */
const isWhole = process.env['ORDERS'] === 'whole';
const some = <Order>(all: readonly Order[]): Order[] => all.filter((_, at) => isWhole || at % 48 === 7);

const IN_TURN = (['cancel now', 'cancel at the end'] as const).flatMap((cancels) =>
  orders([...RENEWAL, cancels, 'change', 'pause']).map((order) => ({ within: 'no call' as const, order })),
);
const WITHIN_A_CHANGE = (['cancel now', 'cancel at the end'] as const).flatMap((cancels) =>
  orders([...RENEWAL, cancels, 'pause']).map((order) => ({ within: 'change' as const, order })),
);
const WITHIN_A_RENEWAL = (['cancel now', 'cancel at the end'] as const).flatMap((cancels) =>
  orders([cancels, 'change', 'pause']).map((order) => ({ within: 'collect' as const, order })),
);

/** Refusals that a customer may meet here. */
const TOLD: readonly Came[] = ['done', 'INVALID_STATE', 'NOT_FOUND', 'ALREADY_CANCELED'];

test.each([...some(IN_TURN), ...some(WITHIN_A_CHANGE), ...some(WITHIN_A_RENEWAL)])(
  'at the end of a period, within $within: $order: nobody is charged after a cancel or gets it back in full, and every rule holds',
  async ({ within, order }) => {
    const results = new Map<Step, Came>();
    /** What was kept when the customer was told that the subscription is to end. */
    let keptAtCancel: number | null = null;
    const take = async (): Promise<void> => {
      for (const step of order) {
        results.set(step, await STEPS[step](RENEWAL.includes(step) ? world.worker : world.gateway));
        if (step === 'cancel now' && results.get(step) === 'done') keptAtCancel = await kept();
      }
    };
    if (within === 'no call') await take();
    else {
      if (within === 'collect') {
        await STEPS.end();
        await STEPS.bill(world.worker);
      }
      const { cashier, call } = holding(within === 'change' ? world.gateway : world.worker, 'charge');
      const held = STEPS[within](cashier);
      // A change that is refused, or costs nothing, calls nobody.
      await Promise.race([call.reached(), held]);
      await take();
      call.open();
      results.set(within, await held);
    }
    for (const [step, result] of results)
      expect({ step, result: TOLD.includes(result) ? 'told' : result }).toEqual({ step, result: 'told' });
    await settle();
    if (keptAtCancel !== null) {
      expect(await kept()).toBeLessThanOrEqual(keptAtCancel);
      expect((await rowOf(world, id)).status).toBe('canceled');
    }
    await expectSoundBooks(world);

    // A period later: what was to end has ended, what was to pause rests, and neither is charged.
    await toTheEndOfThePeriod();
    const before = await kept();
    await settle();
    const { status } = await rowOf(world, id);
    const hasCanceled = results.get('cancel now') === 'done' || results.get('cancel at the end') === 'done';
    const hasPaused = results.get('pause') === 'done';
    if (hasCanceled) expect(status).toBe('canceled');
    else if (hasPaused) expect(['paused', 'canceled']).toContain(status);
    if (hasCanceled || hasPaused) expect(await kept()).toBeLessThanOrEqual(before);
    await expectSoundBooks(world);
    await expectBooksOfProvider(world);
  },
);
