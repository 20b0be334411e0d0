import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Secret } from '../../src/platform/secret.js';
import { FeedCursors } from '../../src/subscriptions/feed-cursor.js';

const cursors = new FeedCursors(new Secret('a secret'));

test('a cursor leads back to its place for its user', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), fc.bigInt({ min: 0n, max: 2n ** 62n }), (userId, sequence) => {
      expect(cursors.read(userId, cursors.write(userId, sequence))).toBe(sequence);
    }),
  );
});

test("another user's cursor is refused", () => {
  expect(cursors.read('bob', cursors.write('ana', 7n))).toBeNull();
});

test('a cursor of another secret is refused', () => {
  expect(cursors.read('ana', new FeedCursors(new Secret('another secret')).write('ana', 7n))).toBeNull();
});

test('a cursor with any character changed, added or left out is refused', () => {
  const cursor = cursors.write('ana', 7n);
  for (let place = 0; place < cursor.length; place += 1) {
    const changed = cursor[place] === 'A' ? 'B' : 'A';
    expect(cursors.read('ana', cursor.slice(0, place) + changed + cursor.slice(place + 1))).toBeNull();
    expect(cursors.read('ana', cursor.slice(0, place) + cursor.slice(place + 1))).toBeNull();
  }
  for (const other of ['', 'x', `${cursor}A`, `${cursor}=`, ' ', 'null']) expect(cursors.read('ana', other)).toBeNull();
});
