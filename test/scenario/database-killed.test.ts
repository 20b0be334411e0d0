import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId, type PriceId } from '../../src/domain/ids.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { print } from 'graphql';
import { PurchaseDocument, type PurchaseMutation } from '../generated/graphql.js';
import { eventually } from '../support/eventually.js';
import { startKillableDatabase, type KillableDatabase } from '../support/killable-database.js';
import { newKey, startProduct, type Answer, type Person, type Product } from '../support/product.js';
import { LossyWire } from './lossy-wire.js';

const BUYERS = 200;
/** The database dies when so many charges have reached Stripe since it last came up. */
const KILLS = [1, 40, 60];
const MINUTE = 60_000;

const wire = new LossyWire();
let database: KillableDatabase;
let product: Product;
let priceId: string;
let buyers: Person[];

beforeAll(async () => {
  database = await startKillableDatabase();
  product = await startProduct({ database, stripeBase: (port) => wire.lead(port), settings: { DATABASE_POOL: '10' } });
  const [price] = await product.query<{ id: string }>(
    "select p.id from price p join product o on o.id = p.product_id where o.key = 'theme_pack' and p.currency = 'USD'",
  );
  priceId = publicId('price', price?.id as PriceId);
  buyers = await Promise.all(Array.from({ length: BUYERS }, () => product.person('buyer')));
  await eachAtMost(buyers, 8, async (buyer) => void (await buyer.addCard()));
}, 5 * MINUTE);
afterAll(async () => {
  await product.stop();
  await wire.close();
});

type Trouble = Pick<Answer<PurchaseMutation>, 'status' | 'errors'>;

/** Nothing of our insides. The second is told to whoever had waited as long as a request may take. */
const ALLOWED = [
  '503 SERVICE_UNAVAILABLE: The service is not available: send the request again.',
  '504 TIMEOUT: The operation took too long; it may still take effect: read the state before trying again.',
];

/** Resolves while the database is up. */
let isUp: Promise<void> = Promise.resolve();

async function killAndStart(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  isUp = promise;
  await database.kill();
  await expectToBeSentAway();
  await database.start();
  resolve();
}

/** Without a database a request is refused at once, with a word on when to come again and none on what is inside. */
async function expectToBeSentAway(): Promise<void> {
  const body = JSON.stringify({ query: print(PurchaseDocument), variables: { input: { priceId, idempotencyKey: newKey() } } });
  const latecomer = await product.person('latecomer');
  const answer = await fetch(`${product.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${latecomer.token}` },
    body,
  });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  const { errors } = (await answer.json()) as { errors: { message: string; extensions: object }[] };
  expect(errors.map(({ message, extensions }) => [message, Object.keys(extensions)])).toEqual([
    ['The service is not available: send the request again.', ['code', 'requestId']],
  ]);
}

/** Buys as a client does that keeps its key until it has an answer. */
class Buying {
  readonly #idempotencyKey = newKey();
  readonly troubles: Trouble[] = [];
  answer: PurchaseMutation['purchase'] | null = null;
  constructor(readonly buyer: Person) {}

  async askAgain(): Promise<void> {
    this.answer = null;
    await this.untilAnswered();
  }

  async untilAnswered(): Promise<void> {
    while (this.answer === null) {
      const { status, data, errors } = await this.buyer.tryPurchase(priceId, this.#idempotencyKey);
      if (errors.length > 0) {
        this.troubles.push({ status, errors });
        await isUp;
      } else if (data && !data.purchase.userErrors.some(({ code }) => code === 'IDEMPOTENCY_IN_PROGRESS')) {
        this.answer = data.purchase;
      }
    }
  }
}

test(
  'two hundred purchases in the midst of which the database is killed three times end once each, and each client gets its answer',
  async () => {
    const buyings = buyers.map((buyer) => new Buying(buyer));
    const answered = Promise.all(buyings.map((one) => one.untilAnswered()));
    for (const charges of KILLS) {
      await wire.passed('/v1/payment_intents', charges);
      await killAndStart();
    }
    await eventually(async () => expect(await product.query('select id from payment_attempt')).toHaveLength(BUYERS), 2 * MINUTE);
    // What was sent and never recorded is found out when its lease is over.
    const open = () => product.query('select id from payment_attempt where next_action_at is not null');
    await product.passUntil(async () => expect(await open()).toEqual([]), MINUTE / 2, 60 * MINUTE);
    await answered;
    // Who was told that it is still under way asks once more, with the same key, when it is not.
    await Promise.all(buyings.filter(({ answer }) => answer?.transaction?.status === 'PENDING').map((one) => one.askAgain()));

    expect(new Set(buyings.map(({ answer }) => answer?.transaction?.status))).toEqual(new Set(['SUCCEEDED']));
    const troubles = buyings.flatMap((one) => one.troubles);
    expect(troubles.length).toBeGreaterThan(0);
    const said = troubles.flatMap(({ status, errors }) =>
      errors.map(({ message, extensions }) => `${status} ${extensions.code}: ${message}`),
    );
    expect(said.filter((line) => !ALLOWED.includes(line))).toEqual([]);
  },
  6 * MINUTE,
);

test('what Stripe took, what customers see and what the ledger holds are the same: one charge for each', async () => {
  const customers = await product.query<{ user_id: string; object_id: string }>(
    'select user_id, object_id from provider_customer',
  );
  const userOf = new Map(customers.map((row) => [row.object_id, row.user_id]));
  const { charges } = await product.truth();
  const taken = charges
    .filter(({ paid }) => paid)
    .map(({ customer, amount }) => `${typeof customer === 'string' ? userOf.get(customer) : null} ${amount}`);
  const shown = await product.query<{ line: string }>(
    "select user_id || ' ' || amount as line from transaction where kind = 'charge' and status = 'succeeded'",
  );
  const posted = await product.query<{ line: string }>(
    "select user_id || ' ' || amount as line from ledger_movement where event = 'payment_succeeded'",
  );
  const once = buyers.map(({ userId }) => `${userId} 499`).toSorted();
  expect(taken.toSorted()).toEqual(once);
  expect(shown.map(({ line }) => line).toSorted()).toEqual(once);
  expect(posted.map(({ line }) => line).toSorted()).toEqual(once);
});

test(
  'gateway and worker have come back by themselves: both are ready, wake-ups are heard, and nothing waits',
  async () => {
    const worker = new URL(product.url);
    worker.port = String(Number(worker.port) + 1000);
    for (const url of [product.url, worker.origin]) {
      await eventually(async () => {
        const answer = await fetch(`${url}/readyz`);
        expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ degraded: [] })]);
      });
    }
    const waiting = async () => {
      const rows = await product.query(
        `select id from payment_attempt where next_action_at is not null
       union all select id from webhook_inbox where status = 'new' union all select id from outbox_event where published_at is null`,
      );
      expect(rows).toEqual([]);
    };
    await product.passUntil(waiting, MINUTE, 60 * MINUTE);
    await product.expectSoundBooks();
  },
  3 * MINUTE,
);
