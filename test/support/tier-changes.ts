/** What the tests of changes of tier do alike: prices of their own, customers on them, and how these stand. */
import { expect } from '@jest/globals';
import type { PriceId, SubscriptionId, TransactionId } from '../../src/domain/ids.js';
import type { Actor, ChangeTierAnswer, ChangeTierCommand } from '../../src/usecases/contract.js';
import { paymentsOf, subscription } from './lives.js';
import { newKey, someUser, withCard, type World } from './world.js';

/** A price that a test sells. */
export interface TestPrice {
  rank: number;
  amount: number;
  unit?: 'week' | 'month' | 'year';
  currency?: string;
  taxBehavior?: 'inclusive' | 'exclusive';
  trialDays?: number;
  validTo?: Date;
}

let madeCount = 0;

/** Puts a tier with one price on sale for each of these, in a group of tiers of their own; answers with the prices' ids. */
export async function sell<Name extends string>(world: World, prices: Record<Name, TestPrice>): Promise<Record<Name, PriceId>> {
  const group = `group_${++madeCount}`;
  const ids: Partial<Record<Name, PriceId>> = {};
  for (const [name, price] of Object.entries<TestPrice>(prices)) {
    const number = (++madeCount).toString(16).padStart(12, '0');
    const [tierId, priceId] = [`01950000-0000-7000-8000-${number}`, `01950000-0000-7000-9000-${number}`];
    await world.query(
      `insert into tier (id, key, tier_group, name, description, rank, status) values ($1, $2, $3, $4, '', $5, 'active')`,
      [tierId, `${group}_${name}`, group, name, price.rank],
    );
    await world.query(
      `insert into price (id, tier_id, interval_unit, interval_count, currency, amount, tax_behavior, trial_days, accepted_kinds, valid_from, valid_to)
       values ($1, $2, $3, 1, $4, $5, $6, $7, '{card}', '2026-01-01T00:00:00Z', $8)`,
      [
        priceId,
        tierId,
        price.unit ?? 'month',
        price.currency ?? 'USD',
        price.amount,
        price.taxBehavior ?? 'exclusive',
        price.trialDays ?? 0,
        price.validTo ?? null,
      ],
    );
    // An id of a price's row.
    ids[name as Name] = priceId as PriceId;
  }
  // Every name was given its id.
  return ids as Record<Name, PriceId>;
}

/** A user with a subscription. */
export interface Subscriber {
  actor: Actor;
  id: SubscriptionId;
  /** The first payment. */
  transactionId: TransactionId | null;
}

/** Somebody with a card on file, or else somebody nobody else is, on a price. */
export async function subscriberTo(world: World, price: PriceId, known?: Actor): Promise<Subscriber> {
  const actor = known ?? (await withCard(world, someUser()));
  const { subscriptionId, transactionId, refusals } = await world.commands.subscribe(actor, subscription(price));
  if (subscriptionId === null) throw new Error(JSON.stringify(refusals));
  return { actor, id: subscriptionId, transactionId };
}

/** A command to change, with a key of its own. */
export function change(id: SubscriptionId, newPriceId: PriceId, more: Partial<ChangeTierCommand> = {}): ChangeTierCommand {
  return {
    subscriptionId: id,
    newPriceId,
    timing: null,
    quoteId: null,
    expectedVersion: null,
    idempotencyKey: newKey(),
    ...more,
  };
}

/** Changes, and expects no refusal. */
export async function changed(
  world: World,
  { actor, id }: Subscriber,
  newPriceId: PriceId,
  more: Partial<ChangeTierCommand> = {},
): Promise<ChangeTierAnswer> {
  const answer = await world.commands.changeTier(actor, change(id, newPriceId, more));
  expect(answer.refusals).toEqual([]);
  return answer;
}

/** Moves everybody's time to an instant, where it stands until the test lets it go on. */
export async function goTo(world: World, instant: string): Promise<void> {
  world.clock.stand();
  await world.advance(Date.parse(instant) - world.clock.now().getTime());
}

/** A subscription's row. */
export async function rowOf(world: World, id: SubscriptionId) {
  const [row] = await world.query<{
    status: string;
    price_id: PriceId;
    tier_id: string;
    pending_price_id: PriceId | null;
    epoch: number;
    period_number: number;
    period_start: Date;
    period_end: Date;
    entitled_until: Date;
    next_action_at: Date | null;
    version: number;
  }>('select * from subscription where id = $1', [id]);
  if (!row) throw new Error('no subscription');
  return row;
}

/** Every invoice of a user: kind, status, and each line as `net/tax` with what was given back of it. */
export async function invoicesOf(world: World, { actor }: Subscriber): Promise<string[]> {
  const rows = await world.query<{ text: string }>(
    `select i.kind || ' ' || i.status || ':' || string_agg(' ' || l.amount || case when l.tax <> 0 then '+' || l.tax else '' end
       || case when l.credited <> 0 then '(' || l.credited || ' back)' else '' end, ',' order by l.position) as text
     from invoice i join invoice_line l on l.bucket = i.bucket and l.invoice_id = i.id where i.user_id = $1 group by i.bucket, i.id, i.kind, i.status order by i.id`,
    [actor.userId],
  );
  return rows.map(({ text }) => text);
}

/** What the provider took from a user, in the order of time, and gave back of it: `750`, `750 -750`. */
export async function takenFrom(world: World, { actor }: Pick<Subscriber, 'actor'>): Promise<string[]> {
  const ids = new Set((await paymentsOf(world, actor)).map(({ id }) => id));
  const { charges } = await world.truth();
  return charges
    .filter((charge) => charge.paid && typeof charge.payment_intent === 'string' && ids.has(charge.payment_intent))
    .map((charge) => (charge.amount_refunded > 0 ? `${charge.amount} -${charge.amount_refunded}` : `${charge.amount}`));
}

/** What we owe a user, minor units of the currency; negative: what the user owes. */
export async function balanceOf(world: World, { actor }: Subscriber, currency = 'USD'): Promise<bigint> {
  const [row] = await world.query<{ balance: bigint }>(
    'select balance from customer_credit where user_id = $1 and currency = $2',
    [actor.userId, currency],
  );
  return BigInt(row?.balance ?? 0);
}

/** Kinds of the events of a subscription, oldest first. */
export async function eventsOf(world: World, id: SubscriptionId): Promise<string[]> {
  const rows = await world.query<{ kind: string }>(
    'select kind from subscription_event where subscription_id = $1 order by version',
    [id],
  );
  return rows.map(({ kind }) => kind);
}
