import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { publicId } from '../../src/domain/ids.js';
import { BASIC, CATALOGUE, PLUS } from '../builders/catalogue-rows.js';
import { at, codesOf, startGraph, type TestGraph } from './graph.js';

const ANA = { userId: 'ana' };
const BEN = { userId: 'ben' };
const MONEY = '{ amountMinor currency decimal }';
const FIELDS = `id number status payer { id } subscription { id } lines { description amount { amountMinor } periodStart periodEnd isProration }
  subtotal ${MONEY} discountTotal ${MONEY} taxTotal ${MONEY} total ${MONEY} amountPaid ${MONEY} amountDue ${MONEY} finalizedAt paidAt pdfUrl
  transactions { id status }`;

let graph: TestGraph;
let subscriptionId: string;
let changed: string;
let charge: string;

/** A change of tier with a coupon: 12.50 less 2.50 for the rest of the month, less 5.00 of the old tier, and tax of both. */
const LINES = [
  { description: 'Plus', amount: 1_000, discount: 250, tax: 190, is_proration: true },
  { description: 'Unused part of Basic', amount: -500, tax: -95, is_proration: true },
];

beforeAll(async () => {
  graph = await startGraph();
  const { rows } = graph;
  for (const user of ['ana', 'ben']) await rows.customer(user);
  subscriptionId = await rows.subscription('ana', PLUS);
  changed = await rows.invoice(
    'ana',
    { subscriptionId },
    { invoice: { number: 'INV-00000042', legal_entity: 'Example Network Inc.', paid_at: '2026-03-01T09:10:05Z' }, lines: LINES },
  );
  await rows.transaction('ana', { status: 'failed', amount: 595, invoice_id: changed });
  charge = await rows.transaction('ana', { amount: 595, invoice_id: changed });
  await rows.transaction('ana', { kind: 'refund', amount: 100, original_id: charge, invoice_id: changed });
});
afterAll(() => graph.stop());

const usd = (amountMinor: number, decimal: string) => ({ amountMinor, currency: 'USD', decimal });

test('an invoice is told with its lines, which add up to the subtotal, its sums and the payments tried for it, newest first', async () => {
  const answer = await graph.ask(ANA, `query ($id: ID!) { invoice(id: $id) { ${FIELDS} } }`, { id: publicId('inv', changed) });
  const period = { periodStart: '2026-03-01T09:10:00.000Z', periodEnd: '2026-04-01T09:10:00.000Z', isProration: true };
  expect(at(answer, 'invoice')).toEqual({
    id: publicId('inv', changed),
    number: 'INV-00000042',
    status: 'PAID',
    payer: { id: 'ana' },
    subscription: { id: publicId('sub', subscriptionId) },
    lines: [
      { description: 'Plus', amount: { amountMinor: 1_250 }, ...period },
      { description: 'Unused part of Basic', amount: { amountMinor: -500 }, ...period },
    ],
    subtotal: usd(750, '7.50'),
    discountTotal: usd(250, '2.50'),
    taxTotal: usd(95, '0.95'),
    total: usd(595, '5.95'),
    amountPaid: usd(595, '5.95'),
    amountDue: usd(0, '0.00'),
    finalizedAt: '2026-03-01T09:10:00.000Z',
    paidAt: '2026-03-01T09:10:05.000Z',
    pdfUrl: null,
    transactions: [
      { id: publicId('txn', charge), status: 'SUCCEEDED' },
      { id: expect.any(String), status: 'FAILED' },
    ],
  });
});

test('what an invoice is paid by the balance counts as paid while the rest is owed, and a void one owes nothing', async () => {
  const old = await graph.rows.subscription('ben', BASIC, { status: 'canceled', ended_at: '2026-03-02T00:00:00Z' });
  const open = await graph.rows.invoice('ben', { subscriptionId: old }, { invoice: { status: 'open', credit_applied: 300 } });
  const ended = await graph.rows.invoice('ben', { subscriptionId: old }, { invoice: { status: 'void', credit_applied: 300 } });
  const answer = await graph.ask(
    BEN,
    '{ viewer { invoices { nodes { id status number amountPaid { amountMinor } amountDue { amountMinor } } } } }',
  );
  const amount = (amountMinor: number) => ({ amountMinor });
  expect(at(answer, 'viewer', 'invoices', 'nodes')).toEqual([
    { id: publicId('inv', ended), status: 'VOID', number: null, amountPaid: amount(0), amountDue: amount(0) },
    { id: publicId('inv', open), status: 'OPEN', number: null, amountPaid: amount(300), amountDue: amount(500) },
  ]);
});

