/** What goes over the wire to the provider, and what is believed of what comes back. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { insideTransaction } from '../../src/platform/inside-transaction.js';
import type { Called, ChargeRequest, PaymentFact, PaymentProvider, RefundFact, RefundRequest } from '../../src/ports/provider.js';
import { stripeProvider } from '../../src/providers/stripe/adapter.js';
import { expectSoundBooks } from '../support/book-checks.js';
import { CREATE, look, Scene } from './scene.js';
import { Wire, withCalls } from './wiring.js';

let scene: Scene;
let wire: Wire;
let provider: PaymentProvider;

beforeAll(async () => {
  scene = await Scene.start();
  wire = new Wire(scene.world.standIn.port);
  provider = stripeProvider({
    apiKey: 'sk_test_sandbox',
    webhookSecrets: ['whsec_sandbox_test'],
    publishableKey: null,
    apiBase: await wire.listen(),
    accountId: 1,
    timeoutMs: 5_000,
  });
});
afterEach(() => {
  wire.rewrite = (body) => body;
});
afterAll(async () => {
  await wire.close();
  await scene.world.stop();
});

let made = 0;
const nextKey = (): string => `key-${++made}`;

async function fact<Fact>(called: Promise<Called<Fact>>): Promise<Fact> {
  const answer = await called;
  if (answer.kind !== 'fact') throw new Error(JSON.stringify(answer));
  return answer.fact;
}

async function customer(): Promise<string> {
  return (await fact(provider.createCustomer({ idempotencyKey: nextKey(), userId: 'ana', env: 'test' }))).objectId;
}

async function setup(customerObjectId: string): Promise<string> {
  const opened = provider.startSetup({ idempotencyKey: nextKey(), customerObjectId, setupRef: 'set_1', env: 'test' });
  return (await fact(opened)).objectId;
}

async function method(customerObjectId: string, methodToken = 'pm_card_visa'): Promise<string> {
  const setupObjectId = await setup(customerObjectId);
  const confirmed = await fact(
    provider.confirmSetup({ idempotencyKey: nextKey(), setupObjectId, methodToken, returnUrl: 'http://127.0.0.1/' }),
  );
  return confirmed.method?.objectId ?? '';
}

async function chargeRequest(methodToken = 'pm_card_visa'): Promise<ChargeRequest> {
  const customerObjectId = await customer();
  return {
    idempotencyKey: nextKey(),
    amountMinor: 800n,
    currency: 'USD',
    customerObjectId,
    methodObjectId: await method(customerObjectId, methodToken),
    isOffSession: false,
    returnUrl: 'http://127.0.0.1/',
    intentRef: `pin_${made}`,
    invoiceRef: `inv_${made}`,
    env: 'test',
  };
}

async function refundRequest(): Promise<RefundRequest> {
  const { objectId } = await fact(provider.charge(await chargeRequest()));
  return {
    idempotencyKey: nextKey(),
    paymentObjectId: objectId,
    amountMinor: 300n,
    currency: 'USD',
    refundRef: `txn_${made}`,
    env: 'test',
    reason: 'requested',
  };
}

/** Every call that changes something at the provider, ready to be made again and again. */
const POSTS: Record<string, () => Promise<(idempotencyKey: string) => Promise<Called<unknown>>>> = {
  createCustomer: async () => (idempotencyKey) => provider.createCustomer({ idempotencyKey, userId: 'ana', env: 'test' }),
  startSetup: async () => {
    const customerObjectId = await customer();
    return (idempotencyKey) => provider.startSetup({ idempotencyKey, customerObjectId, setupRef: 'set_1', env: 'test' });
  },
  confirmSetup: async () => {
    const setupObjectId = await setup(await customer());
    return (idempotencyKey) =>
      provider.confirmSetup({ idempotencyKey, setupObjectId, methodToken: 'pm_card_visa', returnUrl: 'http://127.0.0.1/' });
  },
  detachMethod: async () => {
    const methodObjectId = await method(await customer());
    return (idempotencyKey) => provider.detachMethod({ idempotencyKey, methodObjectId });
  },
  charge: async () => {
    const request = await chargeRequest();
    return (idempotencyKey) => provider.charge({ ...request, idempotencyKey });
  },
  cancelPayment: async () => {
    const { objectId } = await fact(provider.charge(await chargeRequest('pm_card_threeDSecure2Required')));
    return (idempotencyKey) => provider.cancelPayment({ idempotencyKey, paymentObjectId: objectId });
  },
  refund: async () => {
    const request = await refundRequest();
    return (idempotencyKey) => provider.refund({ ...request, idempotencyKey });
  },
};

