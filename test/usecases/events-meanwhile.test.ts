import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PriceId, TransactionId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { answerDispute, disputesOf, letProviderWork, refundPart, stateOf, stepUrl, subscription } from '../support/lives.js';
import { finishStep, priceId, someUser, startWorld, type World, withCard } from '../support/world.js';

let world: World;
let premium: PriceId;

beforeAll(async () => {
  world = await startWorld({ callTimeoutMs: 20_000 });
  premium = (await priceId(world, { tier: 'premium' })) as PriceId;
});
afterAll(async () => world.stop());

/** An object that changes once after it began: what is told of the beginning may come before the change, or after it. */
interface Change {
  what: string;
  /** The events about it. */
  about: RegExp;
  begin(actor: Actor): Promise<void>;
  change(actor: Actor): Promise<void>;
  ends: Record<string, unknown>;
}

const beginPayment = async (actor: Actor): Promise<void> => {
  await withCard(world, actor, 'pm_card_authenticationRequired');
  await world.commands.subscribe(actor, subscription(premium));
};
const beginDispute = async (actor: Actor): Promise<void> => {
  await withCard(world, actor, 'pm_card_createDispute');
  await world.commands.subscribe(actor, subscription(premium));
  await letProviderWork(world);
};
const beginDisputes = async (actor: Actor): Promise<void> => {
  await withCard(world, actor, 'pm_card_createMultipleDisputes');
  await world.commands.subscribe(actor, subscription(premium));
  await letProviderWork(world);
};
const beginRefund = (token: string) => async (actor: Actor) => {
  await withCard(world, actor, token);
  const { transactionId } = await world.commands.subscribe(actor, subscription(premium));
  await refundPart(world, transactionId as TransactionId, 300n);
};
const decide = (evidence: 'winning_evidence' | 'losing_evidence') => async (actor: Actor) => {
  const [dispute] = await disputesOf(world, actor);
  await answerDispute(world, dispute?.id ?? '', evidence);
};

const CHANGES: Change[] = [
  {
    what: 'a payment that its payer confirms',
    about: /^payment_intent\./,
    begin: beginPayment,
    change: async (actor) => finishStep(await stepUrl(world, actor), 'complete'),
    ends: { subscriptions: [{ status: 'active' }], attempts: [{ status: 'succeeded' }] },
  },
  {
    what: 'a payment that its payer fails to confirm',
    about: /^payment_intent\./,
    begin: beginPayment,
    change: async (actor) => finishStep(await stepUrl(world, actor), 'fail'),
    ends: { subscriptions: [{ status: 'incomplete_expired' }], attempts: [{ status: 'declined' }] },
  },
  {
    what: 'a dispute that is won',
    about: /^charge\.dispute\./,
    begin: beginDispute,
    change: decide('winning_evidence'),
    ends: { subscriptions: [{ status: 'active', hold: 'none', cancel_at_period_end: true }], disputes: [{ status: 'won' }] },
  },
  {
    what: 'a dispute that is lost',
    about: /^charge\.dispute\./,
    begin: beginDispute,
    change: decide('losing_evidence'),
    ends: { subscriptions: [{ status: 'canceled', hold: 'none', end_reason: 'dispute' }], disputes: [{ status: 'lost' }] },
  },
  {
    what: 'one of two disputes that is won',
    about: /^charge\.dispute\.(created|closed)/,
    begin: beginDisputes,
    change: decide('winning_evidence'),
    ends: { subscriptions: [{ status: 'active', hold: 'dispute', cancel_at_period_end: true }] },
  },
  {
    what: 'a refund that settles later',
    about: /^(refund\.|charge\.refund\.)/,
    begin: beginRefund('pm_card_pendingRefund'),
    change: () => letProviderWork(world),
    ends: { refunds: [{ status: 'succeeded' }], credit: [] },
  },
  {
    what: 'a refund that the bank refuses later',
    about: /^(refund\.|charge\.refund\.)/,
    begin: beginRefund('pm_card_refundFail'),
    change: () => letProviderWork(world),
    ends: { refunds: [{ status: 'failed' }], credit: [{ balance: '300' }] },
  },
];

/** Every part of a list, the empty one and the whole included. */
function parts<T>(list: readonly T[]): T[][] {
  return list.reduce<T[][]>((all, one) => [...all, ...all.map((part) => [...part, one])], [[]]);
}

test.each(CHANGES)('$what ends in one state, whichever of its events come before the change and in what order', async (one) => {
  const known = new Set((await world.events()).map((event) => event.id));
  const happened = async () => {
    const events = (await world.events()).filter((event) => !known.has(event.id));
    for (const event of events) known.add(event.id);
    return events.filter((event) => one.about.test(event.type));
  };
  const tell = async (events: Awaited<ReturnType<typeof happened>>) => {
    for (const event of events) {
      await world.receive(event);
      await world.work('webhooks');
    }
  };
  const states: unknown[] = [];
  for (let way = 0, ways = 1; way < ways; way++) {
    const actor = someUser();
    await one.begin(actor);
    const atFirst = await happened();
    const choices = parts(atFirst);
    ways = choices.length;
    const before = choices[way] ?? [];
    await tell(before);
    await one.change(actor);
    const after = [...atFirst.filter((event) => !before.includes(event)), ...(await happened())];
    await tell(way % 2 === 0 ? after : after.toReversed());
    const state = await stateOf(world, actor);
    expect(state).toMatchObject(one.ends);
    states.push(JSON.parse(JSON.stringify(state, (name, value: unknown) => (name.startsWith('provider_') ? undefined : value))));
  }
  expect(states.length).toBeGreaterThanOrEqual(2);
  for (const state of states) expect(state).toEqual(states[0]);
  await expectSoundBooks(world);
});
