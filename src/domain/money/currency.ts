import { invariant } from '../invariant.js';
import type { Money } from './money.js';

/** What is fixed about a currency. Amounts in it are counted in its smallest ISO 4217 unit ("minor"). */
export interface CurrencyFacts {
  /** ISO 4217 code, upper case. */
  code: string;
  /** ISO 4217 number, 1 to 999; part of the ids of the ledger's accounts. */
  numeric: number;
  /** Decimal digits of the minor unit: 2 for USD, 0 for JPY, 3 for KWD. */
  exponent: number;
  /** Every amount we charge, credit or refund is a multiple of it, in minor units (rules M3, M4). */
  step: bigint;
  /** Smallest charge at Stripe, in minor units; null where Stripe names none (rules M5). */
  stripeMinimum: bigint | null;
  /** Whether a price may be in it. */
  isSold: boolean;
}

/** ISO 4217 codes, each with its number: those that Stripe charges in. */
const SOLD = `
  AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050 BGN975 BHD048 BIF108 BMD060 BND096
  BOB068 BRL986 BSD044 BWP072 BYN933 BZD084 CAD124 CDF976 CHF756 CLP152 CNY156 COP170 CRC188 CVE132 CZK203 DJF262 DKK208
  DOP214 DZD012 EGP818 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GIP292 GMD270 GNF324 GTQ320 GYD328 HKD344 HNL340 HTG332
  HUF348 IDR360 ILS376 INR356 ISK352 JMD388 JOD400 JPY392 KES404 KGS417 KHR116 KMF174 KRW410 KWD414 KYD136 KZT398 LAK418
  LBP422 LKR144 LRD430 LSL426 MAD504 MDL498 MGA969 MKD807 MMK104 MNT496 MOP446 MUR480 MVR462 MWK454 MXN484 MYR458 MZN943
  NAD516 NGN566 NIO558 NOK578 NPR524 NZD554 OMR512 PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 PYG600 QAR634 RON946 RSD941
  RUB643 RWF646 SAR682 SBD090 SCR690 SEK752 SGD702 SHP654 SLE925 SOS706 SRD968 SZL748 THB764 TJS972 TND788 TOP776 TRY949
  TTD780 TWD901 TZS834 UAH980 UGX800 USD840 UYU858 UZS860 VND704 VUV548 WST882 XAF950 XCD951 XCG532 XOF952 XPF953 YER886
  ZAR710 ZMW967`;

/** Known, so that an amount met in one of them can be shown, but never sold. */
const KNOWN = `
  BTN064 CLF990 CUP192 ERN232 GHS936 IQD368 IRR364 KPW408 LYD434 MRU929 SDG938 SSP728 STN930 SVC222 SYP760 TMT934 UYI940
  UYW927 VED926 VES928 ZWG924`;

/**
 * Digits of the minor unit where ISO 4217 does not say 2. Never taken from `Intl`, which follows CLDR and says 0 for
 * HUF, IDR, COP and others where ISO says 2 (rules M2).
 */
const EXPONENTS: ReadonlyMap<string, number> = new Map([
  ...codes('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF').map((code) => [code, 0] as const),
  ...codes('BHD IQD JOD KWD LYD OMR TND').map((code) => [code, 3] as const),
  ...codes('CLF UYW').map((code) => [code, 4] as const),
]);

/** Where a provider takes or pays out fewer digits than ISO 4217 has: amounts keep to what all of them can move (rules M3). */
const STEPS: ReadonlyMap<string, bigint> = new Map([
  ...codes('MGA HUF TWD').map((code) => [code, 100n] as const),
  ...codes('BHD JOD KWD OMR TND').map((code) => [code, 10n] as const),
]);

/** Smallest charge, minor units (Stripe, "Minimum and maximum charge amounts"; rules M5). */
const STRIPE_MINIMUMS: ReadonlyMap<string, bigint> = new Map([
  ...codes('USD EUR AUD BRL CAD CHF INR NZD SGD JPY').map((code) => [code, 50n] as const),
  ['GBP', 30n],
  ['BGN', 100n],
  ...codes('AED MYR PLN RON').map((code) => [code, 200n] as const),
  ['DKK', 250n],
  ...codes('NOK SEK').map((code) => [code, 300n] as const),
  ['HKD', 400n],
  ['MXN', 1_000n],
  ['CZK', 1_500n],
  ['HUF', 17_500n],
]);

/** Largest charge at Stripe, in minor units, whatever the currency: eight digits (rules M5). */
export const STRIPE_MAXIMUM = 99_999_999n;

/** Every currency we know, by code. */
export const CURRENCIES: ReadonlyMap<string, CurrencyFacts> = new Map(
  [...codes(SOLD).map((entry) => facts(entry, true)), ...codes(KNOWN).map((entry) => facts(entry, false))].map((c) => [
    c.code,
    c,
  ]),
);

/** The facts of a currency by its upper-case ISO 4217 code; null when it is not one we know. */
export function currencyOf(code: string): CurrencyFacts | null {
  return CURRENCIES.get(code) ?? null;
}

/** The ISO 4217 code written in a text, in whatever case (providers write lower case); null when it is not one we know. */
export function parseCurrency(text: string): string | null {
  return currencyOf(text.toUpperCase())?.code ?? null;
}

/** What every amount we compute in a currency is a multiple of, minor units (rules M4). @throws InvariantBroken for an unknown currency. */
export function stepOf(currency: string): bigint {
  return known(currency).step;
}

/** The smallest amount that a payment can collect, minor units; 0 where none is named (rules M5). @throws InvariantBroken for an unknown currency. */
export function minimumCharge(currency: string): bigint {
  return known(currency).stripeMinimum ?? 0n;
}

/**
 * Whether an amount in minor units is one that every provider can move exactly (rules M4). @throws InvariantBroken for an
 * unknown currency.
 */
export function isMultipleOfStep(money: Money): boolean {
  return money.minor % known(money.currency).step === 0n;
}

/**
 * The amount as a decimal with exactly the currency's digits: "4.99" USD, "500" JPY, "1.250" KWD. @throws InvariantBroken for
 * an unknown currency.
 */
export function decimalText(money: Money): string {
  const { exponent } = known(money.currency);
  const magnitude = money.minor < 0n ? -money.minor : money.minor;
  const digits = magnitude.toString().padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const sign = money.minor < 0n ? '-' : '';
  return exponent === 0 ? sign + whole : `${sign}${whole}.${digits.slice(-exponent)}`;
}

function known(code: string): CurrencyFacts {
  const currency = currencyOf(code);
  invariant(currency !== null, 'an amount is in a known currency', { code });
  return currency;
}

function codes(list: string): string[] {
  return list.trim().split(/\s+/);
}

function facts(entry: string, isSold: boolean): CurrencyFacts {
  const code = entry.slice(0, 3);
  return {
    code,
    numeric: Number(entry.slice(3)),
    exponent: EXPONENTS.get(code) ?? 2,
    step: STEPS.get(code) ?? 1n,
    stripeMinimum: STRIPE_MINIMUMS.get(code) ?? null,
    isSold,
  };
}
