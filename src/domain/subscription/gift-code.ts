/** The code of a gift that is handed over: the gift's id and a secret, so that no look-up by the secret is needed. */
import { parsePublicId, publicId, type GiftId } from '../ids.js';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SECRET_BYTES = 15;
const SECRET_FORM = /^[0-9a-hjkmnp-tv-z]{24}$/;

/** A secret as it is written: 24 characters of the first 15 of these bytes, which nobody guesses. */
export function giftSecretText(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes.subarray(0, SECRET_BYTES)) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[held >> bits];
      held &= (1 << bits) - 1;
    }
  }
  return text;
}

/** The code to hand over. */
export function giftCode(id: string, secret: string): string {
  return `${publicId('gift', id).slice('gift_'.length)}-${secret}`;
}

/** What a code says, as a person types it: in either case, with spaces around it; null for a text that is none. */
export function parseGiftCode(text: string): { giftId: GiftId; secret: string } | null {
  const [id = '', secret = '', ...more] = text.trim().toLowerCase().split('-');
  const giftId = parsePublicId('gift', `gift_${id}`);
  return giftId !== null && SECRET_FORM.test(secret) && more.length === 0 ? { giftId, secret } : null;
}
