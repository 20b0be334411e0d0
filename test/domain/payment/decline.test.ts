import { expect, test } from '@jest/globals';
import {
  classifyDecline,
  DECLINE_CLASSES,
  failureOf,
  MASTERCARD_ADVICE,
  refundFailure,
  STRIPE_CODES,
  VISA_RESPONSES,
  type DeclineFacts,
  type FailureFacts,
} from '../../../src/domain/payment/decline.js';

function codes(more: Partial<DeclineFacts>): DeclineFacts {
  return {
    code: 'card_declined',
    declineCode: null,
    adviceCode: null,
    networkDeclineCode: null,
    networkAdviceCode: null,
    ...more,
  };
}

function failure(declineCode: string | null, more: Partial<FailureFacts> = {}) {
  return failureOf({ codes: codes({ declineCode }), attemptStatus: 'declined', reader: 'owner', isFirstPayment: true, ...more });
}

test.each<{ declineCode: string | null; declineClass: string }>`
  declineCode                      | declineClass
  ${'insufficient_funds'}          | ${'SOFT_LATER'}
  ${'generic_decline'}             | ${'SOFT_LATER'}
  ${'do_not_honor'}                | ${'SOFT_LATER'}
  ${null}                          | ${'SOFT_LATER'}
  ${'a_code_of_tomorrow'}          | ${'SOFT_LATER'}
  ${'call_issuer'}                 | ${'CUSTOMER_ACTION'}
  ${'authentication_required'}     | ${'CUSTOMER_ACTION'}
  ${'processing_error'}            | ${'BACKOFF'}
  ${'expired_card'}                | ${'NEW_METHOD'}
  ${'incorrect_cvc'}               | ${'NEW_METHOD'}
  ${'lost_card'}                   | ${'HARD_NEVER'}
  ${'revocation_of_authorization'} | ${'HARD_NEVER'}
  ${'fraudulent'}                  | ${'FRAUD'}
  ${'duplicate_transaction'}       | ${'OURS'}
`('$declineCode is $declineClass', ({ declineCode, declineClass }) => {
  expect(classifyDecline(codes({ declineCode }))).toBe(declineClass);
});

test('no code stands in two rows of a table', () => {
  for (const table of [STRIPE_CODES, MASTERCARD_ADVICE, VISA_RESPONSES]) {
    const all = table.flatMap(([, , row]) => row.split(' '));
    expect(new Set(all).size).toBe(all.length);
  }
});

test.each<[string, Partial<DeclineFacts>, string]>([
  [
    'insufficient funds with advice not to try again',
    { declineCode: 'insufficient_funds', adviceCode: 'do_not_try_again' },
    'HARD_NEVER',
  ],
  [
    'a generic decline with advice to confirm the data',
    { declineCode: 'generic_decline', adviceCode: 'confirm_card_data' },
    'NEW_METHOD',
  ],
  ['a lost card with advice to try later', { declineCode: 'lost_card', adviceCode: 'try_again_later' }, 'HARD_NEVER'],
  [
    'a processing error with advice to try later',
    { declineCode: 'processing_error', adviceCode: 'try_again_later' },
    'SOFT_LATER',
  ],
  ['Mastercard advice 03', { declineCode: 'generic_decline', networkAdviceCode: '03' }, 'HARD_NEVER'],
  [
    'Mastercard advice 24 with 51',
    { declineCode: 'insufficient_funds', networkDeclineCode: '51', networkAdviceCode: '24' },
    'SOFT_LATER',
  ],
  ['Mastercard advice 43, information only', { declineCode: 'expired_card', networkAdviceCode: '43' }, 'NEW_METHOD'],
  ['Mastercard response 79 without advice', { declineCode: 'generic_decline', networkDeclineCode: '79' }, 'NEW_METHOD'],
  [
    'Mastercard response 79 with advice 02',
    { declineCode: 'generic_decline', networkDeclineCode: '79', networkAdviceCode: '02' },
    'SOFT_LATER',
  ],
  ['Visa response 46, category 1', { declineCode: 'generic_decline', networkDeclineCode: '46' }, 'HARD_NEVER'],
  ['Visa response 14, category 3', { declineCode: 'generic_decline', networkDeclineCode: '14' }, 'NEW_METHOD'],
  ['Visa response 05, category 4', { declineCode: 'call_issuer', networkDeclineCode: '05' }, 'CUSTOMER_ACTION'],
  ['an error code stricter than the decline code', { code: 'expired_card', declineCode: 'generic_decline' }, 'NEW_METHOD'],
])('%s is classed by the strictest', (_, more, declineClass) => {
  expect(classifyDecline(codes(more))).toBe(declineClass);
});

