import { beforeEach, expect, test } from '@jest/globals';
import { RateLimits } from '../../src/graphql/rate-limits.js';

let nowMs = 0;
let limits: RateLimits;
beforeEach(() => {
  nowMs = 1_000_000;
  limits = new RateLimits({ now: () => new Date(nowMs) });
});

const spend = (cost: number, caller = 'user:ana'): number | null => limits.take({ caller, cost, verbs: [] });
const verb = (field: string, idempotencyKey: string | null = null, caller = 'user:ana'): number | null =>
  limits.take({ caller, cost: 50, verbs: [{ field, idempotencyKey }] });

test('a burst of 3,000 is let through, then 600 a second', () => {
  for (let sent = 0; sent < 3; sent += 1) expect(spend(1_000)).toBeNull();
  expect(spend(600)).toBe(1_000);
  nowMs += 999;
  expect(spend(600)).toBe(1);
  nowMs += 1;
  expect(spend(600)).toBeNull();
});

test('a rest does not save up more than the burst', () => {
  nowMs += 86_400_000;
  for (let sent = 0; sent < 3; sent += 1) expect(spend(1_000)).toBeNull();
  expect(spend(1)).not.toBeNull();
});

test('one caller does not spend for another', () => {
  expect(spend(3_000)).toBeNull();
  expect(spend(1)).not.toBeNull();
  expect(spend(3_000, 'user:bob')).toBeNull();
  expect(spend(300, 'address:127.0.0.1')).toBeNull();
});

test('an operation dearer than the burst takes all of it rather than waiting for ever', () => {
  expect(spend(5_000)).toBeNull();
  expect(spend(3_000)).toBe(5_000);
});

test.each`
  field                           | perWindow | windowMs
  ${'subscribe'}                  | ${10}     | ${60_000}
  ${'refund'}                     | ${10}     | ${60_000}
  ${'startPaymentMethodSetup'}    | ${10}     | ${3_600_000}
  ${'completePaymentMethodSetup'} | ${10}     | ${3_600_000}
`('$field may be sent $perWindow times in $windowMs ms', ({ field, perWindow, windowMs }) => {
  for (let sent = 0; sent < Number(perWindow); sent += 1) expect(verb(String(field))).toBeNull();
  const waitMs = verb(String(field));
  expect(waitMs).toBe(Number(windowMs) / Number(perWindow));
  expect(verb('purchase')).toBeNull();
  nowMs += waitMs ?? 0;
  expect(verb(String(field))).toBeNull();
  expect(verb(String(field))).not.toBeNull();
});

test('a repeat under the same idempotency key costs no turn', () => {
  for (let sent = 0; sent < 10; sent += 1) expect(verb('subscribe', `key-${sent}`)).toBeNull();
  for (let sent = 0; sent < 10; sent += 1) expect(verb('subscribe', `key-${sent}`)).toBeNull();
  expect(verb('subscribe', 'key-new')).not.toBeNull();
  expect(verb('purchase', 'key-0')).toBeNull();
});

test('what was refused took nothing', () => {
  for (let sent = 0; sent < 10; sent += 1) verb('subscribe', `key-${sent}`);
  nowMs += 60_000;
  expect(spend(2_990)).toBeNull();
  const before = spend(3_000);
  for (let sent = 0; sent < 5; sent += 1) spend(3_000);
  expect(spend(3_000)).toBe(before);
});

test('a clock that is set back gives nothing away and takes nothing', () => {
  expect(spend(3_000)).toBeNull();
  nowMs -= 500_000;
  expect(spend(600)).toBe(1_000);
});
