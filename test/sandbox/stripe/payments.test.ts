import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Stripe from 'stripe';
import { type Rig, errorOf, pay, savedCard, startRig } from './stand-in.js';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(async () => {
  await rig.stop();
});

test('a card is set up and charged, and the answer carries the charge with its line in the books', async () => {
  const { stripe } = rig;
  const customer = await stripe.customers.create({ metadata: { user_id: 'ana' } });
  const setup = await stripe.setupIntents.create({ customer: customer.id, usage: 'off_session', allowed_payment_method_types: ['card'], metadata: { setup_id: 'set_1' } });
  expect(setup.status).toBe('requires_payment_method');
  const ready = await stripe.setupIntents.confirm(setup.id, { payment_method: 'pm_card_visa', return_url: 'https://shop.example/return', expand: ['payment_method'] });
  expect(ready.status).toBe('succeeded');
  const method = ready.payment_method as Stripe.PaymentMethod;
  expect(method).toMatchObject({ customer: customer.id, card: { brand: 'visa', last4: '4242', country: 'US', funding: 'credit' } });

  const intent = await pay(stripe, { customer: customer.id, method: method.id });
  expect(intent).toMatchObject({ status: 'succeeded', amount: 800, amount_received: 800, currency: 'usd', metadata: { intent_id: 'pin_1' } });
  // 2.9 % of 8.00 and 0.30: 0.53
  expect(intent.latest_charge).toMatchObject({
    status: 'succeeded',
    balance_transaction: { amount: 800, fee: 53, net: 747, type: 'charge', reporting_category: 'charge' },
  });
});
