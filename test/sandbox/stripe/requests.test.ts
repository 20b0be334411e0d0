import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Stripe } from 'stripe';
import { parseForm } from '../../../src/sandbox/stripe/parameters.js';
import { type Rig, errorOf, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(async () => {
  await rig.stop();
});

async function post(
  path: string,
  form: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; error: Record<string, string> }> {
  const answer = await fetch(`${rig.standIn.url}${path}`, {
    method: 'POST',
    body: form,
    headers: { authorization: 'Bearer sk_test_x', 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
  const body = (await answer.json()) as { error: Record<string, string> };
  return { status: answer.status, headers: answer.headers, error: body.error };
}

test('nested names are read into a tree', () => {
  const tree = parseForm('a[b]=1&a[c][d]=2&expand[0]=x&expand[1]=y&list[]=p&list[]=q&plain=%C3%A9');
  expect(JSON.parse(JSON.stringify(tree))).toEqual({
    a: { b: '1', c: { d: '2' } },
    expand: { 0: 'x', 1: 'y' },
    list: { 0: 'p', 1: 'q' },
    plain: 'é',
  });
});

test('a request without a key of test mode is 401', async () => {
  for (const authorization of ['', 'Bearer pk_test_x', `Bearer ${['sk', 'live', 'x'].join('_')}`, 'Basic abc']) {
    expect(await post('/v1/customers', '', { authorization })).toMatchObject({
      status: 401,
      error: { type: 'invalid_request_error' },
    });
  }
  const stranger = new Stripe('sk_other', { host: '127.0.0.1', port: rig.standIn.port, protocol: 'http' });
  expect(await errorOf(stranger.customers.list())).toBeInstanceOf(Stripe.errors.StripeAuthenticationError);
});

test.each([
  {
    path: '/v1/payment_intents',
    form: 'amount=800&currency=usd&payment_method_types[0]=card',
    code: 'parameter_unknown',
    param: 'payment_method_types',
  },
  { path: '/v1/setup_intents', form: 'payment_method_types[0]=card', code: 'parameter_unknown', param: 'payment_method_types' },
  { path: '/v1/payment_intents', form: 'amount=800&currency=usd&amont=1', code: 'parameter_unknown', param: 'amont' },
  {
    path: '/v1/payment_intents',
    form: 'amount=800&currency=usd&payment_method_options[card][x]=1',
    code: 'parameter_unknown',
    param: 'payment_method_options[card][x]',
  },
  { path: '/v1/payment_intents', form: 'amount=800', code: 'parameter_missing', param: 'currency' },
  { path: '/v1/payment_intents', form: 'amount=8.00&currency=usd', code: 'parameter_invalid_integer', param: 'amount' },
  { path: '/v1/payment_intents', form: 'amount=800&currency=usd&customer=', code: 'parameter_invalid_empty', param: 'customer' },
  {
    path: '/v1/payment_intents',
    form: 'amount=800&currency=usd&setup_future_usage=never',
    code: undefined,
    param: 'setup_future_usage',
  },
  { path: '/v1/payment_intents', form: 'amount=800&currency=xxx', code: undefined, param: 'currency' },
  { path: '/v1/payment_intents', form: 'amount=800&currency=usd&customer=cus_none', code: 'resource_missing', param: 'customer' },
  { path: '/v1/refunds', form: 'amount=800', code: 'parameter_missing', param: 'charge' },
])('$form to $path is 400 $code for $param', async ({ path, form, code, param }) => {
  const answer = await post(path, form);
  expect(answer).toMatchObject({ status: 400, error: { type: 'invalid_request_error', param } });
  expect(answer.error['code']).toBe(code);
  expect(answer.headers.get('request-id')).toMatch(/^req_/);
});

test('card numbers are refused wherever they stand', async () => {
  const pan = ['4242'].concat(Array<string>(3).fill('4242')).join('');
  for (const form of [
    `card[number]=${pan}`,
    `payment_method_data[card][number]=x`,
    `payment_method=${pan}`,
    `description=${pan.replaceAll(/(.{4})/g, '$1 ')}`,
  ]) {
    const answer = await post('/v1/payment_intents', `amount=800&currency=usd&${form}`);
    expect(answer.status).toBe(400);
    expect(answer.error['message']).toContain('card numbers');
  }
});

test('metadata holds 50 keys of 40 characters with values of 500', async () => {
  const { stripe } = rig;
  const fifty = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`key${at}`, 'v']));
  await stripe.customers.create({ metadata: fifty });
  expect((await errorOf(stripe.customers.create({ metadata: { ...fifty, more: 'v' } }))).statusCode).toBe(400);
  expect((await errorOf(stripe.customers.create({ metadata: { ['k'.repeat(41)]: 'v' } }))).statusCode).toBe(400);
  expect((await errorOf(stripe.customers.create({ metadata: { k: 'v'.repeat(501) } }))).statusCode).toBe(400);
});

test('unknown addresses, ids and versions are answered as Stripe does', async () => {
  const { stripe } = rig;
  const unknown = await post('/v1/unicorns', '');
  expect(unknown.status).toBe(404);
  expect(unknown.error['message']).toContain('Unrecognized request URL (POST: /v1/unicorns)');
  for (const call of [
    stripe.paymentIntents.retrieve('pi_x'),
    stripe.charges.retrieve('ch_x'),
    stripe.refunds.retrieve('re_x'),
    stripe.disputes.retrieve('du_x'),
    stripe.customers.retrieve('cus_x'),
  ]) {
    expect(await errorOf(call)).toMatchObject({ statusCode: 404, code: 'resource_missing' });
  }
  expect((await post('/v1/customers', '', { 'stripe-version': '2020-08-27' })).status).toBe(400);
});

test('links expand up to four levels, in lists too, and nothing else expands', async () => {
  const { stripe } = rig;
  const card = await savedCard(stripe, 'pm_card_visa');
  const intent = await pay(stripe, card, {
    expand: [
      'customer',
      'payment_method.customer',
      'latest_charge.balance_transaction.source',
      'latest_charge.payment_intent.latest_charge',
    ],
  });
  expect(intent).toMatchObject({
    customer: { id: card.customer },
    payment_method: { customer: { id: card.customer } },
    latest_charge: {
      balance_transaction: { source: { object: 'charge' } },
      payment_intent: { latest_charge: { object: 'charge' } },
    },
  });
  const listed = await stripe.paymentIntents.list({
    customer: card.customer,
    expand: ['data.latest_charge.balance_transaction'],
  });
  expect(listed.data[0]?.latest_charge).toMatchObject({ balance_transaction: { object: 'balance_transaction' } });
  expect((await errorOf(stripe.paymentIntents.retrieve(intent.id, { expand: ['amount'] }))).param).toBe('expand');
  expect(
    (
      await errorOf(
        stripe.paymentIntents.retrieve(intent.id, {
          expand: ['latest_charge.payment_intent.latest_charge.payment_intent.customer'],
        }),
      )
    ).param,
  ).toBe('expand');
});

test('pages stay where they are while objects are added', async () => {
  const { stripe } = rig;
  const { id: customer } = await stripe.customers.create();
  const make = async (count: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let at = 0; at < count; at++)
      ids.push((await stripe.paymentIntents.create({ amount: 800 + at, currency: 'usd', customer })).id);
    return ids;
  };
  const ids = (await make(7)).toReversed();
  const first = await stripe.paymentIntents.list({ customer, limit: 3 });
  expect(first).toMatchObject({ has_more: true, url: '/v1/payment_intents' });
  expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 3));
  await make(2);
  const second = await stripe.paymentIntents.list({ customer, limit: 3, starting_after: ids[2] ?? '' });
  expect(second.data.map(({ id }) => id)).toEqual(ids.slice(3, 6));
  const back = await stripe.paymentIntents.list({ customer, limit: 2, ending_before: ids[3] ?? '' });
  expect(back.data.map(({ id }) => id)).toEqual(ids.slice(1, 3));
  const all: string[] = [];
  for await (const intent of stripe.paymentIntents.list({ customer, limit: 2 })) all.push(intent.id);
  expect(all).toHaveLength(9);
  expect((await stripe.paymentIntents.list({ customer, created: { gt: Math.floor(Date.now() / 1000) + 60 } })).data).toEqual([]);
  expect((await errorOf(stripe.paymentIntents.list({ limit: 101 }))).param).toBe('limit');
});
