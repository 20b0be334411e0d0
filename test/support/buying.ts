import { readFile } from 'node:fs/promises';
import type { PriceId } from '../../src/domain/ids.js';
import { keyBucket } from '../../src/platform/json.js';
import { changeCredit } from '../../src/store/credit.store.js';
import { lockCustomer } from '../../src/store/customers.store.js';
import { postJournal } from '../../src/store/ledger.store.js';
import { inTx } from '../../src/store/unit-of-work.js';
import { newId, own } from '../../src/usecases/cashier.js';
import type { Actor, SubscribeCommand } from '../../src/usecases/contract.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { subscription } from './lives.js';
import { someUser, withCard, type World } from './world.js';

/** A user with a card that nobody else has: persons are told apart by their cards, and the stand-in's test cards are everybody's. */
export async function somePerson(world: World, token = 'pm_card_visa', fingerprint?: string | null): Promise<Actor> {
  const actor = await withCard(world, someUser(), token);
  const told = fingerprint === undefined ? `card of ${actor.userId}` : fingerprint;
  await world.query('update payment_method set fingerprint = $2 where user_id = $1', [actor.userId, told]);
  return actor;
}

/** A wish to subscribe with the default card, without anything special. */
export function wishFor(priceId: string, more: Partial<SubscribeCommand> = {}): SubscribeCommand {
  // The id of a price's row is one.
  return { ...subscription(priceId as PriceId), ...more };
}

/** Publishes the shipped catalogue with these coupons and tax rates besides, and with another kind of tax where that is told. */
export async function publishTerms(
  world: World,
  more: { coupons?: object[]; taxRates?: object[]; change?: (file: Record<string, unknown>) => void },
): Promise<void> {
  // The catalogue's own form, which is checked when it is read.
  const file = JSON.parse(await readFile('data/catalogue.json', 'utf8')) as {
    coupons: object[];
    taxRates: object[];
    [more: string]: unknown;
  };
  file.coupons.push(...(more.coupons ?? []));
  file.taxRates.push(...(more.taxRates ?? []));
  more.change?.(file);
  const client = await world.db.ownerPool.connect();
  try {
    await publishCatalogue(client, readCatalogue(JSON.stringify(file)), world.clock.now());
  } finally {
    client.release();
  }
}

/** Gives a user credit out of goodwill, as the books know it. @param minor minor units, positive */
export async function giveCredit(world: World, { userId }: Actor, minor: bigint, currency = 'USD'): Promise<void> {
  await inTx(world.worker.tx, own(userId), async (uow) => {
    await lockCustomer(uow, userId);
    await postJournal(uow, {
      sourceId: newId(world.worker, 'txn', keyBucket(userId)),
      movements: [
        { event: 'goodwill_credit', leg: '', debit: 'refunds', credit: 'customer_credit', amountMinor: minor, currency },
      ],
      userId,
      invoiceId: null,
      effectiveAt: uow.now,
      providerAccountId: 1,
    });
    await changeCredit(uow, { userId, currency, byMinor: minor });
  });
}

/** What we owe a user, minor units; negative: what the user owes us. */
export async function balanceOf(world: World, { userId }: Actor, currency = 'USD'): Promise<bigint> {
  const [row] = await world.query<{ balance: string }>(
    'select balance from customer_credit where user_id = $1 and currency = $2',
    [userId, currency],
  );
  return BigInt(row?.balance ?? 0);
}

/** What was taken from a user's cards, minor units each, as the provider tells it. */
export async function takenFrom(world: World, { userId }: Actor): Promise<number[]> {
  const rows = await world.query<{ object_id: string }>('select object_id from provider_customer where user_id = $1', [userId]);
  const { charges } = await world.truth();
  return charges.filter((charge) => charge.paid && charge.customer === rows[0]?.object_id).map(({ amount }) => amount);
}
