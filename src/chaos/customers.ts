/** The lives that customers lead in a run: a card, then whatever comes to mind. Everything they decide follows from the seed. */
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type Payload, type Scene } from './client.js';
import type { KeptRequest } from './answers.js';
import type { Seeded } from './seeded.js';

/** What is for sale, as ids of prices. */
export interface Shelf {
  tierPrices: readonly [string, ...string[]];
  productPrices: readonly [string, ...string[]];
}

const CARDS = [
  [40, 'pm_card_visa'],
  [8, 'pm_card_mastercard'],
  [8, 'pm_card_chargeCustomerFail'],
  [12, 'pm_card_threeDSecure2Required'],
  [4, 'pm_card_threeDSecureRequiredChargeDeclined'],
  [4, 'pm_card_authenticationRequiredOnSetup'],
  [3, 'pm_card_chargeDeclinedInsufficientFunds'],
  [6, 'pm_card_pendingRefund'],
  [6, 'pm_card_refundFail'],
  [4, 'pm_card_createDispute'],
  [2, 'pm_card_createDisputeInquiry'],
  [2, 'pm_card_createMultipleDisputes'],
  [1, 'pm_card_createIssuerFraudRecord'],
] as const;

/** What the provider does not let happen is given up after so many answers that say so; for a setup somebody else comes then. */
const MOST_UNAVAILABLE = 4;
const THINKING_MS = { least: 20, most: 250 };

interface Bought {
  transactionId: string;
  amount: { amountMinor: number; currency: string };
}

/** One after the other, customers come and live until the time is over. */
export async function liveOn(options: {
  scene: Scene;
  shelf: Shelf;
  chance: Seeded;
  name: string;
  isOver: () => boolean;
  /** When even repeating is given up. */
  isHopeless: () => boolean;
}): Promise<void> {
  for (let n = 0; !options.isOver(); n++) {
    const userId = `${options.name}-${n}`;
    await new Customer({ ...options, chance: options.chance.child(String(n)), userId }).live();
  }
}

class Customer {
  readonly #scene: Scene;
  readonly #shelf: Shelf;
  readonly #chance: Seeded;
  readonly #client: Client;
  readonly #agent: Client;
  readonly #isOver: () => boolean;
  readonly #isHopeless: () => boolean;
  readonly #bought: Bought[] = [];
  readonly #settled: KeptRequest[] = [];
  #subscriptionId: string | null = null;

  constructor(options: {
    scene: Scene;
    shelf: Shelf;
    chance: Seeded;
    userId: string;
    isOver: () => boolean;
    isHopeless: () => boolean;
  }) {
    this.#scene = options.scene;
    this.#shelf = options.shelf;
    this.#chance = options.chance;
    this.#isOver = options.isOver;
    this.#isHopeless = options.isHopeless;
    this.#client = new Client(options.scene, options.userId, options.chance.child('client'));
    this.#agent = new Client(options.scene, `agent-${options.userId}`, options.chance.child('agent'), ['finance']);
  }

