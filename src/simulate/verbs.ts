/**
 * What people do, one entry each: when it comes into question, how likely it is then, and how it is done. A new verb of the product is a new entry
 * of the table.
 */
import type { Seeded } from '../chaos/seeded.js';
import type { PriceId } from '../domain/ids.js';
import type { Actor, Answered } from '../usecases/contract.js';
import { lookAt, type Offer, type Situation } from './look.js';
import type { Life } from './life.js';
import type { SimulatedWorld } from './world.js';

/** All that one act has. */
export interface Scene {
  world: SimulatedWorld;
  life: Life;
  situation: Situation;
  chance: Seeded;
  shelf: readonly Offer[];
  /** The client's key of this act, for its nth request. */
  key: (nth: string) => string;
  /** Something later that happens to this person by itself. */
  later: (days: number, happening: () => void) => void;
  /** What must not be, seen by the person: two answers under one key. */
  complain: (text: string) => void;
}

/** A verb. */
export interface Verb {
  name: string;
  /** How likely it is, beside the others; 0: not now. */
  weight(situation: Situation): number;
  /** Does it. @returns what came of it, for the story */
  act(scene: Scene): Promise<string>;
}

const CARDS = [
  [60, 'pm_card_visa'],
  [12, 'pm_card_mastercard'],
  [8, 'pm_card_gb'],
  [6, 'pm_card_authenticationRequiredOnSetup'],
  [5, 'pm_card_threeDSecure2Required'],
  [3, 'pm_card_chargeCustomerFail'],
  [2, 'pm_card_chargeDeclined'],
  [2, 'pm_card_pendingRefund'],
  [2, 'pm_card_refundFail'],
  [3, 'pm_card_createDispute'],
] as const;

const SUPPORT: Actor = {
  userId: 'staff-finance',
  scopes: new Set(['monetization:support', 'monetization:finance']),
  requestId: 'simulated-staff',
};

