import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { Stripe } from 'stripe';
import { type StripeStandIn, type StripeStandInOptions, startStripeStandIn } from '../../../src/sandbox/stripe/server.js';

export const WEBHOOK_SECRET = 'whsec_sandbox_test';

/** A stand-in in a directory of its own, the official client talking to it, and its control routes. */
export interface Rig {
  standIn: StripeStandIn;
  stripe: Stripe;
  stateDir: string;
  control(method: 'GET' | 'POST' | 'DELETE', route: string, body?: object): Promise<Record<string, unknown>>;
  fault(fault: object): Promise<void>;
  truth(): Promise<Truth>;
  /** Ends the stand-in and starts another on the same state. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface Truth {
  paymentIntents: Stripe.PaymentIntent[];
  charges: Stripe.Charge[];
  refunds: Stripe.Refund[];
  disputes: Stripe.Dispute[];
  setupIntents: Stripe.SetupIntent[];
  balanceTransactions: Stripe.BalanceTransaction[];
  payouts: Stripe.Payout[];
  webhooks: { event: string; eventType: string; status: string; attempts: number }[];
}

export function clientOf(standIn: StripeStandIn, config: { timeout?: number; maxNetworkRetries?: number } = {}): Stripe {
  return new Stripe('sk_test_sandbox', {
    host: '127.0.0.1',
    port: standIn.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
    ...config,
  });
}

export async function startRig(options: Partial<StripeStandInOptions> = {}): Promise<Rig> {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), 'stripe-stand-in-'));
  const start = (): Promise<StripeStandIn> =>
    startStripeStandIn({ port: 0, stateDir, webhookSecret: WEBHOOK_SECRET, ...options });
  const standIn = await start();
  const rig: Rig = {
    standIn,
    stripe: clientOf(standIn),
    stateDir,
    async control(method, route, body) {
      const init =
        body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
      const answer = await fetch(`${rig.standIn.url}/sandbox/${route}`, init);
      const read = (await answer.json()) as Record<string, unknown>;
      if (!answer.ok) throw new Error(`${method} ${route}: ${answer.status} ${JSON.stringify(read)}`);
      return read;
    },
    async fault(fault) {
      await rig.control('POST', 'faults', fault);
    },
    async truth() {
      const answer = await fetch(`${rig.standIn.url}/sandbox/truth`);
      return (await answer.json()) as Truth;
    },
    async restart() {
      await rig.standIn.stop();
      rig.standIn = await start();
      rig.stripe = clientOf(rig.standIn);
    },
    async stop() {
      await rig.standIn.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
  return rig;
}

/** A customer with a saved card. */
export async function savedCard(stripe: Stripe, token: string): Promise<{ customer: string; method: string }> {
  const customer = await stripe.customers.create({ metadata: { user_id: 'ana' } });
  const method = await stripe.paymentMethods.attach(token, { customer: customer.id });
  return { customer: customer.id, method: method.id };
}

/** A first payment as a gateway makes it: the payer is present. */
export function pay(
  stripe: Stripe,
  from: { customer: string; method: string },
  more: Partial<Stripe.PaymentIntentCreateParams> = {},
  key?: string,
): Promise<Stripe.PaymentIntent> {
  return stripe.paymentIntents.create(
    {
      amount: 800,
      currency: 'usd',
      customer: from.customer,
      payment_method: from.method,
      confirm: true,
      allowed_payment_method_types: ['card'],
      return_url: 'https://shop.example/return',
      metadata: { intent_id: 'pin_1' },
      expand: ['latest_charge.balance_transaction'],
      ...more,
    },
    key === undefined ? {} : { idempotencyKey: key },
  );
}

/** The error that a call ends in. */
export async function errorOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}

/** Resolves once the condition holds; looks again on every turn of the loop. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`did not come to pass: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A receiver of webhooks that answers as told. */
export interface Receiver {
  url: string;
  received: { body: string; signature: string; type: string; id: string }[];
  /** Answers of the next requests; 200 when empty. */
  answers: number[];
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Receiver['received'] = [];
  const answers: number[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const event = JSON.parse(body) as { id: string; type: string };
      received.push({ body, signature: String(request.headers['stripe-signature']), type: event.type, id: event.id });
      response.writeHead(answers.shift() ?? 200).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/webhooks/stripe`,
    received,
    answers,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
