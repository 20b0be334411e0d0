import { createHmac } from 'node:crypto';
import { test } from '@jest/globals';
import fc from 'fast-check';
import { MessageKey } from '../../src/platform/hmac.js';

test("a message's code is that of HMAC-SHA256, whatever the lengths of key and message", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, fc.array(bytes, { minLength: 1, maxLength: 3 }), (key, messages) => {
      const signer = new MessageKey(key);
      return messages.every((message) => signer.sign(message).equals(createHmac('sha256', key).update(message).digest()));
    }),
    {
      examples: [
        [new Uint8Array(64), [new Uint8Array(0)]],
        [new Uint8Array(65), [new Uint8Array(55), new Uint8Array(64)]],
      ],
    },
  );
});
