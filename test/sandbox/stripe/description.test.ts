import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Ajv2019, type ValidateFunction } from 'ajv/dist/2019.js';
import { Stripe } from 'stripe';
import { OPERATIONS } from '../../../src/sandbox/stripe/api.js';
import { type Rig, errorOf, pay, savedCard, startRig, until } from './stand-in.js';

/** The provider's published API description, where it is present. */
const DESCRIPTION = ['../shared/specs/stripe.json', '../../shared/specs/stripe.json']
  .map((file) => path.resolve(process.cwd(), file))
  .find((file) => existsSync(file));

interface Description {
  paths: Record<string, Record<string, { request: object; response: object }>>;
  $defs: Record<string, { properties?: Record<string, object> }>;
}

const description = DESCRIPTION === undefined ? null : (JSON.parse(readFileSync(DESCRIPTION, 'utf8')) as Description);

/** The described operation of an address: static steps before ids. */
function described(method: string, pathname: string): { request: object; response: object } | null {
  const steps = pathname.split('/');
  const candidates = Object.keys(description?.paths ?? {}).filter((each) => {
    const parts = each.split('/');
    return parts.length === steps.length && parts.every((part, at) => part.startsWith('{') || part === steps[at]);
  });
  const [best] = candidates.toSorted((a, b) => a.split('{').length - b.split('{').length);
  return (best === undefined ? null : description?.paths[best]?.[method.toLowerCase()]) ?? null;
}

let rig: Rig;
let ajv: Ajv2019;
const answers: { method: string; pathname: string; status: number; body: { object?: string; error?: object } }[] = [];

beforeAll(async () => {
  rig = await startRig();
  ajv = new Ajv2019({ strict: false, allErrors: true });
  if (description) ajv.addSchema({ $id: 'stripe', $defs: JSON.parse(JSON.stringify(description.$defs)) as object });
});
afterAll(async () => {
  await rig.stop();
});

const compiled = new Map<string, ValidateFunction>();
function validatorOf(schema: object): ValidateFunction {
  const text = JSON.stringify(schema).replaceAll('"#/$defs/', '"stripe#/$defs/');
  const known = compiled.get(text) ?? ajv.compile(JSON.parse(text) as object);
  compiled.set(text, known);
  return known;
}

/** The official client, with every answer written down. */
function recording(): Stripe {
  return new Stripe('sk_test_sandbox', {
    host: '127.0.0.1',
    port: rig.standIn.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
    httpClient: Stripe.createFetchHttpClient(recordingFetch),
  });
}

async function recordingFetch(...request: Parameters<typeof fetch>): Promise<Response> {
  const answer = await fetch(...request);
  const body = (await answer.clone().json()) as { object?: string; error?: object };
  answers.push({ method: request[1]?.method ?? 'GET', pathname: new URL(answer.url).pathname, status: answer.status, body });
  return answer;
}

