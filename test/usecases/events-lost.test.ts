import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { idTimeMs, type PriceId, type TransactionId } from '../../src/domain/ids.js';
import { LISTING_EVERY_MS } from '../../src/usecases/apply-webhooks.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import {
  answerDispute,
  disputesOf,
  letProviderWork,
  paymentsOf,
  refundPart,
  stateOf,
  stepUrl,
  subscription,
} from '../support/lives.js';
import { finishStep, newKey, priceId, someUser, startWorld, type World, withCard } from '../support/world.js';

const MINUTE = 60_000;
const EVERY_MINUTES = 5;
const DAY_MINUTES = 24 * 60;

let world: World;
let premium: PriceId;
let pack: PriceId;

beforeAll(async () => {
  world = await startWorld({ callTimeoutMs: 20_000 });
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
  const [product] = await world.query<{ key: string }>('select key from product where unlocks is not null');
  pack = (await priceId(world, { product: product?.key ?? '', currency: 'USD' })) as PriceId;
});
afterAll(async () => world.stop());

/** What happens to a customer of the day, step by step, half an hour or more apart; nobody asks after any of it. */
interface Life {
  name: string;
  steps: ((actor: Actor) => Promise<void>)[];
  /** How it must stand here when the day is over. */
  ends: Record<string, unknown>;
}

