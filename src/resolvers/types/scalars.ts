import { GraphQLError, GraphQLScalarType, Kind, type ValueNode, print } from 'graphql';
import { currencyOf } from '../../domain/money/currency.js';
import { COUNTRY_CODES } from './country-codes.js';

const wrong = (what: string, value: unknown): GraphQLError =>
  new GraphQLError(`${what} cannot represent ${typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)}`);

const INSTANT_FORM =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Whether a day of the calendar exists: 30 February has the form but is none. */
function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00.000Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** RFC 3339 with an offset, to an instant. A missing offset is refused: the instant would depend on who reads it. */
function instantFrom(value: unknown): Date {
  if (typeof value !== 'string' || !INSTANT_FORM.test(value) || !isDay(value.slice(0, 10))) throw wrong('DateTime', value);
  return new Date(value.toUpperCase());
}

/** RFC 3339 in (any offset), UTC with milliseconds and Z out. */
export const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  description: 'Instant in RFC 3339 form, always UTC with milliseconds, e.g. 2026-03-01T09:30:00.000Z.',
  serialize: (value) => {
    if (!(value instanceof Date) || Number.isNaN(value.getTime())) throw wrong('DateTime', value);
    return value.toISOString();
  },
  parseValue: instantFrom,
  parseLiteral: (node) => instantFrom(textOf(node, 'DateTime')),
});

const DAY_FORM = /^\d{4}-\d{2}-\d{2}$/;
function dayFrom(value: unknown): string {
  if (typeof value !== 'string' || !DAY_FORM.test(value) || !isDay(value)) throw wrong('Date', value);
  return value;
}

/** YYYY-MM-DD, in and out. */
export const DateOnly = new GraphQLScalarType<string, string>({
  name: 'Date',
  description: 'Calendar day in ISO 8601 form (YYYY-MM-DD), in UTC unless the field says otherwise.',
  serialize: dayFrom,
  parseValue: dayFrom,
  parseLiteral: (node) => dayFrom(textOf(node, 'Date')),
});

function currencyFrom(value: unknown): string {
  if (typeof value !== 'string' || currencyOf(value) === null) throw wrong('CurrencyCode', value);
  return value;
}

/** A code of ISO 4217 in upper case. */
export const CurrencyCode = new GraphQLScalarType<string, string>({
  name: 'CurrencyCode',
  description: 'ISO 4217 alphabetic code in upper case, e.g. USD. A scalar, so that a new currency never breaks a client.',
  serialize: currencyFrom,
  parseValue: currencyFrom,
  parseLiteral: (node) => currencyFrom(textOf(node, 'CurrencyCode')),
});

function countryFrom(value: unknown): string {
  if (typeof value !== 'string' || !COUNTRY_CODES.has(value)) throw wrong('CountryCode', value);
  return value;
}

/** A code of ISO 3166-1 in upper case. What goes out came from a provider and may be one we do not know yet (XK): only its form is checked. */
export const CountryCode = new GraphQLScalarType<string, string>({
  name: 'CountryCode',
  description: 'ISO 3166-1 alpha-2 country code in upper case.',
  serialize: (value) => {
    if (typeof value !== 'string' || !/^[A-Z]{2}$/.test(value)) throw wrong('CountryCode', value);
    return value;
  },
  parseValue: countryFrom,
  parseLiteral: (node) => countryFrom(textOf(node, 'CountryCode')),
});

function safeIntFrom(value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
    throw new GraphQLError(`SafeInt cannot represent ${String(value)}: a whole number between -(2^53-1) and 2^53-1 is needed`);
  }
  return number;
}

/** A JSON number that every client holds exactly; rows give bigint. */
export const SafeInt = new GraphQLScalarType<number, number>({
  name: 'SafeInt',
  description: 'Whole number between -(2^53-1) and 2^53-1, sent as a JSON number. Used where GraphQL Int (32 bit) is too small.',
  serialize: safeIntFrom,
  parseValue: (value) => {
    if (typeof value !== 'number') throw wrong('SafeInt', value);
    return safeIntFrom(value);
  },
  parseLiteral: (node) => {
    if (node.kind !== Kind.INT) throw new GraphQLError(`SafeInt cannot represent ${print(node)}`, { nodes: node });
    // Read as bigint first: Number('9007199254740993') would silently become ...992.
    return safeIntFrom(BigInt(node.value));
  },
});

function textOf(node: ValueNode, scalar: string): string {
  if (node.kind !== Kind.STRING) throw new GraphQLError(`${scalar} cannot represent ${print(node)}`, { nodes: node });
  return node.value;
}