test('invoices are paged newest first, narrowed by their state, and by their subscription', async () => {
  const cyd = { userId: 'cyd' };
  await graph.rows.customer('cyd');
  const [first, second] = [
    await graph.rows.subscription('cyd', BASIC, { status: 'canceled', ended_at: '2026-03-02T00:00:00Z' }),
    await graph.rows.subscription('cyd', PLUS),
  ];
  const badge = await graph.rows.purchase('cyd', CATALOGUE.prices.badge);
  const names = new Map<string, string>();
  const invoice = async (
    name: string,
    ...what: Parameters<TestGraph['rows']['invoice']> extends [string, ...infer Rest] ? Rest : never
  ) => {
    names.set(publicId('inv', await graph.rows.invoice('cyd', ...what)), name);
  };
  await invoice('first', { subscriptionId: first });
  await invoice('lapsed', { subscriptionId: first }, { invoice: { status: 'void' } });
  await invoice('badge', { purchaseId: badge });
  await invoice('second', { subscriptionId: second });
  const listed = (nodes: unknown) => (nodes as { id: string }[]).map(({ id }) => names.get(id));
  const list =
    'query ($first: Int, $after: String, $statuses: [InvoiceStatus!]) { viewer { invoices(first: $first, after: $after, statuses: $statuses) { nodes { id subscription { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }';
  const one = await graph.ask(cyd, list, { first: 3 });
  expect(listed(at(one, 'viewer', 'invoices', 'nodes'))).toEqual(['second', 'badge', 'lapsed']);
  expect(at(one, 'viewer', 'invoices', 'nodes', 1, 'subscription')).toBeNull();
  const after = at(one, 'viewer', 'invoices', 'pageInfo', 'endCursor');
  const two = await graph.ask(cyd, list, { first: 3, after });
  expect(listed(at(two, 'viewer', 'invoices', 'nodes'))).toEqual(['first']);
  expect(at(two, 'viewer', 'invoices', 'pageInfo')).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  expect(listed(at(await graph.ask(cyd, list, { statuses: ['VOID', 'OPEN'] }), 'viewer', 'invoices', 'nodes'))).toEqual([
    'lapsed',
  ]);
  expect(codesOf(await graph.ask(cyd, list, { after, statuses: ['VOID'] }))).toEqual(['CURSOR_INVALID']);
  expect(codesOf(await graph.ask(ANA, list, { after }))).toEqual(['CURSOR_INVALID']);
  const own = await graph.ask(cyd, '{ viewer { subscriptions { nodes { id invoices { nodes { id } } } } } }');
  expect(at(own, 'viewer', 'subscriptions', 'nodes')).toEqual([
    { id: publicId('sub', second), invoices: { nodes: [{ id: [...names.keys()][3] }] } },
    { id: publicId('sub', first), invoices: { nodes: [{ id: [...names.keys()][1] }, { id: [...names.keys()][0] }] } },
  ]);
});

test('a payment leads to its invoice, and so does a refund of it; one without an invoice has none', async () => {
  const bare = await graph.rows.transaction('ana');
  const answer = await graph.ask(ANA, '{ viewer { transactions { nodes { id kind invoice { number } } } } }');
  const numbered = { number: 'INV-00000042' };
  expect(at(answer, 'viewer', 'transactions', 'nodes')).toEqual([
    { id: publicId('txn', bare), kind: 'CHARGE', invoice: null },
    { id: expect.any(String), kind: 'REFUND', invoice: numbered },
    { id: publicId('txn', charge), kind: 'CHARGE', invoice: numbered },
    { id: expect.any(String), kind: 'CHARGE', invoice: numbered },
  ]);
});

test('staff who opened an account see its invoices; an id of a wrong form or of nothing finds none', async () => {
  const seen = await graph.ask(
    { userId: 'sue', scopes: ['support'] },
    '{ customerAccount(userId: "ana") { invoices { nodes { number transactions { invoice { number } } } } } }',
  );
  expect(at(seen, 'customerAccount', 'invoices', 'nodes', 0)).toMatchObject({ number: 'INV-00000042' });
  for (const id of ['', 'inv_1', publicId('txn', charge), publicId('inv', charge)]) {
    expect(await graph.ask(ANA, 'query ($id: ID!) { invoice(id: $id) { id } }', { id })).toEqual({ data: { invoice: null } });
  }
});

test('a page of invoices with lines, payments and subscriptions is read by one statement for each of them', async () => {
  const dan = { userId: 'dan' };
  await graph.rows.customer('dan');
  const subscription = await graph.rows.subscription('dan', PLUS);
  for (let n = 0; n < 5; n++) {
    const id = await graph.rows.invoice('dan', { subscriptionId: subscription });
    await graph.rows.transaction('dan', { invoice_id: id });
  }
  graph.reader.names.length = 0;
  const answer = await graph.ask(
    dan,
    '{ viewer { invoices { nodes { lines { description } transactions { id } subscription { id } } } } }',
  );
  expect(at(answer, 'viewer', 'invoices', 'nodes')).toHaveLength(5);
  expect(graph.reader.names.toSorted()).toEqual(['charges_of_invoices', 'invoice_lines', 'invoices_down', 'subscriptions_by_id']);
});
