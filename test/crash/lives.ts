/**
 * The parts of a customer's life that the sweep cuts. Each begins with somebody nobody else is, does one thing in the process it is given,
 * and says afterwards how everything stands.
 */
import { expect } from '@jest/globals';
import type { PriceId, PurchaseId, SetupId, SubscriptionId, TransactionId } from '../../src/domain/ids.js';
import { ALL_BUCKETS } from '../../src/platform/slots.js';
import { parseGiftCode } from '../../src/domain/subscription/gift-code.js';
import { OVERTAKEN_WAIT_MS } from '../../src/store/provider.store.js';
import { applyWebhooks, fetchMissedEvents, LISTING_EVERY_MS } from '../../src/usecases/apply-webhooks.js';
import type { Cashier } from '../../src/usecases/cashier.js';
import { makeCommands } from '../../src/usecases/commands.js';
import type { Actor, Answered, Commands } from '../../src/usecases/contract.js';
import { giveBackOrphans } from '../../src/usecases/give-back-orphan.js';
import { settleOpenChange } from '../../src/usecases/open-change.js';
import { relayChanges } from '../../src/usecases/relay-changes.js';
import { doDue } from '../../src/usecases/do-due.js';
import { makeCollector } from '../../src/usecases/renew.js';
import { settleDueGifts } from '../../src/usecases/settle-gifts.js';
import { resolveDuePayments, resolveDueRefunds } from '../../src/usecases/resolve-due.js';
import { giveCredit, somePerson, wishFor } from '../support/buying.js';
import { gift } from '../support/gifts.js';
import { Killed, mortal } from '../support/mortal.js';
import { finishStep, newKey, oneByOne, priceId, someStaff, someUser, withCard, type World } from '../support/world.js';

/** One cut of one life: a process is cut while it runs `run`. */
export interface Stage {
  actor: Actor;
  /** What the process does that may be cut: a client's request, or a turn of the worker. */
  run(cashier: Cashier): Promise<unknown>;
  /** The client's request once more, with the same key, at a process that lives. */
  again?(): Promise<Answered>;
  /** What the client does when it has its answer. */
  goOn?(): Promise<void>;
}

