import { parsePublicId, USER_ID_FORM, type Id, type IdPrefix } from '../domain/ids.js';
import type { Money } from '../domain/money/money.js';
import type { Refusal } from '../usecases/contract.js';
import type { MoneyInput } from './types/money.js';

const KEY_FORM = /^[A-Za-z0-9_-]{16,128}$/;
/** Longest comment or note, characters. */
const MAX_TEXT_CHARS = 1_000;

/**
 * Reads the input of one mutation and collects what is wrong with it, so that the caller learns of all of it at once.
 * A wrong id is NOT_FOUND, the same as an id of nothing; every other wrong form is INVALID_INPUT.
 */
export class InputReader {
  readonly refusals: Refusal[] = [];

  /** A public id. null (and a refusal) for a wrong form or another kind's prefix. */
  id<K extends IdPrefix>(kind: K, text: string, field: string): Id<K> | null {
    const id = parsePublicId(kind, text);
    if (id === null) this.#refuse('NOT_FOUND', 'There is no such object.', field);
    return id;
  }

  /** A public id that may be left out. */
  optionalId<K extends IdPrefix>(kind: K, text: string | null | undefined, field: string): Id<K> | null {
    return text === null || text === undefined ? null : this.id(kind, text, field);
  }

  /** The id of a user of the network; it need not be known here. */
  userId(text: string, field: string): string {
    if (!USER_ID_FORM.test(text)) this.#refuse('INVALID_INPUT', 'A user id has 1 to 64 letters, digits, - or _.', field);
    return text;
  }

  /** The same, where it may be left out. */
  optionalUserId(text: string | null | undefined, field: string): string | null {
    return text === null || text === undefined ? null : this.userId(text, field);
  }

  /** The client's idempotency key: 16 to 128 of letters, digits, - and _. */
  idempotencyKey(text: string): string {
    if (!KEY_FORM.test(text)) this.#refuse('INVALID_INPUT', 'A key has 16 to 128 letters, digits, - or _.', 'idempotencyKey');
    return text;
  }

  /** An amount that may be left out; a given one is positive. */
  optionalMoney(input: MoneyInput | null | undefined, field: string): Money | null {
    if (!input) return null;
    if (input.amountMinor <= 0) this.#refuse('INVALID_INPUT', 'An amount is positive.', field, 'amountMinor');
    return { minor: BigInt(input.amountMinor), currency: input.currency };
  }

  /** A count within bounds. */
  count(value: number, bounds: { least: number; most: number }, field: string): number {
    if (value < bounds.least || value > bounds.most) {
      this.#refuse('INVALID_INPUT', `This is between ${bounds.least} and ${bounds.most}.`, field);
    }
    return value;
  }

  /** The user's or an agent's own words, at most 1000 characters. */
  optionalText(text: string | null | undefined, field: string): string | null {
    if (text && Array.from(text).length > MAX_TEXT_CHARS)
      this.#refuse('INVALID_INPUT', `At most ${MAX_TEXT_CHARS} characters.`, field);
    // PostgreSQL can store any character but this one.
    if (text?.includes('\0')) this.#refuse('INVALID_INPUT', 'The character U+0000 is not allowed.', field);
    return text ?? null;
  }

  #refuse(code: 'INVALID_INPUT' | 'NOT_FOUND', message: string, ...field: string[]): void {
    this.refusals.push({ code, message, field: ['input', ...field] });
  }
}