test('every answer has the shape that the provider publishes, and no other field', async () => {
  const stripe = recording();
  const visa = await savedCard(stripe, 'pm_card_visa');
  await stripe.customers.update(visa.customer, { name: 'Ana', invoice_settings: { default_payment_method: visa.method } });
  await stripe.customers.retrieve(visa.customer);
  await stripe.customers.list({ limit: 3 });
  await stripe.paymentMethods.retrieve(visa.method, { expand: ['customer'] });
  await stripe.paymentMethods.list({ customer: visa.customer });
  await stripe.customers.listPaymentMethods(visa.customer);

  for (const token of ['pm_card_visa', 'pm_card_amex', 'pm_card_authenticationRequired', 'pm_card_chargeDeclined']) {
    const setup = await stripe.setupIntents.create({
      customer: visa.customer,
      usage: 'off_session',
      allowed_payment_method_types: ['card'],
    });
    const confirmed = stripe.setupIntents.confirm(setup.id, {
      payment_method: token,
      return_url: 'https://shop.example/back',
      expand: ['latest_attempt', 'payment_method', 'customer'],
    });
    await confirmed.catch((error: unknown) => expect(error).toBeInstanceOf(Stripe.errors.StripeCardError));
    await stripe.setupIntents.retrieve(setup.id, { expand: ['latest_attempt'] });
    await stripe.setupAttempts.list({ setup_intent: setup.id });
  }
  const abandoned = await stripe.setupIntents.create({ customer: visa.customer });
  await stripe.setupIntents.cancel(abandoned.id);
  await stripe.setupIntents.list({ customer: visa.customer });

  const paid = await pay(stripe, visa, { expand: ['latest_charge.balance_transaction', 'customer', 'payment_method'] });
  const charge = paid.latest_charge as Stripe.Charge;
  await stripe.charges.retrieve(charge.id, { expand: ['payment_intent.payment_method', 'balance_transaction'] });
  await stripe.charges.update(charge.id, { metadata: { note: 'seen' } });
  await stripe.charges.list({ customer: visa.customer, expand: ['data.balance_transaction'] });
  const refund = await stripe.refunds.create({ payment_intent: paid.id, amount: 300, expand: ['balance_transaction', 'charge'] });
  await stripe.refunds.retrieve(refund.id);
  await stripe.refunds.update(refund.id, { metadata: { note: 'seen' } });
  await stripe.refunds.list({ payment_intent: paid.id });
  await errorOf(stripe.refunds.create({ payment_intent: paid.id, amount: 501 }));

  for (const token of [
    'pm_card_chargeCustomerFail',
    'pm_card_radarBlock',
    'pm_card_authenticationRequired',
    'pm_card_riskLevelElevated',
    'pm_card_createIssuerFraudRecord',
    'pm_card_createDispute',
    'pm_card_createDisputeInquiry',
    'pm_card_pendingRefund',
    'pm_card_refundFail',
  ]) {
    const card = await savedCard(stripe, token);
    const intent = await pay(stripe, card).catch((error: Stripe.errors.StripeCardError) => error.payment_intent);
    if (intent?.status === 'succeeded' && token.includes('Refund')) await stripe.refunds.create({ payment_intent: intent.id });
    if (intent?.status === 'succeeded' && token.includes('refund')) await stripe.refunds.create({ payment_intent: intent.id });
  }
  await until(async () => (await rig.truth()).disputes.length === 2, 'both disputes are open');
  await rig.control('POST', 'advance');
  const open = await stripe.disputes.list({ expand: ['data.charge'] });
  for (const dispute of open.data) {
    await stripe.disputes.retrieve(dispute.id);
    await stripe.disputes.update(dispute.id, {
      evidence: { uncategorized_text: 'winning_evidence', product_description: 'a month of the service' },
    });
  }
  await stripe.radar.earlyFraudWarnings.list();
  await stripe.reviews.list();
  await stripe.paymentIntents.list({ customer: visa.customer, created: { gte: 1 } });
  const waiting = await stripe.paymentIntents.create({ amount: 500, currency: 'eur' });
  await stripe.paymentIntents.update(waiting.id, { metadata: { note: 'late' } });
  await stripe.paymentIntents.cancel(waiting.id, { cancellation_reason: 'abandoned' });
  await errorOf(stripe.paymentIntents.confirm(waiting.id, { payment_method: 'pm_card_visa' }));

  const rich = await savedCard(stripe, 'pm_card_bypassPending');
  await pay(stripe, rich, { amount: 90_000 });
  const payout = await stripe.payouts.create({ amount: 1000, currency: 'usd' });
  await stripe.payouts.retrieve(payout.id, { expand: ['balance_transaction'] });
  await stripe.payouts.cancel(payout.id);
  await rig.control('POST', 'payouts', { currency: 'usd' });
  await stripe.payouts.list();
  await stripe.balance.retrieve();
  await stripe.balanceTransactions.list({ limit: 100, expand: ['data.source'] });
  await stripe.balanceTransactions.retrieve((charge.balance_transaction as Stripe.BalanceTransaction).id);
  const events = await stripe.events.list({ limit: 100 });
  await stripe.events.retrieve(events.data[0]?.id ?? '');
  await stripe.paymentMethods.detach(visa.method);
  await stripe.customers.del(visa.customer);
  await stripe.customers.retrieve(visa.customer);
  await errorOf(stripe.paymentIntents.retrieve('pi_unknown'));

  const wrong = answers.flatMap(({ method, pathname, status, body }) => {
    if (!description)
      return (status === 200 ? typeof body.object === 'string' || 'deleted' in body : body.error !== undefined)
        ? []
        : [`${method} ${pathname}`];
    const schema = status === 200 ? described(method, pathname)?.response : description.$defs['ErrorResponse'];
    if (!schema) return [`${method} ${pathname} is not described`];
    const validate = validatorOf(schema);
    return validate(body) ? [] : [`${method} ${pathname} ${status}: ${ajv.errorsText(validate.errors?.slice(0, 4))}`];
  });
  expect(wrong).toEqual([]);
  expect(answers.length).toBeGreaterThan(90);
});

