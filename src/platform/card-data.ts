/**
 * Finds card numbers and security codes where none may be: on the way in (the request is refused) and on the way out (the
 * number is cut from the line). We take tokens only, so a card number is always a mistake of the sender, and one that is
 * stored or logged would put us under the full PCI DSS instead of its shortest form.
 */

/**
 * - `strict`: the number stands by itself: nothing before it that makes it part of an id, a decimal or a phone number, nothing
 *   after it that makes it part of a word. For everything a client sends: ids and times are never taken for cards.
 * - `loose`: anywhere in the text. For free text and for redaction, where a false hit costs little.
 */
export type CardForm = 'strict' | 'loose';

/** Prefix and lengths by brand. 13-digit Visa and 12- to 15-digit Maestro are out of use and look like phone numbers. */
const BRANDS: readonly (readonly [prefix: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [16, 19]], // Visa
  [/^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]], // Mastercard
  [/^3[47]/, [15]], // American Express
  [/^(6011|64[4-9]|65)/, [16, 19]], // Discover
  [/^35(2[89]|[3-8])/, [16, 19]], // JCB
  [/^(30[0-5]|36|38|39)/, [14, 16, 19]], // Diners Club
  [/^62/, [16, 17, 18, 19]], // UnionPay
  [/^(50|5[6-8]|6)/, [16, 18, 19]], // Maestro
];
const SHORTEST = 14;
const LONGEST_PREFIX = 4;

/** Digits with at most one space, dot or hyphen between two of them. */
const RUN = /\d(?:[ .-]?\d){13,}/g;
const SEPARATORS = /[ .-]/g;
const JOINED_BEFORE = /[\p{L}\p{N}_+.-]/u;
/** Six in a million UUIDs begin with what could be a card number; nobody writes his card in that shape. */
const UUID = /(?<![\p{L}\p{N}])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\p{L}\p{N}])/giu;
const JOINED_AFTER = /^(?:[\p{L}\p{N}_]|-\p{L})/u;

/** Whether a text has a card number in it, however its digits are written or separated. */
export function findCardNumber(text: string, form: CardForm): boolean {
  return spansOf(plain(text), form, true).length > 0;
}

/** The text without its card numbers (loose form); unchanged, character for character, when there is none. */
export function redactCardNumbers(text: string): string {
  const read = plain(text);
  const spans = spansOf(read, 'loose', false);
  if (spans.length === 0) return text;
  let result = '';
  let from = 0;
  for (const [start, end] of merged(spans)) {
    result += `${read.slice(from, start)}[card number]`;
    from = end;
  }
  return result + read.slice(from);
}

/** Keys of free text: people paste card numbers into it next to anything. */
const FREE_TEXT_KEYS: ReadonlySet<string> = new Set(['note', 'comment', 'message', 'name', 'description', 'metadata']);
/** Keys that announce a security code; case, `_`, `-` and a final digit count for nothing. */
const SECURITY_CODE_KEYS = ['cvc', 'cvv', 'cvn', 'cid', 'csc', 'securitycode', 'cardsecuritycode'];
const SECURITY_CODE_KEY = new RegExp(
  `^[_-]*(?:${SECURITY_CODE_KEYS.map((key) => key.split('').join('[_-]*')).join('|')})[_-]*\\d?$`,
  'i',
);
const SECURITY_CODE = /^\s*\d{3,4}\s*$/;
/** What is nested deeper than any of our inputs is refused unread. */
const MAX_DEPTH = 64;

/** What is not read. */
export interface CardSearch {
  /** Keys whose values are passed over: ids that others give out as long numbers. */
  exemptKeys: ReadonlySet<string>;
  /** The same, where it depends on what else stands in the object. */
  isExempt?: (key: string, owner: object) => boolean;
}

/**
 * Where in a value as it came (a string, or objects and arrays of them) there is card data: the path to it, [] for the value
 * itself; null when there is none. Keys are searched too, and texts also as they read when decoded.
 */
export function findCardDataIn(value: unknown, search: CardSearch): string[] | null {
  return findIn(value, 'strict', 0, search);
}

function findIn(value: unknown, form: CardForm, depth: number, search: CardSearch): string[] | null {
  if (depth > MAX_DEPTH) return [];
  if (typeof value !== 'object' || value === null) return isText(value) && hasCardNumber(String(value), form) ? [] : null;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      const found = findIn(value[at], form, depth + 1, search);
      if (found) return [String(at), ...found];
    }
    return null;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(fields)) {
    if (search.exemptKeys.has(key) || search.isExempt?.(key, value)) continue;
    const child = fields[key];
    if (hasCardNumber(key, 'strict') || isSecurityCode(key, child)) return [key];
    const found = findIn(child, FREE_TEXT_KEYS.has(key) ? 'loose' : form, depth + 1, search);
    if (found) return [key, ...found];
  }
  return null;
}

function isText(value: unknown): value is string | number | bigint {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
}

function isSecurityCode(key: string, value: unknown): boolean {
  return SECURITY_CODE_KEY.test(key) && isText(value) && SECURITY_CODE.test(plain(String(value)));
}

/** In the text as it is, and as it reads when decoded: URL, JSON escapes, and base64 once of each. */
function hasCardNumber(text: string, form: CardForm): boolean {
  if (text.length < SHORTEST || isPlainlyNone(text)) return false;
  if (readsAsCard(text, form)) return true;
  return [urlDecoded(text), jsonUnescaped(text)].some((reading) => reading !== text && readsAsCard(reading, form));
}

