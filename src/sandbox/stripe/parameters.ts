import { invalidRequest } from './api-error.js';

/**
 * Form-encoded requests (`a[b]=c`, `expand[0]=x`) read into a tree, and rules that turn the tree's texts into values. Whatever no
 * rule names is refused, as Stripe does. Nothing read here has taken effect: errors of this file are never stored under a key.
 */

/** A request as sent: texts, by name; lists have the names 0, 1, 2... */
export interface Tree {
  [name: string]: string | Tree;
}

/** How one parameter is read. `param` is its full name, for errors. */
interface Rule<Value> {
  read(raw: string | Tree, param: string): Value;
  isRequired?: true;
}

/** The parameters an operation takes. */
export type Shape = Readonly<Record<string, Rule<unknown>>>;

/** The values read by a shape. */
export type Values<S extends Shape> = {
  [K in keyof S]: S[K] extends { isRequired: true } & Rule<infer V> ? V : S[K] extends Rule<infer V> ? V | undefined : never;
};

/** An interval of instants in seconds: `created[gte]` and its like. */
export interface Range {
  gt?: number;
  gte?: number;
  lt?: number;
  lte?: number;
}

const MAX_TEXT = 5000;
const METADATA_KEYS = 50;
const METADATA_KEY_LENGTH = 40;
const METADATA_VALUE_LENGTH = 500;
const MAX_DEPTH = 8;

/** Reads a form-encoded text. A name given twice counts as its last value. */
export function parseForm(form: string): Tree {
  const root: Tree = Object.create(null) as Tree;
  for (const [name, value] of new URLSearchParams(form)) {
    const path = name.split(/\]?\[|\]$/).filter((step, position) => step !== '' || position === 0);
    if (path.length > MAX_DEPTH) throw invalidRequest(`Invalid parameter: ${name} is nested too deeply`);
    if (name.endsWith('[]')) path.push(String(Object.keys(childOf(root, path)).length));
    const last = path.pop() ?? name;
    childOf(root, path)[last] = value;
  }
  return root;
}

function childOf(root: Tree, path: readonly string[]): Tree {
  let at = root;
  for (const step of path) {
    const found = at[step];
    if (typeof found === 'object') at = found;
    else at = at[step] = Object.create(null) as Tree;
  }
  return at;
}

/** Values of a request, or a 400 that names the first parameter at fault. */
export function readParameters<S extends Shape>(shape: S, tree: Tree, prefix = ''): Values<S> {
  const named = (name: string): string => (prefix ? `${prefix}[${name}]` : name);
  const unknown = Object.keys(tree).filter((name) => !Object.hasOwn(shape, name));
  if (unknown[0] !== undefined) {
    const names = unknown.map(named).join(', ');
    throw invalidRequest(`Received unknown parameter${unknown.length > 1 ? 's' : ''}: ${names}`, {
      code: 'parameter_unknown',
      param: named(unknown[0]),
    });
  }
  const values: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(shape)) {
    const raw = tree[name];
    if (raw !== undefined) values[name] = rule.read(raw, named(name));
    else if (rule.isRequired)
      throw invalidRequest(`Missing required param: ${named(name)}.`, { code: 'parameter_missing', param: named(name) });
  }
  return values as Values<S>;
}

/** The same rule, for a parameter that must be there. */
export function required<V>(rule: Rule<V>): Rule<V> & { isRequired: true } {
  return { read: (raw, param) => rule.read(raw, param), isRequired: true };
}

function asText(raw: string | Tree, param: string): string {
  if (typeof raw !== 'string') throw invalidRequest(`Invalid string: ${param}`, { param });
  return raw;
}

/** A text that is not empty. */
export function text(maxLength = MAX_TEXT): Rule<string> {
  return {
    read(raw, param) {
      const value = asText(raw, param);
      if (value === '') {
        throw invalidRequest(
          `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; however '${param}' cannot be unset.`,
          { code: 'parameter_invalid_empty', param },
        );
      }
      if (value.length > maxLength)
        throw invalidRequest(`Invalid string: '${param}' must be at most ${maxLength} characters`, { param });
      return value;
    },
  };
}

/** A text that the empty string unsets. */
export const clearableText: Rule<string | null> = { read: (raw, param) => (raw === '' ? null : text().read(raw, param)) };

/** A whole number. */
export function integer(limits: { min?: number; max?: number } = {}): Rule<number> {
  return {
    read(raw, param) {
      const value = asText(raw, param);
      const number = Number(value);
      if (!/^-?\d{1,15}$/.test(value))
        throw invalidRequest(`Invalid integer: ${value.slice(0, 40)}`, { code: 'parameter_invalid_integer', param });
      if (number < (limits.min ?? -Infinity)) {
        throw invalidRequest(`This value must be greater than or equal to ${limits.min}.`, {
          code: 'parameter_invalid_integer',
          param,
        });
      }
      if (number > (limits.max ?? Infinity)) {
        throw invalidRequest(`This value must be less than or equal to ${limits.max} (it currently is '${value}').`, {
          code: 'parameter_invalid_integer',
          param,
        });
      }
      return number;
    },
  };
}

/** true or false. */
export const flag: Rule<boolean> = {
  read(raw, param) {
    if (raw !== 'true' && raw !== 'false') throw invalidRequest(`Invalid boolean: ${param}`, { param });
    return raw === 'true';
  },
};