test('a decline code and its network code are never swapped: each is looked up only in its own table', () => {
  expect(classifyDecline(codes({ declineCode: '46' }))).toBe('SOFT_LATER');
  expect(classifyDecline(codes({ networkDeclineCode: 'lost_card' }))).toBe('SOFT_LATER');
  expect(classifyDecline(codes({ networkDeclineCode: '99' }))).toBe('SOFT_LATER');
});

test.each<{ declineCode: string; category: string; advice: string; isRetryable: boolean }>`
  declineCode                                | category                     | advice                  | isRetryable
  ${'insufficient_funds'}                    | ${'INSUFFICIENT_FUNDS'}      | ${'USE_ANOTHER_METHOD'} | ${true}
  ${'generic_decline'}                       | ${'DO_NOT_HONOR'}            | ${'USE_ANOTHER_METHOD'} | ${true}
  ${'do_not_honor'}                          | ${'DO_NOT_HONOR'}            | ${'CONTACT_BANK'}       | ${true}
  ${'expired_card'}                          | ${'METHOD_INVALID'}          | ${'UPDATE_METHOD'}      | ${false}
  ${'incorrect_cvc'}                         | ${'METHOD_INVALID'}          | ${'UPDATE_METHOD'}      | ${false}
  ${'card_not_supported'}                    | ${'METHOD_INVALID'}          | ${'USE_ANOTHER_METHOD'} | ${false}
  ${'authentication_required'}               | ${'AUTHENTICATION_REQUIRED'} | ${'AUTHENTICATE'}       | ${false}
  ${'payment_intent_authentication_failure'} | ${'AUTHENTICATION_FAILED'}   | ${'AUTHENTICATE'}       | ${false}
  ${'processing_error'}                      | ${'PROVIDER_ERROR'}          | ${'WAIT'}               | ${true}
`('the customer is told of $declineCode: $category, $advice', ({ declineCode, category, advice, isRetryable }) => {
  expect(failure(declineCode)).toEqual({ category, advice, isRetryable, declineCode });
});

test('waiting for funds is advised only where somebody will try again', () => {
  expect(failure('insufficient_funds', { isFirstPayment: false }).advice).toBe('WAIT');
});

test.each(['lost_card', 'stolen_card', 'pickup_card', 'fraudulent', 'merchant_blacklist', 'highest_risk_level'])(
  'the customer is not told that the reason is %s; staff is',
  (declineCode) => {
    expect(failure(declineCode)).toMatchObject({
      category: 'DO_NOT_HONOR',
      declineCode: 'generic_decline',
      advice: 'USE_ANOTHER_METHOD',
    });
    expect(failure(declineCode, { reader: 'staff' })).toMatchObject({ category: 'FRAUD', declineCode });
  },
);

test('a network code that means lost or stolen changes no word of what the customer sees', () => {
  const told = failureOf({
    codes: codes({ declineCode: 'generic_decline', networkDeclineCode: '43' }),
    attemptStatus: 'declined',
    reader: 'owner',
    isFirstPayment: true,
  });
  expect(told).toMatchObject({ category: 'DO_NOT_HONOR', declineCode: 'generic_decline', advice: 'USE_ANOTHER_METHOD' });
});

test('a network code that says only when does not hide why', () => {
  const told = failureOf({
    codes: codes({ declineCode: 'processing_error', networkDeclineCode: '96' }),
    attemptStatus: 'declined',
    reader: 'owner',
    isFirstPayment: true,
  });
  expect(told).toMatchObject({ category: 'PROVIDER_ERROR', isRetryable: true });
});

test('what was not executed may be tried again; what was given up had not been authenticated; a failed refund is for support', () => {
  expect(failure(null, { codes: null, attemptStatus: 'not_executed' })).toMatchObject({
    category: 'PROVIDER_ERROR',
    isRetryable: true,
    advice: 'WAIT',
  });
  expect(failure(null, { codes: null, attemptStatus: 'canceled' })).toMatchObject({ category: 'AUTHENTICATION_FAILED' });
  expect(failure(null, { codes: null })).toMatchObject({ category: 'DO_NOT_HONOR', declineCode: null });
  expect(refundFailure()).toMatchObject({ category: 'OTHER', advice: 'CONTACT_SUPPORT' });
});

test('every class is used', () => {
  expect(new Set(STRIPE_CODES.map(([declineClass]) => declineClass))).toEqual(new Set(DECLINE_CLASSES));
});