test.each(Object.keys(POSTS))(
  '%s sends the key it is given, so that a repeat is played back and does nothing more',
  async (name) => {
    const post = await POSTS[name]?.();
    if (!post) throw new Error(name);
    const [before, key] = [wire.passed.length, nextKey()];
    const first = await post(key);
    const again = await post(key);
    const sent = wire.passed.slice(before);
    expect(sent.map(({ method: verb, idempotencyKey }) => [verb, idempotencyKey])).toEqual([
      ['POST', key],
      ['POST', key],
    ]);
    expect([first, again].map(({ kind }) => kind)).toEqual(['fact', 'fact']);
    expect(await fact(Promise.resolve(again))).toEqual(await fact(Promise.resolve(first)));
  },
);

test('every call that changes something is in the test above', async () => {
  const unkeyed = wire.passed.filter(({ method: verb, idempotencyKey }) => verb === 'POST' && idempotencyKey === undefined);
  expect(unkeyed).toEqual([]);
  const names = Object.keys(provider).filter(
    (name) => !/^(name|accountId|keyLifeMs|publishableKey|successEvents|is|object|open|read|find|list)/.test(name),
  );
  expect(names.toSorted()).toEqual(Object.keys(POSTS).toSorted());
});

/** What an answer that is not about the request may differ in. */
const OTHERS: [what: string, altered: object][] = [
  ['amount', { amount: 900 }],
  ['currency', { currency: 'eur' }],
  ['reference', { metadata: { intent_id: 'pin_other', refund_id: 'txn_other' } }],
];

/** Alters the objects that come back. */
function alter(altered: object): void {
  wire.rewrite = (body) => JSON.stringify({ ...(JSON.parse(body) as object), ...altered });
}

test.each(OTHERS)('an answer to a charge with another %s is not believed: the outcome is unknown', async (_, altered) => {
  const request = await chargeRequest();
  alter(altered);
  expect(await provider.charge(request)).toMatchObject({ kind: 'unknown', reason: 'mismatch' });
});

test.each(OTHERS)('an answer to a refund with another %s is not believed: the outcome is unknown', async (_, altered) => {
  const request = await refundRequest();
  alter(altered);
  expect(await provider.refund(request)).toMatchObject({ kind: 'unknown', reason: 'mismatch' });
});

const ALTERED: [kind: 'charge' | 'refund', what: string, altered: Partial<PaymentFact & RefundFact>][] = [
  ['charge', 'amount', { amountMinor: 801n }],
  ['charge', 'currency', { currency: 'EUR' }],
  ['refund', 'amount', { amountMinor: 301n }],
  ['refund', 'currency', { currency: 'EUR' }],
];

test.each(ALTERED)('a fact about a %s with another %s is applied to nothing and opens a finding', async (kind, _, altered) => {
  const { world } = scene;
  const ana = await scene.customerFor(kind);
  await world.fault({ operation: CREATE[kind], kind: 'timeout_after', count: 1 });
  await scene.begin(kind, ana, world.gateway);
  const ref = await scene.refOf(kind, ana);
  await world.advance(60_000);
  const lying = withCalls(world.worker, async (_name, call) => {
    const called = (await call()) as Called<object>;
    return called.kind === 'fact' ? { ...called, fact: { ...called.fact, ...altered } } : called;
  });
  await look(kind, lying, ref);
  const { findings } = await scene.written(kind, ref);
  expect([await scene.statusOf(kind, ref), findings]).toEqual([
    'unknown',
    [{ kind: kind === 'charge' ? 'amount' : 'refund_amount' }],
  ]);
  // The truth, once it is told, is applied.
  await world.advance(10 * 60_000);
  await look(kind, world.worker, ref);
  expect(await scene.statusOf(kind, ref)).toBe('succeeded');
});

test('no provider is called inside a database transaction', async () => {
  const before = wire.passed.length;
  const asked = insideTransaction.run(() => provider.createCustomer({ idempotencyKey: nextKey(), userId: 'ana', env: 'test' }));
  await expect(asked).rejects.toThrow('no provider is called inside a database transaction');
  expect(wire.passed).toHaveLength(before);
});

test('after all this the books are sound', async () => {
  await expectSoundBooks(scene.world);
});