/** The table. */
export const VERBS: readonly Verb[] = [
  {
    name: 'adds a first card',
    weight: ({ method, hasSubscribed }) => (method === null && !hasSubscribed ? 20 : 0),
    act: async (scene) => {
      const added = await addCard(scene, scene.chance.weighted(CARDS));
      if (added !== 'added') return added;
      // Who comes with a card has come for something.
      const situation = await lookAt(scene.world, scene.life.actor.userId);
      const verb = scene.chance.chance(0.85) ? subscribes : buys;
      return `added; ${verb.name}: ${await verb.act({ ...scene, situation })}`;
    },
  },
  {
    name: 'subscribes',
    weight: ({ subscription, method, hasSubscribed }) =>
      subscription === null && method !== null ? (hasSubscribed ? 6 : 12) : 0,
    act: (scene) => subscribes.act(scene),
  },
  {
    name: 'buys',
    weight: ({ method }) => (method === null ? 0 : 4),
    act: (scene) => buys.act(scene),
  },
  {
    name: 'cancels',
    weight: ({ subscription }) => (subscription !== null && !subscription.cancelAtPeriodEnd ? 3 : 0),
    act: async ({ world, life, situation, chance, key }) => {
      if (situation.subscription === null) return 'nothing to cancel';
      const immediately = chance.chance(0.25);
      const answer = await world.commands.cancelSubscription(life.actor, {
        subscriptionId: situation.subscription.id,
        immediately,
        reason: null,
        comment: null,
        expectedVersion: null,
        idempotencyKey: key('cancel'),
      });
      return `${immediately ? 'at once' : 'at the end of the period'}: ${outcomeOf(answer)}`;
    },
  },
  {
    name: 'ends what is past due',
    weight: ({ subscription }) => (subscription?.status === 'past_due' ? 12 : 0),
    act: async (scene) => {
      const { world, life, situation, key, chance } = scene;
      if (situation.subscription === null) return 'nothing to end';
      const ended = await world.commands.cancelSubscription(life.actor, {
        subscriptionId: situation.subscription.id,
        immediately: true,
        reason: null,
        comment: null,
        expectedVersion: null,
        idempotencyKey: key('end'),
      });
      if (ended.refusals.length > 0 || chance.chance(0.4)) return outcomeOf(ended);
      const added = await addCard(scene, 'pm_card_visa');
      return `ended; a new card: ${added}; subscribes: ${await subscribes.act(scene)}`;
    },
  },
  {
    name: 'changes the tier',
    weight: ({ subscription }) => (subscription?.status === 'active' && !subscription.cancelAtPeriodEnd ? 3 : 0),
    act: async (scene) => {
      const { world, life, situation, chance, shelf, key } = scene;
      const [first, ...more] = shelf.filter((offer) => offer.isTier && offer.currency === life.currency);
      if (situation.subscription === null || !first) return 'nothing to change';
      const offer = chance.pick([first, ...more]);
      const answer = await world.commands.changeTier(life.actor, {
        subscriptionId: situation.subscription.id,
        newPriceId: offer.id as PriceId,
        timing: null,
        quoteId: null,
        expectedVersion: null,
        idempotencyKey: key('change'),
      });
      return `from ${situation.subscription.tier} to ${told(offer)}: ${await paid(scene, answer)}`;
    },
  },
  {
    name: 'pauses',
    weight: ({ subscription }) => (subscription?.status === 'active' && !subscription.cancelAtPeriodEnd ? 1 : 0),
    act: async ({ world, life, situation, chance, key }) => {
      if (situation.subscription === null) return 'nothing to pause';
      const days = chance.chance(0.6) ? chance.int(40, 120) : null;
      const now = world.clock.now().getTime();
      const answer = await world.commands.pauseSubscription(life.actor, {
        subscriptionId: situation.subscription.id,
        resumesAt: days === null ? null : new Date(now + days * 86_400_000),
        idempotencyKey: key('pause'),
      });
      return `${days === null ? 'until further notice' : `for ${days} days`}: ${outcomeOf(answer)}`;
    },
  },
  {
    name: 'resumes',
    weight: ({ subscription }) => (subscription?.cancelAtPeriodEnd === true || subscription?.status === 'paused' ? 8 : 0),
    act: async ({ world, life, situation, key }) => {
      if (situation.subscription === null) return 'nothing to resume';
      const answer = await world.commands.resumeSubscription(life.actor, {
        subscriptionId: situation.subscription.id,
        expectedVersion: null,
        idempotencyKey: key('resume'),
      });
      return outcomeOf(answer);
    },
  },
  {
    name: 'is paid back by staff',
    weight: ({ charge }) => (charge === null ? 0 : 2),
    act: async ({ world, situation, chance, key }) => {
      const { charge } = situation;
      if (charge === null) return 'nothing to pay back';
      const share = chance.weighted([
        [5, null],
        [4, 3n],
        [1, 0n],
      ] as const);
      // A third, in whole steps of every currency; now and then more than there is.
      const minor =
        share === null ? null : share === 0n ? charge.amountMinor * 2n : (charge.amountMinor / 300n) * 100n || charge.amountMinor;
      const answer = await world.commands.refund(SUPPORT, {
        transactionId: charge.id,
        amount: minor === null ? null : { minor, currency: charge.currency },
        reason: 'requested',
        note: null,
        endSubscription: chance.chance(0.3),
        idempotencyKey: key('refund'),
      });
      return `${minor ?? 'all'} of ${charge.amountMinor} ${charge.currency}: ${outcomeOf(answer)}`;
    },
  },
  {
    name: 'has a card that stops working',
    weight: ({ method }) => (method === null ? 0 : 3),
    act: async ({ world, situation, chance, later }) => {
      const { method } = situation;
      if (method === null) return 'no card';
      const decline = chance.weighted([
        [5, 'insufficient_funds'],
        [3, 'expired_card'],
        [2, 'lost_card'],
      ] as const);
      world.provider.breakMethod(method.objectId, decline);
      if (decline === 'insufficient_funds') later(chance.int(5, 60), () => world.provider.breakMethod(method.objectId, null));
      return decline;
    },
  },
  {
    name: 'adds another card',
    weight: ({ method, hasSubscribed }) => (method === null && !hasSubscribed ? 0 : 2),
    act: (scene) => addCard(scene, scene.chance.weighted(CARDS)),
  },
  {
    name: 'removes the card',
    weight: ({ method, subscription }) => (method !== null && subscription === null ? 1 : 0),
    act: async ({ world, life, situation }) => {
      if (situation.method === null) return 'no card';
      return outcomeOf(await world.commands.removePaymentMethod(life.actor, { paymentMethodId: situation.method.id }));
    },
  },
  { name: 'does nothing', weight: () => 6, act: async () => 'nothing' },
];

