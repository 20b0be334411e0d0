import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId, type Id } from '../../src/domain/ids.js';
import { giftCode } from '../../src/domain/subscription/gift-code.js';
import type { Commands } from '../../src/usecases/contract.js';
import { CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, startGraph, type TestGraph } from './graph.js';

const KEY = '0123456789abcdef';
const PRICE = publicId('price', CATALOGUE.prices.plusMonth);
const FIELDS = `id status periods giver { id } recipient { id currentSubscription { id } } price { id }
  transaction { id } subscription { id } claimBy`;

let graph: TestGraph;
let named: Id<'gift'>;
let hidden: Id<'gift'>;
let coded: Id<'gift'>;
let unpaid: Id<'gift'>;
let subscription: Id<'sub'>;
let charge: Id<'txn'>;

beforeAll(async () => {
  graph = await startGraph();
  const { rows } = graph;
  await rows.customer('ana');
  await rows.customer('ben');
  const { plusMonth } = CATALOGUE.prices;
  named = await rows.gift('ana', plusMonth, { recipient_id: 'ben' });
  charge = await rows.charge('ana', { giftId: named });
  await rows.received('ben', named);
  subscription = await rows.subscription('ben', PLUS);
  hidden = await rows.gift('ana', plusMonth, {
    recipient_id: 'ben',
    is_anonymous: true,
    status: 'claimed',
    subscription_id: subscription,
  });
  await rows.received('ben', hidden, { claimed_at: '2026-03-02T00:00:00Z', subscription_id: subscription });
  coded = await rows.gift('ana', plusMonth);
  unpaid = await rows.gift('ana', plusMonth, { recipient_id: 'ben', status: 'pending_payment' });
});
afterAll(() => graph.stop());

const node = (userId: string, id: string) =>
  graph.ask({ userId }, `query ($id: ID!) { monetizationNode(id: $id) { ... on Gift { ${FIELDS} } } }`, {
    id: publicId('gift', id),
  });

test('a gift shows its giver the payment and for whom it is, and nothing of the account of its recipient', async () => {
  expect(at(await node('ana', named), 'monetizationNode')).toEqual({
    id: publicId('gift', named),
    status: 'CLAIMABLE',
    periods: 3,
    giver: { id: 'ana' },
    recipient: { id: 'ben', currentSubscription: null },
    price: { id: PRICE },
    transaction: { id: publicId('txn', charge) },
    subscription: null,
    claimBy: '2027-03-01T09:10:00.000Z',
  });
  expect(at(await node('ana', hidden), 'monetizationNode', 'subscription')).toBeNull();
});

test('a gift shows its recipient who gave, unless given anonymously, and what it became, but not the payment', async () => {
  expect(at(await node('ben', named), 'monetizationNode')).toMatchObject({ giver: { id: 'ana' }, transaction: null });
  const id = publicId('sub', subscription);
  expect(at(await node('ben', hidden), 'monetizationNode')).toMatchObject({
    giver: null,
    recipient: { id: 'ben', currentSubscription: { id } },
    subscription: { id },
    transaction: null,
  });
});

test("a gift is nobody else's to see, and one that is not paid not its recipient's", async () => {
  for (const id of [named, hidden, coded]) expect(at(await node('eve', id), 'monetizationNode')).toBeNull();
  expect(at(await node('ben', unpaid), 'monetizationNode')).toBeNull();
  expect(at(await node('ana', unpaid), 'monetizationNode')).toMatchObject({ status: 'PENDING_PAYMENT' });
});

const list = async (userId: string, page = '') =>
  graph.ask({ userId }, `{ viewer { gifts${page} { nodes { id } pageInfo { hasNextPage endCursor } } } }`);

test('the list of gifts has those given and those received, newest first, page by page', async () => {
  const ids = (answer: Awaited<ReturnType<typeof list>>) => at(answer, 'viewer', 'gifts', 'nodes');
  const nodes = (...of: string[]) => of.map((id) => ({ id: publicId('gift', id) }));
  expect(ids(await list('ben'))).toEqual(nodes(hidden, named));
  const first = await list('ana', '(first: 3)');
  expect(ids(first)).toEqual(nodes(unpaid, coded, hidden));
  const cursor = String(at(first, 'viewer', 'gifts', 'pageInfo', 'endCursor'));
  expect(ids(await list('ana', `(first: 3, after: "${cursor}")`))).toEqual(nodes(named));
  expect(ids(await list('eve'))).toEqual([]);
});