test('every object told in an event has its published shape', async () => {
  if (!description) return;
  const byObject: Record<string, string> = {
    payment_intent: 'PaymentIntent',
    charge: 'Charge',
    refund: 'Refund',
    dispute: 'Dispute',
    setup_intent: 'SetupIntent',
    payment_method: 'PaymentMethod',
    customer: 'Customer',
    payout: 'Payout',
    review: 'Review',
    'radar.early_fraud_warning': 'EarlyFraudWarning',
  };
  const wrong: string[] = [];
  const types = new Set<string>();
  for await (const event of rig.stripe.events.list({ limit: 100 })) {
    types.add(event.type);
    const validate = validatorOf({ $ref: `#/$defs/${byObject[(event.data.object as { object: string }).object]}` });
    if (!validate(event.data.object)) wrong.push(`${event.type}: ${ajv.errorsText(validate.errors?.slice(0, 3))}`);
  }
  expect(wrong).toEqual([]);
  expect([...types]).toEqual(
    expect.arrayContaining([
      'payment_intent.created',
      'payment_intent.requires_action',
      'payment_intent.succeeded',
      'payment_intent.payment_failed',
      'payment_intent.canceled',
      'charge.succeeded',
      'charge.failed',
      'charge.refunded',
      'charge.updated',
      'charge.dispute.created',
      'charge.dispute.updated',
      'charge.dispute.closed',
      'charge.dispute.funds_withdrawn',
      'charge.dispute.funds_reinstated',
      'refund.created',
      'refund.updated',
      'refund.failed',
      'charge.refund.updated',
      'setup_intent.created',
      'setup_intent.requires_action',
      'setup_intent.succeeded',
      'setup_intent.setup_failed',
      'setup_intent.canceled',
      'payment_method.attached',
      'payment_method.detached',
      'customer.created',
      'payout.created',
      'radar.early_fraud_warning.created',
    ]),
  );
});

test('the stand-in takes no parameter that the provider would refuse', () => {
  const unknown = OPERATIONS.flatMap((operation) => {
    const pathname = operation.path.replaceAll(':id', 'x_1');
    const known = described(operation.method, pathname);
    if (!known) return description ? [`${operation.name} is not described`] : [];
    const reference = /"\$ref":"#\/\$defs\/([^"]+)"/.exec(JSON.stringify(known.request))?.[1];
    const properties =
      'properties' in known.request ? (known.request.properties as object) : description?.$defs[reference ?? '']?.properties;
    return operation.parameterNames
      .filter((name) => !Object.hasOwn(properties ?? {}, name))
      .map((name) => `${operation.name}: ${name}`);
  });
  expect(unknown).toEqual([]);
  expect(OPERATIONS.flatMap(({ parameterNames }) => parameterNames)).not.toContain('payment_method_types');
});
