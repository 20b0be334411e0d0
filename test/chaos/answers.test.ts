import { expect, test } from '@jest/globals';
import { contradictions, type Answer, type KeptRequest } from '../../src/chaos/answers.js';

const answer = (ids: Answer['ids'], status: string | null = null, ...codes: string[]): Answer => ({
  at: new Date(0),
  gateway: 'http://127.0.0.1:4000',
  ids,
  refusals: codes.map((code) => ({ code, message: code.toLowerCase() })),
  status,
});
const NOTHING = { purchase: null, transaction: null };
const ONE = { purchase: 'pur_1', transaction: 'txn_1' };
const keyOf = (verb: string, ...answers: Answer[]): KeptRequest => ({
  userId: 'ana',
  verb,
  key: 'key',
  input: {},
  answers,
  troubles: [],
});

test.each<[string, KeptRequest]>([
  [
    'one result from its beginning to its end',
    keyOf('purchase', answer(ONE, 'UNKNOWN'), answer(ONE, 'SUCCEEDED'), answer(ONE, 'SUCCEEDED')),
  ],
  ['a decline found out later', keyOf('purchase', answer(ONE, 'PENDING'), answer(ONE, 'FAILED', 'PAYMENT_DECLINED'))],
  ['the same refusal', keyOf('purchase', answer(NOTHING, null, 'NOT_FOR_SALE'), answer(NOTHING, null, 'NOT_FOR_SALE'))],
  ['not yet, and then a result', keyOf('purchase', answer(NOTHING, null, 'IDEMPOTENCY_IN_PROGRESS'), answer(ONE, 'SUCCEEDED'))],
  [
    'a refund that fails after it succeeded',
    keyOf('refund', answer({ refund: 'txn_2' }, 'SUCCEEDED'), answer({ refund: 'txn_2' }, 'FAILED')),
  ],
])('%s is no contradiction', (_what, request) => {
  expect(contradictions(request)).toEqual([]);
});

test.each<[string, KeptRequest, string]>([
  [
    'two results',
    keyOf('purchase', answer(ONE, 'SUCCEEDED'), answer({ purchase: 'pur_2', transaction: 'txn_1' }, 'SUCCEEDED')),
    'its purchase was pur_1 and then pur_2',
  ],
  [
    'a result after a refusal',
    keyOf('purchase', answer(NOTHING, null, 'NOT_FOR_SALE'), answer(ONE, 'SUCCEEDED')),
    'it led to pur_1, txn_1 after it was refused (NOT_FOR_SALE: not_for_sale)',
  ],
  [
    'a refusal after a result',
    keyOf('purchase', answer(ONE, 'SUCCEEDED'), answer(NOTHING, null, 'NOT_FOR_SALE')),
    'it was refused (NOT_FOR_SALE: not_for_sale) after it had led to pur_1, txn_1',
  ],
  [
    'two refusals',
    keyOf('purchase', answer(NOTHING, null, 'NOT_FOR_SALE'), answer(NOTHING, null, 'INVALID_STATE')),
    'it was refused with "NOT_FOR_SALE: not_for_sale" and then with "INVALID_STATE: invalid_state"',
  ],
  ['two ends', keyOf('purchase', answer(ONE, 'FAILED'), answer(ONE, 'SUCCEEDED')), 'it was FAILED and then SUCCEEDED'],
  ['an end taken back', keyOf('purchase', answer(ONE, 'SUCCEEDED'), answer(ONE, 'PENDING')), 'it was SUCCEEDED and then PENDING'],
])('%s under one key are told as a contradiction', (_what, request, text) => {
  expect(contradictions(request)).toContainEqual({ key: 'key', text });
});