const CLAIM = `mutation ($input: ClaimGiftInput!) { claimGift(input: $input) {
  gift { id } subscription { id } userErrors { code field } } }`;
const claim = (input: Record<string, unknown>, claimGift: Commands['claimGift']) =>
  graph.ask({ userId: 'ben' }, CLAIM, { input }, { claimGift });
const never: Commands['claimGift'] = () => {
  throw new Error('not asked for here');
};

test('a gift is claimed by its id or by its code, and by just one of them', async () => {
  const seen: unknown[] = [];
  const claimGift: Commands['claimGift'] = async (_, command) => {
    seen.push(command);
    return { giftId: hidden, subscriptionId: subscription, refusals: [], isReplay: false };
  };
  const code = giftCode(coded, 'z'.repeat(24));
  const answer = await claim({ claimCode: ` ${code.toUpperCase()} ` }, claimGift);
  expect(at(answer, 'claimGift')).toEqual({
    gift: { id: publicId('gift', hidden) },
    subscription: { id: publicId('sub', subscription) },
    userErrors: [],
  });
  await claim({ giftId: publicId('gift', named) }, claimGift);
  expect(seen).toEqual([
    { giftId: coded, secret: 'z'.repeat(24) },
    { giftId: named, secret: null },
  ]);
  const errors = async (input: Record<string, unknown>) => at(await claim(input, never), 'claimGift', 'userErrors');
  const both = { giftId: publicId('gift', named), claimCode: code };
  expect(await errors({})).toEqual([{ code: 'INVALID_INPUT', field: ['input'] }]);
  expect(await errors(both)).toEqual([{ code: 'INVALID_INPUT', field: ['input'] }]);
  expect(await errors({ claimCode: 'x' })).toEqual([{ code: 'NOT_FOUND', field: ['input', 'claimCode'] }]);
  expect(await errors({ giftId: PRICE })).toEqual([{ code: 'NOT_FOUND', field: ['input', 'giftId'] }]);
});

test('giving tells the verb all of the input, and answers with the gift and its code', async () => {
  const seen: unknown[] = [];
  const answer = await graph.ask(
    { userId: 'ana' },
    `mutation ($input: GiftSubscriptionInput!) { giftSubscription(input: $input) {
      gift { id } claimCode nextAction { type } userErrors { code field } } }`,
    { input: { priceId: PRICE, periods: 12, recipientId: 'ben', anonymous: true, idempotencyKey: KEY } },
    {
      giftSubscription: async (_, command) => {
        seen.push(command);
        return { giftId: named, transactionId: charge, claimCode: 'code', refusals: [], isReplay: false };
      },
    },
  );
  expect(at(answer, 'giftSubscription')).toEqual({
    gift: { id: publicId('gift', named) },
    claimCode: 'code',
    nextAction: null,
    userErrors: [],
  });
  expect(seen).toEqual([
    {
      priceId: CATALOGUE.prices.plusMonth,
      periods: 12,
      recipientId: 'ben',
      isAnonymous: true,
      paymentMethodId: null,
      idempotencyKey: KEY,
    },
  ]);
});

test('more than twelve periods, or a recipient who can not be one, is told at once', async () => {
  const answer = await graph.ask(
    { userId: 'ana' },
    'mutation ($input: GiftSubscriptionInput!) { giftSubscription(input: $input) { userErrors { code field } } }',
    { input: { priceId: PRICE, periods: 13, recipientId: 'not a user', idempotencyKey: KEY } },
    {},
  );
  expect(at(answer, 'giftSubscription', 'userErrors')).toEqual([
    { code: 'INVALID_INPUT', field: ['input', 'periods'] },
    { code: 'INVALID_INPUT', field: ['input', 'recipientId'] },
  ]);
});