  async live(): Promise<void> {
    if (!(await this.#addCard())) return;
    for (let left = this.#chance.int(2, 7); left > 0 && !this.#isOver(); left--) {
      await this.#act();
      await pause(this.#chance.int(THINKING_MS.least, THINKING_MS.most));
    }
  }

  async #act(): Promise<void> {
    const act = this.#chance.weighted([
      [40, 'purchase'],
      [30, 'subscribe'],
      [25, 'refund'],
      [12, 'cancel'],
      [12, 'repeat'],
    ] as const);
    switch (act) {
      case 'purchase':
        return this.#pay('purchase', {
          priceId: this.#chance.pick(this.#shelf.productPrices),
          quantity: this.#chance.chance(0.3) ? this.#chance.int(2, 5) : 1,
        });
      case 'subscribe':
        return this.#pay('subscribe', { priceId: this.#chance.pick(this.#shelf.tierPrices) });
      case 'refund':
        return this.#refund();
      case 'cancel':
        return this.#cancel();
      case 'repeat': {
        const [first, ...more] = this.#settled;
        // Somebody presses the button again, long after the answer.
        if (first) await this.#client.repeat(this.#chance.pick([first, ...more]));
      }
    }
  }

  async #addCard(): Promise<boolean> {
    const begun = this.#client.keep('startPaymentMethodSetup', { kind: 'CARD' });
    const started = await this.#client.settle(begun, () => begun.answers.length >= MOST_UNAVAILABLE || this.#isHopeless());
    if (!started?.setupId) return false;
    const { setupId } = started;
    const providerToken = this.#chance.weighted(CARDS);
    let completed = await this.#client.ask(
      'completePaymentMethodSetup',
      { setupId, providerToken },
      MOST_UNAVAILABLE,
      this.#isHopeless,
    );
    if (completed?.nextAction?.redirectUrl) {
      await this.#step(completed.nextAction.redirectUrl, 0.9);
      completed = await this.#client.ask('completePaymentMethodSetup', { setupId }, MOST_UNAVAILABLE, this.#isHopeless);
    }
    return completed?.paymentMethod != null;
  }

  async #pay(verb: 'purchase' | 'subscribe', input: Readonly<Record<string, unknown>>): Promise<void> {
    const request = this.#client.keep(verb, input);
    const payload = await this.#settle(this.#client, request);
    const transaction = payload?.transaction;
    if (!payload || !transaction) return;
    if (payload.subscription) this.#subscriptionId = payload.subscription.id;
    let { status } = transaction;
    if (payload.nextAction?.redirectUrl) {
      await this.#step(payload.nextAction.redirectUrl, 0.65);
      if (this.#chance.chance(0.8)) {
        const confirmed = await this.#client.ask(
          'confirmPayment',
          { transactionId: transaction.id },
          MOST_UNAVAILABLE,
          this.#isHopeless,
        );
        status = confirmed?.transaction?.status ?? status;
      }
    }
    // A refund may be asked of what has not been paid too: it is refused.
    if (transaction.amount && (status === 'SUCCEEDED' || this.#chance.chance(0.1)))
      this.#bought.push({ transactionId: transaction.id, amount: transaction.amount });
  }

  /** The page of 3-D Secure: done, failed, or left open. */
  async #step(url: string, done: number): Promise<void> {
    const outcome = this.#chance.weighted([
      [done, 'complete'],
      [(1 - done) / 2, 'fail'],
      [(1 - done) / 2, null],
    ] as const);
    this.#scene.chronicle.count(`3-D Secure: ${outcome ?? 'left open'}`);
    for (let i = 0; outcome !== null && i < 4; i++) {
      try {
        const answer = await fetch(url, {
          method: 'POST',
          redirect: 'manual',
          body: new URLSearchParams({ outcome }),
          signal: AbortSignal.timeout(3_000),
        });
        await answer.arrayBuffer();
        return;
      } catch {
        await pause(this.#chance.int(200, 800));
      }
    }
  }

  async #refund(): Promise<void> {
    const [first, ...more] = this.#bought;
    if (!first) return;
    const { transactionId, amount } = this.#chance.pick([first, ...more]);
    const share = this.#chance.weighted([
      [5, null],
      [4, 0.34],
      [2, 0.6],
      [1, 1.5],
    ] as const);
    const part =
      share === null ? {} : { amount: { ...amount, amountMinor: Math.max(1, Math.floor(amount.amountMinor * share)) } };
    const request = this.#agent.keep('refund', { transactionId, ...part, reason: 'REQUESTED' });
    await this.#settle(this.#agent, request);
  }

  async #cancel(): Promise<void> {
    if (this.#subscriptionId === null) return;
    const immediately = this.#chance.chance(0.5);
    const request = this.#client.keep('cancelSubscription', { subscriptionId: this.#subscriptionId, immediately });
    await this.#settle(this.#client, request);
  }

  async #settle(client: Client, request: KeptRequest): Promise<Payload | null> {
    const payload = await client.settle(request, this.#isHopeless);
    if (payload && client === this.#client) this.#settled.push(request);
    return payload;
  }
}