const card = (token: string) => async (actor: Actor) => void (await withCard(world, actor, token));
const cardThatAsks = async (actor: Actor): Promise<void> => void (await withCard(world, actor, 'pm_card_authenticationRequired'));
const subscribes = async (actor: Actor): Promise<void> => void (await world.commands.subscribe(actor, subscription(premium)));
const buys = async (actor: Actor): Promise<void> => {
  const bought = await world.commands.purchase(actor, {
    priceId: pack,
    quantity: 1,
    paymentMethodId: null,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (bought.transactionId === null) throw new Error(JSON.stringify(bought.refusals));
};
const clicks = (outcome: 'complete' | 'fail') => async (actor: Actor) => finishStep(await stepUrl(world, actor), outcome);
const isRefunded = async (actor: Actor): Promise<void> => {
  const [row] = await world.query<{ id: TransactionId }>("select id from transaction where user_id = $1 and kind = 'charge'", [
    actor.userId,
  ]);
  if (!row) throw new Error('no charge');
  await refundPart(world, row.id, 300n);
};
const isRefundedByHand = async (actor: Actor): Promise<void> => {
  const [payment] = await paymentsOf(world, actor);
  await world.stripe.refunds.create({ payment_intent: payment?.id ?? '', amount: 200 }, { idempotencyKey: newKey() });
};
const isDecided = (evidence: 'winning_evidence' | 'losing_evidence') => async (actor: Actor) => {
  const [dispute] = await disputesOf(world, actor);
  await answerDispute(world, dispute?.id ?? '', evidence);
};
const waits = async (): Promise<void> => undefined;
const addsCardOnThePage = async (actor: Actor): Promise<void> => {
  const { setupId } = await world.commands.startPaymentMethodSetup(actor, {
    kind: 'card',
    makeDefault: true,
    returnUrl: null,
    idempotencyKey: newKey(),
  });
  if (setupId === null) throw new Error('no setup');
  const { nextAction } = await world.commands.completePaymentMethodSetup(actor, {
    setupId,
    providerToken: 'pm_card_threeDSecure2Required',
  });
  await finishStep(nextAction?.redirectUrl ?? '', 'complete');
};

const LIVES: Life[] = [
  {
    name: 'subscribes',
    steps: [card('pm_card_visa'), subscribes],
    ends: { subscriptions: [{ status: 'active', hold: 'none' }], attempts: [{ status: 'succeeded' }] },
  },
  {
    name: 'buys, and confirms on the page of the bank',
    steps: [cardThatAsks, buys, clicks('complete')],
    ends: { purchases: [{ status: 'completed' }], attempts: [{ status: 'succeeded' }] },
  },
  {
    name: 'subscribes, and fails on the page of the bank',
    steps: [cardThatAsks, subscribes, clicks('fail')],
    ends: {
      subscriptions: [{ status: 'incomplete_expired' }],
      attempts: [{ status: 'declined' }],
      invoices: [{ status: 'void' }],
    },
  },
  {
    name: 'is refunded, and the bank takes its time',
    steps: [card('pm_card_pendingRefund'), subscribes, isRefunded, waits],
    ends: { refunds: [{ status: 'succeeded', amount: '300' }], credit: [] },
  },
  {
    name: 'is refunded, and the bank refuses later',
    steps: [card('pm_card_refundFail'), subscribes, isRefunded, waits],
    ends: { refunds: [{ status: 'failed', amount: '300' }], credit: [{ currency: 'USD', balance: '300' }] },
  },
  {
    name: 'is refunded by hand in the dashboard of the provider',
    steps: [card('pm_card_visa'), buys, isRefundedByHand],
    ends: { refunds: [{ status: 'succeeded', amount: '200' }], purchases: [{ status: 'completed' }] },
  },
  {
    name: 'disputes, and the dispute stays open',
    steps: [card('pm_card_createDispute'), subscribes],
    ends: { subscriptions: [{ status: 'active', hold: 'dispute' }], disputes: [{ status: 'open', is_withdrawn: true }] },
  },
  {
    name: 'disputes, and we win',
    steps: [card('pm_card_createDispute'), subscribes, waits, isDecided('winning_evidence')],
    ends: {
      subscriptions: [{ status: 'active', hold: 'none', cancel_at_period_end: true }],
      disputes: [{ status: 'won', is_withdrawn: true, isReversed: true }],
    },
  },
  {
    name: 'disputes, and we lose',
    steps: [card('pm_card_createDispute'), subscribes, waits, isDecided('losing_evidence')],
    ends: {
      subscriptions: [{ status: 'canceled', end_reason: 'dispute' }],
      disputes: [{ status: 'lost', is_withdrawn: true, isReversed: false }],
    },
  },
  {
    name: 'adds a card on the page of the bank, and closes the window',
    steps: [addsCardOnThePage],
    ends: { setups: [{ status: 'succeeded' }], methods: [{ status: 'active' }] },
  },
];

test('when every webhook of a day is lost, the listing alone brings every state right, each event within ten minutes', async () => {
  const customers = LIVES.map((life, i) => ({ life, actor: someUser(`day${i}`), beginsAt: i * 130 + (i % 7) * 5 }));
  for (let minute = 0; minute < DAY_MINUTES; minute += EVERY_MINUTES) {
    for (const { life, actor, beginsAt } of customers) {
      const step = life.steps[(minute - beginsAt) / 30];
      if (!step) continue;
      await step(actor);
      await letProviderWork(world);
    }
    // Neither webhooks nor the looks at open payments and refunds: the list of events is all that is heard of the provider.
    await world.work('listing', 'webhooks');
    if (minute % 360 === 0) await world.advance(EVERY_MINUTES * MINUTE);
    else world.clock.advance(EVERY_MINUTES * MINUTE);
  }
  await world.work('listing', 'webhooks');

  for (const { life, actor } of customers) {
    expect({ name: life.name, state: await stateOf(world, actor) }).toMatchObject({ name: life.name, state: life.ends });
  }
  const told = new Map((await world.events()).map((event) => [event.id, event.created * 1_000]));
  const kept = await world.query<{ event_id: string; id: string; source: string; status: string }>(
    'select event_id, id, source, status from webhook_inbox',
  );
  expect(new Set(kept.map((row) => row.event_id))).toEqual(new Set(told.keys()));
  expect(new Set(kept.map((row) => row.source))).toEqual(new Set(['listing']));
  expect(kept.filter((row) => row.status !== 'done' && row.status !== 'ignored')).toEqual([]);
  const delays = kept.map((row) => idTimeMs(row.id) - (told.get(row.event_id) ?? 0));
  expect(Math.max(...delays)).toBeLessThanOrEqual(10 * MINUTE);
  expect(kept.length).toBeGreaterThan(80);
  await expectSoundBooks(world);
}, 120_000);

test('workers take turns at the list of events: who comes within four minutes of another reads nothing', async () => {
  const reads: string[] = [];
  const listing = (name: string) => (cashier: Cashier) => ({
    ...cashier,
    provider: {
      ...cashier.provider,
      listEvents: (request: Parameters<typeof cashier.provider.listEvents>[0]) => {
        if (request.after === null) reads.push(name);
        return cashier.provider.listEvents(request);
      },
    },
  });
  const [first, second] = [await world.startWorker(listing('first')), await world.startWorker(listing('second'))];
  world.clock.advance(LISTING_EVERY_MS);
  await first.work('listing');
  await second.work('listing');
  expect(reads).toEqual(['first']);
  world.clock.advance(LISTING_EVERY_MS);
  await second.work('listing');
  await first.work('listing');
  expect(reads).toEqual(['first', 'second']);
});

test('a span of the list may have any number of pages: what was lost is found on the last of them too', async () => {
  world.clock.advance(LISTING_EVERY_MS);
  await world.work('listing');
  const before = await world.query('select from webhook_inbox');
  for (let nth = 0; nth < 60; nth++) await withCard(world, someUser(`page${nth}`));
  const { length } = await world.events();
  world.clock.advance(LISTING_EVERY_MS);
  const pages: (string | null)[] = [];
  const reader = await world.startWorker((cashier) => ({
    ...cashier,
    provider: {
      ...cashier.provider,
      listEvents: async (request) => {
        const page = await cashier.provider.listEvents(request);
        if (page.kind === 'fact') pages.push(page.fact.next);
        return page;
      },
    },
  }));
  await reader.work('listing');
  expect(pages.length).toBeGreaterThan(1);
  expect(pages.at(-1)).toBeNull();
  expect(length).toBeGreaterThan(before.length + 100);
  expect(await world.query('select from webhook_inbox')).toHaveLength(length);
});
