import { hash, timingSafeEqual } from 'node:crypto';
import { isUuid } from '../domain/ids.js';
import { MessageKey } from '../platform/hmac.js';
import { cursorInvalid } from './errors.js';

const VERSION = 1;
const MAC_BYTES = 8;
/** Signed in front of each cursor, because others sign by the same secret. */
const PURPOSE = 'list cursor';
/** Where the signature comes to stand. */
const NO_MAC = '\0'.repeat(MAC_BYTES);
/** No cursor of ours is longer; longer text is not even decoded. */
const MAX_CHARS = 256;

/**
 * Places in lists, handed to clients as opaque text: base64url of `{v, k: [id], f}` and 8 bytes of HMAC-SHA256, where f is a hash
 * of the list, its owner, order and filter. A cursor is good for exactly the list it was given for.
 */
export class Cursors {
  readonly #key: MessageKey;
  #lastList = '';
  #lastHash = '';

  constructor(secret: string | Uint8Array) {
    this.#key = new MessageKey(secret);
  }

  /** The cursor of an item. `list` is any text that tells this list (with owner, order and filter) from all others. */
  seal(list: string, id: string): string {
    const body = JSON.stringify({ v: VERSION, k: [id], f: this.#hashOf(list) });
    const sealed = Buffer.from(PURPOSE + body + NO_MAC);
    const bodyEnd = sealed.length - MAC_BYTES;
    sealed.set(this.#mac(sealed.subarray(0, bodyEnd)), bodyEnd);
    return sealed.toString('base64url', PURPOSE.length);
  }

  /** The item's id. @throws CURSOR_INVALID for a forged cursor, or one of another list. */
  open(list: string, cursor: string): string {
    const bytes = cursor.length > MAX_CHARS ? Buffer.alloc(0) : Buffer.from(cursor, 'base64url');
    if (bytes.length <= MAC_BYTES) throw cursorInvalid();
    const body = bytes.subarray(0, -MAC_BYTES);
    const expected = this.#mac(Buffer.concat([Buffer.from(PURPOSE), body]));
    if (!timingSafeEqual(bytes.subarray(-MAC_BYTES), expected)) throw cursorInvalid();
    const parts: unknown = JSON.parse(body.toString());
    const id = idIn(parts, this.#hashOf(list));
    if (id === null) throw cursorInvalid();
    return id;
  }

  #mac(signed: Uint8Array): Buffer {
    return this.#key.sign(signed).subarray(0, MAC_BYTES);
  }

  /** The cursors of a page are all of one list. */
  #hashOf(list: string): string {
    if (list !== this.#lastList) {
      this.#lastHash = hash('sha256', list, 'base64url').slice(0, 16);
      this.#lastList = list;
    }
    return this.#lastHash;
  }
}

function idIn(parts: unknown, listHash: string): string | null {
  if (typeof parts !== 'object' || parts === null || !('v' in parts) || !('k' in parts) || !('f' in parts)) return null;
  if (parts.v !== VERSION || parts.f !== listHash || !Array.isArray(parts.k)) return null;
  const id: unknown = parts.k[0];
  return typeof id === 'string' && isUuid(id) ? id : null;
}