const subscribes = {
  name: 'subscribes',
  act: async (scene: Scene): Promise<string> => {
    const { world, life, chance, shelf, key } = scene;
    const offers = shelf.filter((offer) => offer.isTier && offer.currency === life.currency);
    const monthly = offers.filter(({ interval }) => interval === 'month');
    const [first, ...more] = chance.chance(0.85) ? monthly : offers.filter(({ interval }) => interval !== 'month');
    if (!first) return 'nothing is for sale';
    const offer = chance.pick([first, ...more]);
    const command = {
      priceId: offer.id as PriceId,
      paymentMethodId: null,
      coupon: null,
      useTrial: false,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey: key('subscribe'),
    };
    const answer = await world.commands.subscribe(life.actor, command);
    if (chance.chance(0.05)) {
      const again = await world.commands.subscribe(life.actor, command);
      if (again.subscriptionId !== answer.subscriptionId || again.transactionId !== answer.transactionId)
        scene.complain(`subscribe under ${command.idempotencyKey} led to two subscriptions`);
    }
    return `${told(offer)}: ${await paid(scene, answer)}`;
  },
};

const buys = {
  name: 'buys',
  act: async (scene: Scene): Promise<string> => {
    const { world, life, chance, shelf, key } = scene;
    const [first, ...more] = shelf.filter((offer) => !offer.isTier && offer.currency === life.currency);
    if (!first) return 'nothing is for sale';
    const offer = chance.pick([first, ...more]);
    const command = {
      priceId: offer.id as PriceId,
      quantity: chance.chance(0.2) ? chance.int(2, 5) : 1,
      paymentMethodId: null,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey: key('buy'),
    };
    const answer = await world.commands.purchase(life.actor, command);
    if (chance.chance(0.05)) {
      const again = await world.commands.purchase(life.actor, command);
      if (again.purchaseId !== answer.purchaseId || again.transactionId !== answer.transactionId)
        scene.complain(`purchase under ${command.idempotencyKey} led to two purchases`);
    }
    return `${command.quantity} ${told(offer)}: ${await paid(scene, answer)}`;
  },
};

/** What became of a payment that its payer is there for: the step of 3-D Secure is done, failed or left open. */
async function paid(
  { world, life, chance }: Scene,
  answer: Answered & { transactionId: Parameters<SimulatedWorld['commands']['confirmPayment']>[1]['transactionId'] | null },
): Promise<string> {
  const { transactionId } = answer;
  const step = world.provider.openStepOf(life.actor.userId);
  if (step === null || transactionId === null) return outcomeOf(answer);
  const outcome = chance.weighted([
    [85, 'complete'],
    [7, 'fail'],
    [8, null],
  ] as const);
  if (outcome === null) return '3-D Secure left open';
  world.provider.finishStep(step, outcome);
  if (!chance.chance(0.8)) return `3-D Secure: ${outcome}; did not come back`;
  return `3-D Secure: ${outcome}; ${outcomeOf(await world.commands.confirmPayment(life.actor, { transactionId }))}`;
}

/** Adds a card and makes it the default; asked again, as clients do, while the provider can not be reached. */
export async function addCard(
  { world, life, chance, key }: Pick<Scene, 'world' | 'life' | 'chance' | 'key'>,
  token: string,
): Promise<string> {
  const { commands, provider } = world;
  const { actor } = life;
  const started = await insistently(() =>
    commands.startPaymentMethodSetup(actor, {
      kind: 'card',
      makeDefault: true,
      returnUrl: null,
      idempotencyKey: key('setup'),
    }),
  );
  const { setupId } = started;
  if (setupId === null || started.refusals.length > 0) return outcomeOf(started);
  let completed = await insistently(() => commands.completePaymentMethodSetup(actor, { setupId, providerToken: token }));
  if (completed.nextAction !== null) {
    const outcome = chance.weighted([
      [90, 'complete'],
      [5, 'fail'],
      [5, null],
    ] as const);
    if (outcome === null) return '3-D Secure left open';
    provider.finishSetupStep(actor.userId, outcome);
    completed = await insistently(() => commands.completePaymentMethodSetup(actor, { setupId, providerToken: null }));
  }
  return completed.refusals.length > 0 ? outcomeOf(completed) : 'added';
}

const MOST_TRIES = 4;

async function insistently<Answer extends Answered>(ask: () => Promise<Answer>): Promise<Answer> {
  let answer = await ask();
  for (let tries = 1; tries < MOST_TRIES && answer.refusals.some(({ code }) => code === 'PROVIDER_UNAVAILABLE'); tries++) {
    answer = await ask();
  }
  return answer;
}

function outcomeOf({ refusals }: Answered): string {
  return refusals.length === 0 ? 'accepted' : refusals.map(({ code }) => code).join(', ');
}

function told({ name, interval, currency, amountMinor }: Offer): string {
  return `${name}${interval === null ? '' : ` by the ${interval}`} for ${amountMinor} ${currency}`;
}