/** A life, and which of the two kinds of process runs what is cut. */
export interface Life {
  title: string;
  /** Which of its points are cut unless SWEEP=whole: left out, all of them. */
  cutsInSuite?: 'each tenth';
  process: 'gateway' | 'worker';
  prepare(): Promise<Stage>;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIMIT = 64;

/** Turns of a worker. One thing at a time: the order of the points is then the same each time. */
const turn = {
  payments: (cashier: Cashier) => resolveDuePayments(cashier, ALL_BUCKETS, LIMIT, oneByOne),
  refunds: (cashier: Cashier) => resolveDueRefunds(cashier, ALL_BUCKETS, LIMIT, oneByOne),
  orphans: (cashier: Cashier) => giveBackOrphans(cashier, ALL_BUCKETS, LIMIT, oneByOne),
  gifts: (cashier: Cashier) => settleDueGifts(cashier, ALL_BUCKETS, LIMIT),
  webhooks: async (cashier: Cashier): Promise<number> => {
    const { claimed, failures } = await applyWebhooks(cashier, ALL_BUCKETS, LIMIT, oneByOne);
    if (failures.length > 0) throw new AggregateError(failures);
    return claimed;
  },
};

/** Prices of the catalogue that lives are about. */
export interface Prices {
  premium: PriceId;
  /** Of a higher tier than premium, and of a lower one. */
  higher: PriceId;
  lower: PriceId;
  product: PriceId;
}

/** Every life that is swept. */
export function makeLives(world: World, prices: Prices): Life[] {
  const subscribing = (actor: Actor, idempotencyKey = newKey()) => {
    const command = {
      priceId: prices.premium,
      paymentMethodId: null,
      coupon: null,
      useTrial: false,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey,
    };
    return (commands: Commands = world.commands) => commands.subscribe(actor, command);
  };
  const requested = (actor: Actor, ask: (commands: Commands) => Promise<Answered>, goOn?: () => Promise<void>): Stage => ({
    actor,
    run: (cashier) => ask(makeCommands(cashier)),
    again: () => ask(world.commands),
    ...(goOn && { goOn }),
  });
  /** A client's request in a process that dies when it comes to this point; what it left is the worker's. */
  const cutOff = async (ask: (commands: Commands) => Promise<unknown>, point: string): Promise<void> => {
    const process = mortal(world.gateway, (name) => name === point);
    await expect(ask(makeCommands(process.cashier))).rejects.toThrow(Killed);
  };
  const openStep = async (actor: Actor): Promise<string> => {
    const [attempt] = await world.query<{ next_action: { redirectUrl: string } | null }>(
      'select next_action from payment_attempt where user_id = $1 order by id desc limit 1',
      [actor.userId],
    );
    return attempt?.next_action?.redirectUrl ?? '';
  };
  const subscribed = async (token = 'pm_card_visa') => {
    const actor = await withCard(world, someUser(), token);
    const answer = await subscribing(actor)();
    return {
      actor,
      ...answer,
      transactionId: answer.transactionId as TransactionId,
      subscriptionId: answer.subscriptionId as SubscriptionId,
    };
  };
  const billing = async (cashier: Cashier): Promise<void> => {
    const { failures } = await doDue(cashier, { spreadMs: 0 }, ALL_BUCKETS, LIMIT);
    if (failures.length > 0) throw new AggregateError(failures);
  };
  const charging = async (cashier: Cashier): Promise<void> => {
    const collector = makeCollector(cashier, oneByOne);
    const { failures } = await collector.collect(ALL_BUCKETS, LIMIT, async (wanted) => wanted);
    if (failures.length > 0) throw new AggregateError(failures);
  };
  const refunding = (
    transactionId: TransactionId,
    minor: bigint | null,
    sue = someStaff('support'),
    idempotencyKey = newKey(),
  ) => {
    const command = {
      transactionId,
      amount: minor === null ? null : { minor, currency: 'USD' },
      reason: 'requested' as const,
      note: null,
      endSubscription: false,
      idempotencyKey,
    };
    return (commands: Commands = world.commands) => commands.refund(sue, command);
  };
  const cancelling = (actor: Actor, subscriptionId: SubscriptionId, immediately: boolean) => {
    const command = { subscriptionId, immediately, reason: null, comment: null, expectedVersion: null, idempotencyKey: newKey() };
    return (commands: Commands) => commands.cancelSubscription(actor, command);
  };
  const pausing = (actor: Actor, subscriptionId: SubscriptionId) => {
    const command = { subscriptionId, resumesAt: null, idempotencyKey: newKey() };
    return (commands: Commands) => commands.pauseSubscription(actor, command);
  };
  const resuming = (actor: Actor, subscriptionId: SubscriptionId) => {
    const command = { subscriptionId, expectedVersion: null, idempotencyKey: newKey() };
    return (commands: Commands) => commands.resumeSubscription(actor, command);
  };
  const paused = async () => {
    const begun = await subscribed();
    await pausing(begun.actor, begun.subscriptionId)(world.commands);
    await world.advance(32 * 24 * HOUR);
    await world.work('due');
    return begun;
  };
  const giving = (actor: Actor, price = prices.premium) => {
    const command = gift(price);
    return (commands: Commands) => commands.giftSubscription(actor, command);
  };
  const given = async (price = prices.premium) => {
    const actor = await withCard(world, someUser());
    const { claimCode, transactionId } = await giving(actor, price)(world.commands);
    const code = parseGiftCode(claimCode ?? '');
    if (code === null || transactionId === null) throw new Error('no gift was given');
    return { actor, code, transactionId };
  };
  const changing = (actor: Actor, subscriptionId: SubscriptionId, newPriceId: PriceId, timing: 'now' | null = null) => {
    const command = { subscriptionId, newPriceId, timing, quoteId: null, expectedVersion: null, idempotencyKey: newKey() };
    return (commands: Commands = world.commands) => commands.changeTier(actor, command);
  };
  /** Somebody whose change of tier waits for 3-D Secure. */
  const waiting = async () => {
    const { actor, subscriptionId } = await subscribed();
    await withCard(world, actor, 'pm_card_threeDSecure2Required');
    await changing(actor, subscriptionId, prices.higher)();
    return { actor, subscriptionId };
  };
  const adding = (actor: Actor, token: string) => {
    const key = newKey();
    return async (commands: Commands): Promise<Answered> => {
      const started = await commands.startPaymentMethodSetup(actor, {
        kind: 'card',
        makeDefault: true,
        returnUrl: null,
        idempotencyKey: key,
      });
      if (started.setupId === null) return started;
      return commands.completePaymentMethodSetup(actor, { setupId: started.setupId as SetupId, providerToken: token });
    };
  };

  return [
    {
      title: 'subscribing',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        return requested(actor, subscribing(actor));
      },
    },
    {
      title: 'subscribing with a card that is declined',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser(), 'pm_card_chargeCustomerFail');
        return requested(actor, subscribing(actor));
      },
    },
    {
      title: 'subscribing with a card that asks for 3-D Secure',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser(), 'pm_card_threeDSecure2Required');
        return requested(actor, subscribing(actor), async () => finishStep(await openStep(actor)));
      },
    },
    {
      title: 'confirming a payment after its step',
      process: 'gateway',
      prepare: async () => {
        const { actor, transactionId } = await subscribed('pm_card_threeDSecure2Required');
        await finishStep(await openStep(actor));
        return requested(actor, (commands) => commands.confirmPayment(actor, { transactionId }));
      },
    },
    {
      title: 'confirming a payment whose step failed',
      process: 'gateway',
      prepare: async () => {
        const { actor, transactionId } = await subscribed('pm_card_threeDSecure2Required');
        await finishStep(await openStep(actor), 'fail');
        return requested(actor, (commands) => commands.confirmPayment(actor, { transactionId }));
      },
    },
    {
      title: 'purchasing',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const command = {
          priceId: prices.product,
          quantity: 1,
          paymentMethodId: null,
          expectedAmount: null,
          returnUrl: null,
          idempotencyKey: newKey(),
        };
        return requested(
          actor,
          (commands) => commands.purchase(actor, command) as Promise<Answered & { purchaseId: PurchaseId | null }>,
        );
      },
    },
    {
      title: 'subscribing with a limited coupon and what the balance pays of it',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await somePerson(world);
        await giveCredit(world, actor, 100n);
        const wish = wishFor(prices.premium, { coupon: 'FOUNDER50' });
        return requested(actor, (commands) => commands.subscribe(actor, wish));
      },
    },
    {
      title: 'subscribing with a limited coupon and a card that is declined',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await somePerson(world, 'pm_card_chargeCustomerFail');
        await giveCredit(world, actor, 100n);
        const wish = wishFor(prices.premium, { coupon: 'FOUNDER50' });
        return requested(actor, (commands) => commands.subscribe(actor, wish));
      },
    },
    {
      title: 'subscribing where nothing is due',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = someUser();
        const wish = wishFor(await priceId(world, { tier: 'basic' }), { coupon: 'FIVEOFF' });
        return requested(actor, (commands) => commands.subscribe(actor, wish));
      },
    },
    {
      title: 'beginning a trial',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await somePerson(world);
        const wish = wishFor(await priceId(world, { tier: 'premium', interval: 'week' }), { useTrial: true });
        return requested(actor, (commands) => commands.subscribe(actor, wish));
      },
    },
    {
      title: 'putting a coupon on a running subscription',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await somePerson(world);
        const { subscriptionId } = await world.commands.subscribe(actor, wishFor(prices.premium));
        const command = { subscriptionId: subscriptionId as SubscriptionId, code: 'FOUNDER50' };
        return requested(actor, (commands) => commands.applyCoupon(actor, command));
      },
    },
    {
      title: 'buying what the balance pays',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = someUser();
        await giveCredit(world, actor, 1_000n);
        const { priceId: product, paymentMethodId, expectedAmount, returnUrl, idempotencyKey } = wishFor(prices.product);
        const command = { priceId: product, quantity: 1, paymentMethodId, expectedAmount, returnUrl, idempotencyKey };
        return requested(actor, (commands) => commands.purchase(actor, command));
      },
    },
    {
      title: 'refunding a part',
      process: 'gateway',
      prepare: async () => {
        const { actor, transactionId } = await subscribed();
        return requested(actor, refunding(transactionId, 300n));
      },
    },
    {
      title: 'refunding all',
      process: 'gateway',
      prepare: async () => {
        const { actor, transactionId } = await subscribed();
        return requested(actor, refunding(transactionId, null));
      },
    },
    {
      title: 'adding a payment method',
      process: 'gateway',
      prepare: async () => {
        const actor = someUser();
        return requested(actor, adding(actor, 'pm_card_visa'));
      },
    },
    {
      title: 'adding a payment method that asks for 3-D Secure',
      process: 'gateway',
      prepare: async () => {
        const actor = someUser();
        const ask = adding(actor, 'pm_card_threeDSecure2Required');
        const stepOf = async (): Promise<string> => {
          const [setup] = await world.query<{ next_action: { redirectUrl: string } | null }>(
            'select next_action from payment_method_setup where user_id = $1',
            [actor.userId],
          );
          return setup?.next_action?.redirectUrl ?? '';
        };
        return requested(actor, ask, async () => {
          await finishStep(await stepOf());
          expect((await ask(world.commands)).refusals).toEqual([]);
        });
      },
    },
    {
      title: 'removing a payment method',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const [method] = await world.query<{ id: string }>('select id from payment_method where user_id = $1', [actor.userId]);
        // A row's id is an id of its kind.
        const paymentMethodId = method?.id as Parameters<Commands['removePaymentMethod']>[1]['paymentMethodId'];
        return requested(actor, (commands) => commands.removePaymentMethod(actor, { paymentMethodId }));
      },
    },
    {
      title: 'cancelling at the end of the period',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, cancelling(actor, subscriptionId, false));
      },
    },
    {
      title: 'cancelling at once',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, cancelling(actor, subscriptionId, true));
      },
    },
    {
      title: 'withdrawing in the first days',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        await world.query("update customer set country = 'DE' where user_id = $1", [actor.userId]);
        return requested(actor, cancelling(actor, subscriptionId, true));
      },
    },
    {
      title: 'giving up a payment that waits for its step',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed('pm_card_threeDSecure2Required');
        return requested(actor, cancelling(actor, subscriptionId, true));
      },
    },
    {
      title: 'pausing',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, pausing(actor, subscriptionId));
      },
    },
    {
      title: 'going on after a pause',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await paused();
        return requested(actor, resuming(actor, subscriptionId));
      },
    },
    {
      title: 'going on after a pause with a card that is declined',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await paused();
        await withCard(world, actor, 'pm_card_chargeCustomerFail');
        return requested(actor, resuming(actor, subscriptionId));
      },
    },
    {
      title: 'giving a membership',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        return requested(actor, giving(actor));
      },
    },
    {
      title: 'giving a membership with a card that is declined',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = await withCard(world, someUser(), 'pm_card_chargeCustomerFail');
        return requested(actor, giving(actor));
      },
    },
    {
      title: 'claiming a gift',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { code } = await given();
        const actor = someUser();
        return requested(actor, (commands) => commands.claimGift(actor, code));
      },
    },
    {
      title: 'refunding a gift in use',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, code, transactionId } = await given();
        await world.commands.claimGift(someUser(), code);
        await world.work('gifts');
        return requested(actor, refunding(transactionId, null));
      },
    },
    {
      title: 'the worker settling a gift that was claimed',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { code } = await given();
        const actor = someUser();
        await world.commands.claimGift(actor, code);
        return { actor, run: turn.gifts };
      },
    },
    {
      title: 'the worker giving the value of a gift to who has another tier',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { code } = await given(prices.lower);
        const { actor } = await subscribed();
        await world.commands.claimGift(actor, code);
        return { actor, run: turn.gifts };
      },
    },
    {
      title: 'the worker giving back a gift that nobody claimed',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor } = await given();
        await world.advance(367 * 24 * HOUR);
        return { actor, run: turn.gifts };
      },
    },
    {
      title: 'granting a right',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const actor = someUser();
        const expiresAt = new Date(world.clock.now().getTime() + 24 * HOUR);
        const command = { userId: actor.userId, feature: 'no_ads', expiresAt, note: 'sorry', idempotencyKey: newKey() };
        const sue = someStaff('support');
        return requested(actor, (commands) => commands.grantEntitlement(sue, command));
      },
    },
    {
      title: 'changing to a higher tier',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, changing(actor, subscriptionId, prices.higher));
      },
    },
    {
      title: 'changing to a higher tier with a card that is declined',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        await withCard(world, actor, 'pm_card_chargeCustomerFail');
        return requested(actor, changing(actor, subscriptionId, prices.higher));
      },
    },
    {
      title: 'changing to a higher tier with a card that asks for 3-D Secure',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        await withCard(world, actor, 'pm_card_threeDSecure2Required');
        return requested(actor, changing(actor, subscriptionId, prices.higher), async () => finishStep(await openStep(actor)));
      },
    },
    {
      title: 'changing to a lower tier at once, with a note of what is left',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, changing(actor, subscriptionId, prices.lower, 'now'));
      },
    },
    {
      title: 'changing to a lower tier at the end of the period',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        return requested(actor, changing(actor, subscriptionId, prices.lower));
      },
    },
    {
      title: 'dropping a change that waits for its step',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await waiting();
        // It has no key: who asks again is told that nothing waits, or drops it now.
        return requested(actor, async (commands) => {
          const { refusals } = await commands.cancelPendingTierChange(actor, { subscriptionId });
          return { refusals: refusals.filter(({ code }) => code !== 'INVALID_STATE'), isReplay: false };
        });
      },
    },
    {
      title: 'cancelling while a change waits for its step',
      cutsInSuite: 'each tenth',
      process: 'gateway',
      prepare: async () => {
        const { actor, subscriptionId } = await waiting();
        return requested(actor, cancelling(actor, subscriptionId, false));
      },
    },
    {
      title: 'the worker settling a change that waits for its step before its period is renewed',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor, subscriptionId } = await waiting();
        const settle = (cashier: Cashier) => settleOpenChange(cashier, { id: subscriptionId, userId: actor.userId });
        const again = async (): Promise<Answered> => {
          await settle(world.worker);
          return { refusals: [], isReplay: false };
        };
        return { actor, run: settle, again };
      },
    },
    {
      title: 'the worker finding a change of tier in the listing',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        const ask = changing(actor, subscriptionId, prices.higher);
        await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
        await ask();
        await world.advance(2 * MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker sending a payment that nobody sent',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await cutOff(ask, 'after commit 1');
        await world.advance(2 * MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker finding out, by the same request, about a payment whose answer was lost',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await cutOff(ask, 'after charge');
        await world.advance(2 * MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker finding a payment in the listing',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
        await ask();
        await world.advance(2 * MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker concluding that a payment never happened',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await world.fault({ operation: 'payment_intents.create', kind: 'error_before', count: 1 });
        await ask();
        for (let minutes = 0; minutes < 25; minutes += 5) {
          await turn.payments(world.worker);
          await world.advance(5 * MINUTE);
        }
        await world.advance(5 * MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker cancelling a payment whose step nobody did in 23 hours',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser(), 'pm_card_threeDSecure2Required');
        const ask = subscribing(actor);
        await ask();
        await world.advance(23 * HOUR + MINUTE);
        return { actor, run: turn.payments, again: ask };
      },
    },
    {
      title: 'the worker sending a refund that nobody sent',
      process: 'worker',
      prepare: async () => {
        const { actor, transactionId } = await subscribed();
        const ask = refunding(transactionId, 300n);
        await cutOff(ask, 'after commit 1');
        await world.advance(2 * MINUTE);
        return { actor, run: turn.refunds, again: ask };
      },
    },
    {
      title: 'the worker finding a refund in the listing',
      process: 'worker',
      prepare: async () => {
        const { actor, transactionId } = await subscribed();
        const ask = refunding(transactionId, 300n);
        await world.fault({ operation: 'refunds.create', kind: 'error_after', count: 1 });
        await ask();
        await world.advance(2 * MINUTE);
        return { actor, run: turn.refunds, again: ask };
      },
    },
    {
      title: 'the worker giving back a charge that appeared late',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await world.fault({ operation: 'payment_intents.create', kind: 'error_after', count: 1 });
        await ask();
        const { provider } = world.worker;
        world.worker.provider = { ...provider, findPayment: async () => ({ kind: 'fact', fact: null, requestId: null }) };
        for (let minutes = 0; minutes < 40; minutes += 5) {
          await world.advance(5 * MINUTE);
          await turn.payments(world.worker);
        }
        world.worker.provider = provider;
        await world.advance(25 * HOUR);
        const run = async (cashier: Cashier): Promise<void> => {
          await turn.payments(cashier);
          await turn.orphans(cashier);
        };
        return { actor, run, again: ask };
      },
    },
    {
      title: 'applying the events of a payment that came before our own answer',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        const ask = subscribing(actor);
        await cutOff(ask, 'after charge');
        await world.receiveEvents({ newest: 8, types: /^(payment_intent|charge)\.succeeded$/ });
        return { actor, run: turn.webhooks, again: ask };
      },
    },
    {
      title: 'applying the events of a refund',
      process: 'worker',
      prepare: async () => {
        const { actor, transactionId } = await subscribed();
        const ask = refunding(transactionId, 300n);
        await cutOff(ask, 'after refund');
        await world.receiveEvents({ newest: 8, types: /refund/ });
        return { actor, run: turn.webhooks, again: ask };
      },
    },
    {
      title: 'applying the events of a refund made by hand at the provider',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed();
        const charge = (await world.truth()).charges.at(-1);
        await fetch(`${world.standIn.url}/v1/refunds`, {
          method: 'POST',
          headers: { authorization: 'Bearer sk_test_sandbox' },
          body: new URLSearchParams({ charge: charge?.id ?? '', amount: '200' }),
        });
        await world.receiveEvents({ newest: 8, types: /refund/ });
        return { actor, run: turn.webhooks };
      },
    },
    {
      title: 'applying the events of a dispute',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed('pm_card_createDispute');
        await world.receiveEvents({ newest: 8, types: /^charge\.dispute\./ });
        return { actor, run: turn.webhooks };
      },
    },
    {
      title: "applying the events of a payment method added on the provider's page",
      process: 'worker',
      prepare: async () => {
        const actor = someUser();
        await adding(actor, 'pm_card_threeDSecure2Required')(world.commands);
        const [setup] = await world.query<{ next_action: { redirectUrl: string } | null }>(
          'select next_action from payment_method_setup where user_id = $1',
          [actor.userId],
        );
        await finishStep(setup?.next_action?.redirectUrl ?? '');
        await world.receiveEvents({ newest: 6, types: /^setup_intent\.succeeded$/ });
        return { actor, run: turn.webhooks };
      },
    },
    {
      title: 'fetching events that never arrived',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const actor = await withCard(world, someUser());
        // What other lives left behind is none of this one's.
        await fetchMissedEvents(world.worker);
        await world.advance(LISTING_EVERY_MS);
        while ((await turn.webhooks(world.worker)) > 0);
        const ask = subscribing(actor);
        await cutOff(ask, 'after charge');
        const run = async (cashier: Cashier): Promise<void> => {
          await fetchMissedEvents(cashier);
          world.clock.advance(OVERTAKEN_WAIT_MS);
          await turn.webhooks(cashier);
        };
        return { actor, run, again: ask };
      },
    },
    {
      title: 'ending a subscription with its period',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor, subscriptionId } = await subscribed();
        await cancelling(actor, subscriptionId, false)(world.commands);
        await world.advance(32 * 24 * HOUR);
        return { actor, run: billing };
      },
    },
    {
      title: 'billing a period that has begun',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed();
        await world.advance(32 * 24 * HOUR);
        return { actor, run: billing };
      },
    },
    {
      title: 'charging renewals',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed();
        await world.advance(32 * 24 * HOUR);
        await world.work('due');
        return { actor, run: charging };
      },
    },
    {
      title: 'charging a renewal that is declined',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed();
        await withCard(world, actor, 'pm_card_chargeCustomerFail');
        await world.advance(32 * 24 * HOUR);
        await world.work('due');
        return { actor, run: charging };
      },
    },
    {
      title: 'carrying changes to the gateways',
      cutsInSuite: 'each tenth',
      process: 'worker',
      prepare: async () => {
        const { actor } = await subscribed();
        return { actor, run: (cashier) => relayChanges(cashier, 'test') };
      },
    },
  ];
}
