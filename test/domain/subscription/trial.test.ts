import { expect, test } from '@jest/globals';
import {
  decideTrial,
  decideTrialEnd,
  identitiesOf,
  normalizedEmail,
  type TrialFacts,
} from '../../../src/domain/subscription/trial.js';

const ana = { userId: 'ana', emailHash: 'm1', cardFingerprint: 'f1', paypalPayerId: null, bankFingerprint: null };
const wish: TrialFacts = {
  trialDays: 14,
  person: ana,
  usedIdentities: [],
  method: { kind: 'card', status: 'active' },
  withoutMethod: 'end',
};

test('a person is known by user, mail, card, PayPal payer and bank account (V3)', () => {
  expect(identitiesOf({ ...ana, paypalPayerId: 'p1', bankFingerprint: 'b1' })).toEqual([
    'user:ana',
    'mail:m1',
    'card:f1',
    'paypal:p1',
    'bank:b1',
  ]);
});

test.each([
  ['Ana@Example.com', 'ana@example.com'],
  [' ana+trial2@example.com ', 'ana@example.com'],
  ['a.n.a+x@gmail.com', 'ana@gmail.com'],
  ['a.n.a@googlemail.com', 'ana@gmail.com'],
  ['a.n.a@example.com', 'a.n.a@example.com'],
])('%s is the mailbox %s (V3)', (address, mailbox) => expect(normalizedEmail(address)).toBe(mailbox));

test('a trial with a card is charged at its end, one without ends or pauses by policy (V3)', () => {
  expect(decideTrial(wish)).toEqual({ kind: 'approved', identities: ['user:ana', 'mail:m1', 'card:f1'], atEnd: 'charge' });
  expect(decideTrial({ ...wish, method: null })).toMatchObject({ atEnd: 'end' });
  expect(decideTrial({ ...wish, method: null, withoutMethod: 'pause' })).toMatchObject({ atEnd: 'pause' });
});

test.each(['user:ana', 'mail:m1', 'card:f1'])('a trial is had once, whether known by %s (V3)', (used) => {
  expect(decideTrial({ ...wish, usedIdentities: [used] })).toMatchObject({ code: 'TRIAL_ALREADY_USED' });
});

test('there is no trial without days, nor with a card that cannot be told apart (V3)', () => {
  expect(decideTrial({ ...wish, trialDays: 0 })).toMatchObject({ code: 'INVALID_INPUT' });
  const faceless = { ...ana, cardFingerprint: null };
  expect(decideTrial({ ...wish, person: faceless })).toMatchObject({ code: 'PAYMENT_METHOD_UNUSABLE' });
  expect(decideTrial({ ...wish, person: faceless, method: null })).toMatchObject({ kind: 'approved' });
});

const trialEndsAt = new Date('2026-03-01T00:00:00Z');
const end = { trialEndsAt, cancelAtPeriodEnd: false, hasMethod: true, withoutMethod: 'end' as const, isNoticeSent: true };

test('a trial of whose end the customer was told becomes a paid period at its end (S4, C2)', () => {
  expect(decideTrialEnd(end, new Date(trialEndsAt.getTime() - 1))).toEqual({ kind: 'not_due' });
  expect(decideTrialEnd(end, trialEndsAt)).toEqual({ kind: 'convert', anchorAt: trialEndsAt });
});

test('a trial of whose end nobody was told goes on for eight days from now (C2)', () => {
  const late = new Date('2026-03-05T00:00:00Z');
  expect(decideTrialEnd({ ...end, isNoticeSent: false }, late)).toEqual({
    kind: 'postpone',
    trialEndsAt: new Date('2026-03-13T00:00:00Z'),
  });
});

test('at the end of a trial a cancellation wins, and without a method the policy decides (S4, V3)', () => {
  const canceled = { ...end, cancelAtPeriodEnd: true, hasMethod: false, isNoticeSent: false };
  expect(decideTrialEnd(canceled, trialEndsAt)).toMatchObject({ kind: 'end', endReason: 'customer' });
  expect(decideTrialEnd({ ...end, hasMethod: false }, trialEndsAt)).toMatchObject({ kind: 'end', endReason: 'trial_over' });
  expect(decideTrialEnd({ ...end, hasMethod: false, withoutMethod: 'pause' }, trialEndsAt)).toMatchObject({ kind: 'pause' });
});
