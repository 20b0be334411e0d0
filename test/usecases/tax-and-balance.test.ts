/** What is due besides the price: tax by the customer's country, and the balance in both directions (rules T3, T4, P7, M6). */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { PriceId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';
import { expectBooksOfProvider, expectSoundBooks } from '../support/book-checks.js';
import { balanceOf, giveCredit, publishTerms, somePerson, takenFrom, wishFor } from '../support/buying.js';
import { newKey, priceId, someUser, startWorld, type World } from '../support/world.js';

let world: World;
let premium: string;
/** 5.00 USD, on which tax comes. */
let extra: string;
let themePack: string;

const EXTRA = {
  id: '01941f29-7c70-7000-8000-000000000000',
  key: 'extra',
  name: 'Extra',
  unlocks: 'custom_themes',
  description: 'An extra whose price is told without tax.',
  prices: [{ id: '01941f29-7c70-7000-8000-000000000001', currency: 'USD', amount: 500, taxBehavior: 'exclusive' }],
};

const IN_INDIA = {
  id: '01941f29-7c70-7000-8000-000000000002',
  interval: 'month',
  country: 'IN',
  currency: 'INR',
  amount: 50_000,
};

beforeAll(async () => {
  world = await startWorld();
  await publishTerms(world, {
    taxRates: [
      { country: 'DE', validFrom: '2020-01-01', ratePpm: 160_000 },
      { country: 'DE', validFrom: '2021-01-01', ratePpm: 190_000 },
      { country: 'FR', validFrom: '2999-01-01', ratePpm: 200_000 },
    ],
    change: (file) => {
      (file['products'] as object[]).push(EXTRA);
      const tiers = file['tiers'] as { key: string; prices: object[] }[];
      tiers.find(({ key }) => key === 'premium')?.prices.push(IN_INDIA);
    },
  });
  [premium, extra, themePack] = [
    await priceId(world, { tier: 'premium' }),
    await priceId(world, { product: 'extra' }),
    await priceId(world, { product: 'theme_pack' }),
  ];
});
afterEach(async () => {
  await world.clearFaults();
  await expectSoundBooks(world);
});
afterAll(async () => {
  await expectBooksOfProvider(world);
  await world.stop();
});

/** The same person as a token that tells the country names them. */
const livingIn = (country: string | null, actor: Actor, zone: string | null = null): Actor => ({
  ...actor,
  residence: { country, zone },
});

const residenceOf = ({ userId }: Actor) => world.query('select country, zone from customer where user_id = $1', [userId]);

const buying = (id: string, more: { quantity?: number; expectedAmount?: { minor: bigint; currency: string } } = {}) => ({
  // The id of a price's row is one.
  priceId: id as PriceId,
  quantity: 1,
  paymentMethodId: null,
  expectedAmount: null,
  returnUrl: null,
  idempotencyKey: newKey(),
  ...more,
});

async function invoicesOf({ userId }: Actor) {
  return world.query(
    `select status, net::int, tax::int, credit_applied::int as credit, carried::int, debit_collected::int as debit
     from invoice where user_id = $1 order by id`,
    [userId],
  );
}

test('of a price that includes tax the same is charged, and its tax is told by the rate of the day', async () => {
  const ana = livingIn('DE', await somePerson(world));
  expect((await world.commands.subscribe(ana, wishFor(premium))).refusals).toEqual([]);
  expect(await takenFrom(world, ana)).toEqual([800]);
  // 8.00 with 19 %: 800 * 190000 / 1190000 = 127.73
  expect(await invoicesOf(ana)).toEqual([{ status: 'paid', net: 672, tax: 128, credit: 0, carried: 0, debit: 0 }]);
  const [line] = await world.query('select tax_rate_ppm from invoice_line where user_id = $1', [ana.userId]);
  expect(line).toEqual({ tax_rate_ppm: 190_000 });
  const earned = await world.query('select net::int from revenue_schedule where user_id = $1', [ana.userId]);
  expect(earned).toEqual([{ net: 672 }]);
});

test('on a price without tax it comes on top of all pieces together', async () => {
  const ben = livingIn('DE', await somePerson(world));
  const shown = { minor: 1_785n, currency: 'USD' };
  const answer = await world.commands.purchase(ben, buying(extra, { quantity: 3, expectedAmount: shown }));
  expect(answer.refusals).toEqual([]);
  expect(await takenFrom(world, ben)).toEqual([1_785]);
  expect(await invoicesOf(ben)).toMatchObject([{ status: 'paid', net: 1_500, tax: 285 }]);
  const without = { minor: 1_500n, currency: 'USD' };
  expect((await world.commands.purchase(ben, buying(extra, { quantity: 3, expectedAmount: without }))).refusals).toMatchObject([
    { code: 'PRICE_CHANGED' },
  ]);
});

test.each(['FR', 'US'])('where no rate rules yet (%s) there is no tax', async (country) => {
  const cleo = livingIn(country, await somePerson(world));
  await world.commands.purchase(cleo, buying(extra));
  expect(await takenFrom(world, cleo)).toEqual([500]);
});

test('where somebody lives is kept from what the platform told last, and what it does not tell stays', async () => {
  const person = await somePerson(world);
  expect(await residenceOf(person)).toEqual([{ country: null, zone: 'UTC' }]);
  const subscribed = await world.commands.subscribe(livingIn('DE', person, 'Europe/Berlin'), wishFor(premium));
  expect(subscribed.refusals).toEqual([]);
  expect(await residenceOf(person)).toEqual([{ country: 'DE', zone: 'Europe/Berlin' }]);
  // The zone is the subscription's for good (rules B4).
  const zones = () => world.query('select zone from subscription where user_id = $1', [person.userId]);
  expect(await zones()).toEqual([{ zone: 'Europe/Berlin' }]);
  await world.commands.purchase(livingIn(null, person), buying(extra));
  expect(await residenceOf(person)).toEqual([{ country: 'DE', zone: 'Europe/Berlin' }]);
  await world.commands.purchase(livingIn('US', person, 'America/New_York'), buying(extra));
  expect(await residenceOf(person)).toEqual([{ country: 'US', zone: 'America/New_York' }]);
  expect(await zones()).toEqual([{ zone: 'Europe/Berlin' }]);
  // 8.00 with its tax, 5.00 with tax on top while living in Germany, 5.00 without.
  expect(new Set(await takenFrom(world, person))).toEqual(new Set([800, 595, 500]));
});

test('a command that is refused keeps nothing of where its caller lives unless the refusal itself is kept', async () => {
  const person = await somePerson(world);
  const none = { ...buying(extra), quantity: 0 };
  expect((await world.commands.purchase(livingIn('DE', person), none)).refusals).toMatchObject([{ code: 'INVALID_INPUT' }]);
  expect(await residenceOf(person)).toEqual([{ country: null, zone: 'UTC' }]);
});

test('what a code would give is shown with the tax of the country that the token tells, before and after the first command', async () => {
  const preview = async (actor: Actor) => {
    const shown = await world.commands.couponPreview(actor, { code: 'WELCOME25', priceId: premium as PriceId });
    return shown?.sums.taxMinor;
  };
  const person = someUser();
  expect(await preview(livingIn('DE', person))).toBe(96n); // 6.00 with 19 %: 600 * 190000 / 1190000 = 95.80
  expect(await preview(person)).toBe(0n);
});

test('a price of one country is not sold to who lives in another', async () => {
  const person = await somePerson(world);
  const answer = await world.commands.subscribe(livingIn('BR', person), wishFor(IN_INDIA.id));
  expect(answer.refusals).toMatchObject([{ code: 'NOT_FOR_SALE', field: ['input', 'priceId'] }]);
  expect((await world.commands.subscribe(livingIn('IN', person), wishFor(IN_INDIA.id))).refusals).toEqual([]);
});

test('the balance pays first, and the card the rest; a decline gives the balance back', async () => {
  const dan = await somePerson(world);
  await giveCredit(world, dan, 300n);
  await world.commands.subscribe(dan, wishFor(premium));
  expect(await takenFrom(world, dan)).toEqual([500]);
  expect(await balanceOf(world, dan)).toBe(0n);
  const eve = await somePerson(world, 'pm_card_chargeCustomerFail');
  await giveCredit(world, eve, 300n);
  expect((await world.commands.subscribe(eve, wishFor(premium))).refusals).toMatchObject([{ code: 'PAYMENT_DECLINED' }]);
  expect(await balanceOf(world, eve)).toBe(300n);
  expect((await world.commands.purchase(eve, buying(themePack))).refusals).toMatchObject([{ code: 'PAYMENT_DECLINED' }]);
  expect(await balanceOf(world, eve)).toBe(300n);
});

test('a balance that pays all begins the subscription at once, without a payment or a card', async () => {
  const fay = someUser();
  await giveCredit(world, fay, 1_000n);
  const wish = wishFor(premium);
  const answer = await world.commands.subscribe(fay, wish);
  expect(answer).toMatchObject({ transactionId: null, refusals: [] });
  expect(await balanceOf(world, fay)).toBe(200n);
  expect(await invoicesOf(fay)).toEqual([{ status: 'paid', net: 800, tax: 0, credit: 800, carried: 0, debit: 0 }]);
  expect(await world.commands.subscribe(fay, wish)).toEqual({ ...answer, isReplay: true });
  expect(await balanceOf(world, fay)).toBe(200n);
});

test('what is left and smaller than a payment is owed, nobody waits for it, and the next payment collects it too', async () => {
  const gil = await somePerson(world);
  await giveCredit(world, gil, 770n);
  expect((await world.commands.subscribe(gil, wishFor(premium))).transactionId).toBeNull();
  expect(await invoicesOf(gil)).toEqual([{ status: 'paid', net: 800, tax: 0, credit: 770, carried: 30, debit: 0 }]);
  expect(await balanceOf(world, gil)).toBe(-30n);
  expect(await takenFrom(world, gil)).toEqual([]);
  const unpaid = { minor: 499n, currency: 'USD' };
  expect((await world.commands.purchase(gil, buying(themePack, { expectedAmount: unpaid }))).refusals).toMatchObject([
    { code: 'PRICE_CHANGED' },
  ]);
  const all = { minor: 529n, currency: 'USD' };
  expect((await world.commands.purchase(gil, buying(themePack, { expectedAmount: all }))).refusals).toEqual([]);
  expect(await takenFrom(world, gil)).toEqual([529]);
  expect(await balanceOf(world, gil)).toBe(0n);
});

test('a declined payment leaves what was owed from before owed', async () => {
  const hal = await somePerson(world, 'pm_card_chargeCustomerFail');
  await giveCredit(world, hal, 770n);
  await world.commands.subscribe(hal, wishFor(premium));
  expect((await world.commands.purchase(hal, buying(themePack))).refusals).toMatchObject([{ code: 'PAYMENT_DECLINED' }]);
  expect(await balanceOf(world, hal)).toBe(-30n);
});

test('a purchase that the balance pays is completed at once, and what it unlocks is granted; a repeat buys nothing more', async () => {
  const ida = someUser();
  await giveCredit(world, ida, 600n);
  const wish = buying(themePack);
  const answer = await world.commands.purchase(ida, wish);
  expect(answer).toMatchObject({ transactionId: null, refusals: [] });
  expect(await world.query('select status from purchase where user_id = $1', [ida.userId])).toEqual([{ status: 'completed' }]);
  expect(await world.query('select feature_key from entitlement_grant where user_id = $1', [ida.userId])).toEqual([
    { feature_key: 'custom_themes' },
  ]);
  expect(await balanceOf(world, ida)).toBe(101n);
  expect(await world.commands.purchase(ida, wish)).toEqual({ ...answer, isReplay: true });
  expect(await balanceOf(world, ida)).toBe(101n);
});

test('two purchases at the same time use the balance once', async () => {
  const jan = await somePerson(world);
  await giveCredit(world, jan, 499n);
  const answers = await Promise.all([1, 2].map(() => world.commands.purchase(jan, buying(themePack))));
  expect(answers.flatMap(({ refusals }) => refusals)).toEqual([]);
  expect(answers.filter(({ transactionId }) => transactionId === null)).toHaveLength(1);
  expect(await takenFrom(world, jan)).toEqual([499]);
  expect(await balanceOf(world, jan)).toBe(0n);
});

test('a balance in one currency pays nothing in another', async () => {
  const kim = await somePerson(world);
  await giveCredit(world, kim, 1_000n, 'EUR');
  await world.commands.purchase(kim, buying(themePack));
  expect(await takenFrom(world, kim)).toEqual([499]);
  expect(await balanceOf(world, kim, 'EUR')).toBe(1_000n);
});