/** One of these words. */
export function oneOf<const Word extends string>(...words: Word[]): Rule<Word> {
  return {
    read(raw, param) {
      const word = words.find((each) => each === raw);
      if (word === undefined) throw invalidRequest(`Invalid ${param}: must be one of ${words.join(', ')}`, { param });
      return word;
    },
  };
}

/** The first rule that can read it. */
export function either<A, B>(first: Rule<A>, second: Rule<B>): Rule<A | B> {
  return {
    read(raw, param) {
      try {
        return first.read(raw, param);
      } catch {
        return second.read(raw, param);
      }
    },
  };
}

/** A list of values of one kind. */
export function listOf<V>(rule: Rule<V>): Rule<V[]> {
  return {
    read(raw, param) {
      if (raw === '') return [];
      if (typeof raw === 'string') throw invalidRequest(`Invalid array: ${param}`, { param });
      return Object.entries(raw).map(([position, value]) => rule.read(value, `${param}[${position}]`));
    },
  };
}

/** Parameters inside a parameter. */
export function group<S extends Shape>(shape: S): Rule<Values<S>> {
  return {
    read(raw, param) {
      if (typeof raw === 'string') throw invalidRequest(`Invalid object: ${param}`, { param });
      return readParameters(shape, raw, param);
    },
  };
}

/** Taken as sent, whatever is inside: for parts that change nothing here but that clients send. */
export const anything: Rule<Tree> = { read: (raw) => (typeof raw === 'string' ? {} : raw) };

/** Metadata to set; an empty value takes its key away, an empty text all keys (null). */
export const metadata: Rule<Record<string, string> | null> = {
  read(raw, param) {
    if (raw === '') return null;
    if (typeof raw === 'string') throw invalidRequest(`Invalid object: ${param}`, { param });
    const entries = Object.entries(raw);
    if (entries.length > METADATA_KEYS) throw invalidRequest(`You can have up to ${METADATA_KEYS} metadata keys.`, { param });
    for (const [key, value] of entries) {
      const full = `${param}[${key}]`;
      if (typeof value !== 'string') throw invalidRequest(`Invalid string: ${full}`, { param: full });
      if (key.length > METADATA_KEY_LENGTH)
        throw invalidRequest(`Metadata keys can be up to ${METADATA_KEY_LENGTH} characters long.`, { param: full });
      if (value.length > METADATA_VALUE_LENGTH)
        throw invalidRequest(`Metadata values can be up to ${METADATA_VALUE_LENGTH} characters long.`, { param: full });
    }
    return Object.fromEntries(entries) as Record<string, string>;
  },
};

/** Metadata after an update: keys are merged, empty values remove. */
export function mergedMetadata(
  before: Record<string, string> | null,
  set: Record<string, string> | null | undefined,
): Record<string, string> {
  if (set === null) return {};
  return Object.fromEntries(Object.entries({ ...before, ...set }).filter(([, value]) => value !== ''));
}

/** An instant in seconds, or an interval of them. */
export const instantRange: Rule<Range> = {
  read(raw, param) {
    const seconds = integer();
    if (typeof raw === 'string') {
      const exact = seconds.read(raw, param);
      return { gte: exact, lte: exact };
    }
    const { gt, gte, lt, lte } = readParameters({ gt: seconds, gte: seconds, lt: seconds, lte: seconds }, raw, param);
    return {
      ...(gt !== undefined && { gt }),
      ...(gte !== undefined && { gte }),
      ...(lt !== undefined && { lt }),
      ...(lte !== undefined && { lte }),
    };
  },
};

/** Whether an instant lies in the interval; no interval holds all. */
export function isWithin(range: Range | undefined, seconds: number): boolean {
  return (
    range === undefined ||
    (seconds > (range.gt ?? -Infinity) &&
      seconds >= (range.gte ?? -Infinity) &&
      seconds < (range.lt ?? Infinity) &&
      seconds <= (range.lte ?? Infinity))
  );
}

/**
 * Refuses card numbers wherever they are sent (metadata excepted: order numbers look alike). The stand-in takes tokens only, which
 * keeps every environment that uses it free of card data.
 */
export function refuseCardNumbers(tree: Tree, prefix = ''): void {
  for (const [name, value] of Object.entries(tree)) {
    const param = prefix ? `${prefix}[${name}]` : name;
    if (name === 'metadata') continue;
    if (typeof value === 'object') refuseCardNumbers(value, param);
    else if (/(^|\[)card\]?\[number\]$/.test(param) || isCardNumber(value)) {
      throw invalidRequest(
        'Sending credit card numbers directly is refused here. Use a test token such as pm_card_visa instead.',
        { param },
      );
    }
  }
}

/** 13 to 19 digits whose check digit is right (ISO/IEC 7812-1, Luhn). */
function isCardNumber(value: string): boolean {
  const digits = value.replaceAll(/[ -]/g, '');
  if (!/^\d{13,19}$/.test(digits)) return false;
  const sum = digits
    .split('')
    .toReversed()
    .reduce((total, digit, position) => {
      const doubled = Number(digit) * (position % 2 === 1 ? 2 : 1);
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
  return sum % 10 === 0;
}