/**
 * Whether one look at each character tells that there is no card number however the text is read: too few digits, nothing that stands for
 * other characters, and not base64. Nearly every text is like this.
 */
function isPlainlyNone(text: string): boolean {
  let digits = 0;
  let isBase64 = text.length >= SHORTEST_BASE64;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > LAST_ASCII || code === PERCENT || code === BACKSLASH) return false;
    if (isDigit(code)) digits += 1;
    else if (isBase64 && !isBase64Sign(code)) isBase64 = false;
  }
  return digits < SHORTEST && !isBase64;
}

const [LAST_ASCII, PERCENT, BACKSLASH] = [0x7f, 0x25, 0x5c];
/** A text of base64 and nothing else has no other characters: letters, `+`, `-`, `/`, `=`, `_`, and space around it. */
function isBase64Sign(code: number): boolean {
  if (code >= 0x41 && code <= 0x5a) return true;
  if (code >= 0x61 && code <= 0x7a) return true;
  return (
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2f ||
    code === 0x3d ||
    code === 0x5f ||
    code === 0x20 ||
    (code >= 9 && code <= 13)
  );
}

function readsAsCard(reading: string, form: CardForm): boolean {
  if (findCardNumber(reading, form)) return true;
  const decoded = base64Decoded(reading);
  return decoded !== null && findCardNumber(decoded, form);
}

function urlDecoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  // Byte by byte, so that one broken escape does not hide the rest; digits and separators are single bytes.
  return text
    .replaceAll('+', ' ')
    .replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function jsonUnescaped(text: string): string {
  if (!text.includes('\\u')) return text;
  return text.replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const SHORTEST_BASE64 = 17;
const BASE64 = /^[A-Za-z0-9+/_-]{17,}={0,2}$/;

function base64Decoded(text: string): string | null {
  const trimmed = text.trim();
  return BASE64.test(trimmed) ? Buffer.from(trimmed, 'base64').toString('utf8') : null;
}

/** Digits of every script as 0 to 9, dashes and spaces of every kind as - and space, invisible characters gone. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- ASCII needs none of it, and nearly every text is ASCII
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  return text
    .normalize('NFKC')
    .replaceAll(/[^\P{Nd}0-9]/gu, (digit) => String(digitValue(digit)))
    .replaceAll(/[\p{Pd}\u2212]/gu, '-')
    .replaceAll(/\p{Zs}/gu, ' ')
    .replaceAll(/\p{Cf}/gu, '');
}

/** Unicode keeps the ten digits of each script together and in order, so the value is the distance from the first. */
function digitValue(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  let first = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--;
  return (code - first) % 10;
}

type Span = readonly [start: number, end: number];

function spansOf(searched: string, form: CardForm, isFirstEnough: boolean): Span[] {
  const spans: Span[] = [];
  if (searched.search(RUN) < 0) return spans;
  const text = form === 'strict' ? searched.replaceAll(UUID, (uuid) => 'x'.repeat(uuid.length)) : searched;
  for (const run of text.matchAll(RUN)) {
    const digits = run[0].replaceAll(SEPARATORS, '');
    const positions = digits.length < run[0].length ? positionsOfDigits(run[0], run.index) : null;
    const positionOf = (at: number): number => positions?.[at] ?? run.index + at;
    for (let first = 0; first + SHORTEST <= digits.length; first++) {
      const start = positionOf(first);
      // Said by JOINED_BEFORE too, at a hundred times the cost: a text may be nothing but digits.
      if (form === 'strict' && first > 0 && positionOf(first - 1) === start - 1) continue;
      if (form === 'strict' && start > 0 && JOINED_BEFORE.test(before(text, start))) continue;
      for (const length of lengthsOf(digits.slice(first, first + LONGEST_PREFIX))) {
        if (first + length > digits.length) continue;
        const last = positionOf(first + length - 1);
        if (form === 'strict' && JOINED_AFTER.test(text.slice(last + 1, last + 5))) continue;
        if (!passesLuhn(digits.slice(first, first + length))) continue;
        spans.push([start, last + 1]);
        if (isFirstEnough) return spans;
      }
    }
  }
  return spans;
}

function positionsOfDigits(run: string, start: number): number[] {
  const positions: number[] = [];
  for (let at = 0; at < run.length; at += 1) if (isDigit(run.charCodeAt(at))) positions.push(start + at);
  return positions;
}

/** The character before a place: two units when it is a surrogate pair. */
function before(text: string, at: number): string {
  const code = text.charCodeAt(at - 1);
  return text.slice(code >= 0xdc00 && code <= 0xdfff ? at - 2 : at - 1, at);
}

function isDigit(charCode: number): boolean {
  return charCode >= 48 && charCode <= 57;
}

/** Found once for each of the ten thousand prefixes: they are asked for at every digit. */
const LENGTHS = new Map<string, ReadonlySet<number>>();

function lengthsOf(prefix: string): ReadonlySet<number> {
  const known =
    LENGTHS.get(prefix) ?? new Set(BRANDS.filter(([pattern]) => pattern.test(prefix)).flatMap(([, lengths]) => lengths));
  LENGTHS.set(prefix, known);
  return known;
}

/** The check digit of ISO/IEC 7812-1: every second digit from the right is doubled, and the sum ends in 0. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

function merged(spans: readonly Span[]): Span[] {
  const result: [number, number][] = [];
  for (const [start, end] of spans) {
    const last = result.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
