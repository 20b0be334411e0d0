import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TransactionDocument, type SubscribeMutation } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { startProduct, type Answer, type Feed, type Person, type Product } from '../support/product.js';
import { LossyWire } from './lossy-wire.js';

const wire = new LossyWire();
let product: Product;

const CHARGE = '/v1/payment_intents';
const MINUTE = 60_000;

interface Scene {
  kind: string;
  /** Brings the trouble about; it strikes the next charge. */
  trouble: () => Promise<void>;
  charges: number;
  end: 'SUCCEEDED' | 'FAILED';
}

const fault = (kind: string, count: number) => product.fault({ operation: 'payment_intents.create', kind, count });

/** The SDK sends once more when a connection breaks, so breaks come in pairs. */
const SCENES: Scene[] = [
  { kind: 'timeout_after', trouble: () => fault('timeout_after', 1), charges: 1, end: 'SUCCEEDED' },
  { kind: 'error_before', trouble: () => fault('error_before', 1), charges: 0, end: 'FAILED' },
  { kind: 'error_after', trouble: () => fault('error_after', 1), charges: 1, end: 'SUCCEEDED' },
  { kind: 'reset', trouble: () => fault('reset', 2), charges: 1, end: 'SUCCEEDED' },
  { kind: 'a request that never arrives', trouble: async () => wire.lose(CHARGE, 'request', 2), charges: 1, end: 'SUCCEEDED' },
  { kind: 'an answer that never arrives', trouble: async () => wire.lose(CHARGE, 'answer', 2), charges: 1, end: 'SUCCEEDED' },
  { kind: 'rate_limit', trouble: () => fault('rate_limit', 1), charges: 1, end: 'SUCCEEDED' },
];

interface Played {
  ana: Person;
  feed: Feed;
  answer: Promise<Answer<SubscribeMutation>>;
}
const played = new Map<string, Played>();

beforeAll(async () => {
  product = await startProduct({ stripeBase: (port) => wire.lead(port) });
  for (const { kind, trouble } of SCENES) {
    const ana = await product.person('ana');
    await ana.addCard();
    const feed = await ana.follow();
    const seen = (await product.truth()).paymentIntents.length;
    await trouble();
    const answer = ana.trySubscribe();
    played.set(kind, { ana, feed, answer });
    // Each trouble must have met its own charge; only the real timeout is not waited for.
    if (kind === 'timeout_after') {
      await eventually(async () => expect((await product.truth()).paymentIntents.length).toBeGreaterThan(seen));
    } else await answer;
  }
  const isTold = ({ feed }: Played): boolean => ['SUCCEEDED', 'FAILED'].includes(feed.statuses().at(-1) ?? '');
  await product.passUntil(
    () => expect([...played].filter(([, one]) => !isTold(one)).map(([kind, { feed }]) => [kind, feed.statuses()])).toEqual([]),
    6 * MINUTE,
    120 * MINUTE,
  );
});
afterAll(async () => {
  await product.stop();
  await wire.close();
});

test.each(SCENES)(
  'a charge that meets $kind is made $charges times, ends $end, and the waiting client is told',
  async ({ kind, charges, end }) => {
    const scene = played.get(kind);
    if (!scene) throw new Error('not played');
    const { ana, feed } = scene;
    const { status, errors, data } = await scene.answer;
    expect([status, errors]).toEqual([200, []]);
    expect(data?.subscribe.userErrors).toEqual([]);
    const statuses = feed.statuses();
    expect(statuses[0]).toBe('PENDING');
    expect(statuses.at(-1)).toBe(end);
    expect(statuses.filter((one) => one === end)).toHaveLength(1);
    expect(['PENDING', 'UNKNOWN', end]).toEqual(expect.arrayContaining(statuses));
    const last = feed.items.findLast(({ type }) => type === 'CHANGE');
    expect(last?.subscription?.status).toBe(end === 'SUCCEEDED' ? 'ACTIVE' : 'INCOMPLETE_EXPIRED');
    const { transaction } = await ana.get(TransactionDocument, { id: data?.subscribe.transaction?.id ?? '' });
    expect(transaction?.status).toBe(end);
    const [row] = await product.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
      ana.userId,
    ]);
    const truth = await product.truth();
    expect(truth.charges.filter(({ customer, paid }) => paid && customer === row?.object_id)).toHaveLength(charges);
  },
);

test('after all this the books are sound', async () => {
  await product.expectSoundBooks();
});
