import { invalidRequest } from './api-error.js';

/**
 * Amounts as Stripe counts them, its minimum charges, and a fixed table of exchange rates. Everything is integer arithmetic, rounded
 * half up. Source: Stripe, "Supported currencies" (zero-decimal and three-decimal currencies, special cases, minimum charge amounts).
 */

const ZERO_DECIMAL = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));
const THREE_DECIMAL = new Set('bhd jod kwd omr tnd'.split(' '));

/** Currencies counted with two decimals for old clients, though they have none: amounts are multiples of 100. */
const WHOLE_UNITS_ONLY = new Set(['isk', 'ugx']);

/** Paid out in whole units only. */
const WHOLE_UNITS_IN_PAYOUTS = new Set(['huf', 'twd', 'isk', 'ugx']);

const MINIMUM_CHARGE: Readonly<Record<string, number>> = {
  usd: 50,
  eur: 50,
  aud: 50,
  brl: 50,
  cad: 50,
  chf: 50,
  inr: 50,
  nzd: 50,
  sgd: 50,
  gbp: 30,
  jpy: 50,
  aed: 200,
  myr: 200,
  pln: 200,
  ron: 200,
  bgn: 100,
  nok: 300,
  sek: 300,
  dkk: 250,
  hkd: 400,
  czk: 1500,
  mxn: 1000,
  huf: 17500,
};

/** Largest amount of one charge: eight digits. */
const MAXIMUM_CHARGE = 99_999_999;

/** Millionths of a US dollar for one whole unit. Fixed, so that every run converts alike; near to the rates of 2026. */
const MICRODOLLARS: Readonly<Record<string, number>> = {
  usd: 1_000_000,
  eur: 1_100_000,
  gbp: 1_270_000,
  jpy: 6_700,
  aud: 660_000,
  brl: 180_000,
  cad: 730_000,
  chf: 1_130_000,
  inr: 11_900,
  nzd: 600_000,
  sgd: 750_000,
  aed: 272_000,
  myr: 225_000,
  pln: 255_000,
  ron: 220_000,
  bgn: 560_000,
  nok: 94_000,
  sek: 96_000,
  dkk: 147_000,
  hkd: 128_000,
  czk: 44_000,
  mxn: 55_000,
  huf: 2_750,
  ars: 1_000,
  bhd: 2_650_000,
  bif: 345,
  clp: 1_060,
  cny: 139_000,
  cop: 245,
  djf: 5_600,
  egp: 20_500,
  gnf: 116,
  idr: 62,
  ils: 270_000,
  isk: 7_250,
  jod: 1_410_000,
  kes: 7_700,
  kmf: 2_240,
  krw: 730,
  kwd: 3_250_000,
  mad: 100_000,
  mga: 218,
  ngn: 640,
  omr: 2_600_000,
  pen: 267_000,
  php: 17_400,
  pkr: 3_590,
  pyg: 133,
  qar: 275_000,
  rsd: 9_400,
  rwf: 750,
  sar: 267_000,
  thb: 28_500,
  tnd: 323_000,
  try: 29_000,
  twd: 31_000,
  tzs: 380,
  uah: 24_200,
  ugx: 270,
  uyu: 25_000,
  vnd: 40,
  vuv: 8_300,
  xaf: 1_680,
  xof: 1_680,
  xpf: 9_200,
  zar: 54_000,
};

/** Half up on the magnitude: floor((2n + d) / 2d). */
export function roundedQuotient(n: bigint, d: bigint): bigint {
  const magnitude = n < 0n ? -n : n;
  const rounded = (2n * magnitude + d) / (2n * d);
  return n < 0n ? -rounded : rounded;
}

function minorPerUnit(currency: string): bigint {
  return ZERO_DECIMAL.has(currency) ? 1n : THREE_DECIMAL.has(currency) ? 1000n : 100n;
}

/** Whether the stand-in knows the currency. */
export function isCurrency(currency: string): boolean {
  return Object.hasOwn(MICRODOLLARS, currency);
}

/** The step of amounts in a currency: an amount is a multiple of it. */
function stepOf(currency: string): bigint {
  return WHOLE_UNITS_ONLY.has(currency) ? 100n : THREE_DECIMAL.has(currency) ? 10n : 1n;
}

/** An amount of one currency in another's minor units, by the fixed table. */
export function converted(amount: number, from: string, to: string): number {
  if (from === to) return amount;
  const [rateFrom, rateTo] = [BigInt(MICRODOLLARS[from] ?? 1), BigInt(MICRODOLLARS[to] ?? 1)];
  const step = stepOf(to);
  return Number(step * roundedQuotient(BigInt(amount) * rateFrom * minorPerUnit(to), minorPerUnit(from) * rateTo * step));
}

/** Units of `to` for one unit of `from`, as Stripe writes it on balance transactions. */
export function exchangeRate(from: string, to: string): number {
  return Number(((MICRODOLLARS[from] ?? 1) / (MICRODOLLARS[to] ?? 1)).toPrecision(6));
}

/** The least amount that may be charged. */
function minimumCharge(currency: string): number {
  return MINIMUM_CHARGE[currency] ?? converted(50, 'usd', currency);
}

/** Refuses an amount that Stripe would not charge in this currency. */
export function checkChargeAmount(amount: number, currency: string, settlementCurrency: string | null): void {
  if (amount > MAXIMUM_CHARGE) {
    throw invalidRequest(`Amount must be no more than ${MAXIMUM_CHARGE}`, { code: 'amount_too_large', param: 'amount' });
  }
  checkStep(amount, currency);
  const settled = settlementCurrency ?? currency;
  if (amount < minimumCharge(currency) || converted(amount, currency, settled) < minimumCharge(settled)) {
    throw invalidRequest(`Amount must be at least ${minimumCharge(currency)} ${currency}`, {
      code: 'amount_too_small',
      param: 'amount',
    });
  }
}

/** Refuses an amount with more decimals than Stripe takes. */
export function checkStep(amount: number, currency: string): void {
  if (BigInt(amount) % stepOf(currency) === 0n) return;
  const code = WHOLE_UNITS_ONLY.has(currency) ? 'invalid_charge_amount_no_decimal_compatible' : 'invalid_charge_amount';
  throw invalidRequest(`Invalid amount for ${currency}: it must be a multiple of ${stepOf(currency)}.`, {
    code,
    param: 'amount',
  });
}

/** Refuses an amount that cannot be paid out. */
export function checkPayoutAmount(amount: number, currency: string): void {
  if (WHOLE_UNITS_IN_PAYOUTS.has(currency) && amount % 100 !== 0) {
    throw invalidRequest(`Payouts in ${currency} must be multiples of 100.`, { code: 'invalid_charge_amount', param: 'amount' });
  }
}
