import type Stripe from 'stripe';
import type { PriceId, SubscriptionId, TransactionId } from '../../src/domain/ids.js';
import type { Actor, CancelSubscriptionCommand, SubscribeCommand } from '../../src/usecases/contract.js';
import { newKey, someStaff, type World } from './world.js';

/** A command to subscribe to a price, with a key of its own. */
export function subscription(price: PriceId): SubscribeCommand {
  return {
    priceId: price,
    paymentMethodId: null,
    coupon: null,
    useTrial: false,
    expectedAmount: null,
    returnUrl: null,
    idempotencyKey: newKey(),
  };
}

/** A command to cancel, now or at the end of the period, with a key of its own. */
export function cancellation(subscriptionId: SubscriptionId, immediately: boolean): CancelSubscriptionCommand {
  return { subscriptionId, immediately, reason: null, comment: null, expectedVersion: null, idempotencyKey: newKey() };
}

/**
 * Nobody who has a subscription now renews by itself: for tests that share a world and move its time by months. Access ends with what was paid.
 */
export async function letSleep(world: World): Promise<void> {
  await world.query(
    `update subscription set next_action_at = null, entitled_until = least(entitled_until, period_end)
     where status in ('active', 'past_due', 'paused') and not cancel_at_period_end`,
  );
}

/** Where the user's waiting payment sends its payer, by the provider's own word. */
export async function stepUrl(world: World, actor: Actor): Promise<string> {
  const waiting = (await paymentsOf(world, actor)).find((intent) => intent.status === 'requires_action');
  const url = waiting?.next_action?.redirect_to_url?.url;
  if (!url) throw new Error('no payment waits for its payer');
  return url;
}

/** The user's payments as the provider has them. */
export async function paymentsOf(world: World, actor: Actor): Promise<Stripe.PaymentIntent[]> {
  const [row] = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [
    actor.userId,
  ]);
  return (await world.truth()).paymentIntents.filter((intent) => intent.customer === row?.object_id);
}

/** The user's disputes as the provider has them. */
export async function disputesOf(world: World, actor: Actor): Promise<Stripe.Dispute[]> {
  const ids = new Set((await paymentsOf(world, actor)).map((intent) => intent.id));
  // Not expanded, so the provider names the payment by its id.
  return (await world.truth()).disputes.filter(({ payment_intent: payment }) => typeof payment === 'string' && ids.has(payment));
}

/** Answers a dispute as a merchant does; the evidence decides. */
export async function answerDispute(world: World, disputeId: string, evidence: 'winning_evidence' | 'losing_evidence') {
  await world.stripe.disputes.update(disputeId, { evidence: { uncategorized_text: evidence }, submit: true });
}

/** Part of a charge, given back by staff. */
export async function refundPart(world: World, transactionId: TransactionId, minor: bigint, currency = 'USD'): Promise<void> {
  const asked = await world.commands.refund(someStaff('support'), {
    transactionId,
    amount: { minor, currency },
    reason: 'requested',
    note: null,
    endSubscription: false,
    idempotencyKey: newKey(),
  });
  if (asked.refusals.length > 0) throw new Error(JSON.stringify(asked.refusals));
}

/** Does what waits for its time at the provider: pending refunds settle or fail, disputes open. */
export async function letProviderWork(world: World): Promise<void> {
  const answer = await fetch(`${world.standIn.url}/sandbox/advance`, { method: 'POST' });
  if (!answer.ok) throw new Error(await answer.text());
}

/** How a user stands, without instants and ids: equal states are equal texts. */
export async function stateOf(world: Pick<World, 'query'>, actor: Pick<Actor, 'userId'>): Promise<Record<string, unknown>> {
  const lists = {
    subscriptions: `select status, hold, cancel_at_period_end, end_reason, case when status = 'active' then (entitled_until - period_end)::text end as "more"
       from subscription where user_id = $1 order by id`,
    purchases: 'select status from purchase where user_id = $1 order by id',
    grants: 'select feature_key, revoked_at is not null as "isRevoked" from entitlement_grant where user_id = $1 order by id',
    invoices: 'select status from invoice where user_id = $1 order by id',
    intents: 'select status from payment_intent where user_id = $1 order by id',
    attempts: 'select status, provider_object_id, provider_charge_id from payment_attempt where user_id = $1 order by id',
    refunds: 'select status, amount::text from refund where user_id = $1 order by id',
    disputes:
      'select status, is_withdrawn, reversal_id is not null as "isReversed" from dispute where user_id = $1 order by provider_object_id',
    transactions: 'select kind, status, amount::text from transaction where user_id = $1 order by kind, status, amount',
    methods: 'select status, provider_object_id from payment_method where user_id = $1 order by id',
    setups: 'select status from payment_method_setup where user_id = $1 order by id',
    movements: `select event, leg, debit_account_id, credit_account_id, currency, count(*)::int as count, sum(amount)::text as amount
       from ledger_movement where user_id = $1 group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5`,
    credit: 'select currency, balance::text from customer_credit where user_id = $1 order by currency',
  };
  const parts = Object.entries(lists).map(([name, text]) => `'${name}', (select coalesce(json_agg(t), '[]') from (${text}) t)`);
  const [row] = await world.query<{ state: Record<string, unknown> }>(`select json_build_object(${parts.join(', ')}) as state`, [
    actor.userId,
  ]);
  if (!row) throw new Error('a select of one row gave none');
  return row.state;
}
