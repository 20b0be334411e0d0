import { Field, ObjectType, registerEnumType } from 'type-graphql';

/** Broad reasons for a failed payment. */
export const PaymentFailureCategory = {
  INSUFFICIENT_FUNDS: 'INSUFFICIENT_FUNDS',
  METHOD_INVALID: 'METHOD_INVALID',
  AUTHENTICATION_REQUIRED: 'AUTHENTICATION_REQUIRED',
  AUTHENTICATION_FAILED: 'AUTHENTICATION_FAILED',
  DO_NOT_HONOR: 'DO_NOT_HONOR',
  FRAUD: 'FRAUD',
  PROVIDER_ERROR: 'PROVIDER_ERROR',
  OTHER: 'OTHER',
} as const;
export type PaymentFailureCategory = keyof typeof PaymentFailureCategory;
registerEnumType(PaymentFailureCategory, {
  name: 'PaymentFailureCategory',
  description: 'Broad reasons for a failed payment.',
  valuesConfig: {
    INSUFFICIENT_FUNDS: { description: 'Not enough money or over a limit.' },
    METHOD_INVALID: { description: 'The card or account is expired, closed or wrong.' },
    AUTHENTICATION_REQUIRED: { description: 'The bank wants the user to authenticate.' },
    AUTHENTICATION_FAILED: { description: 'The user failed or gave up the authentication.' },
    DO_NOT_HONOR: { description: 'The bank refused without saying more.' },
    FRAUD: { description: 'Reported lost or stolen, or refused by fraud prevention. Never retried.' },
    PROVIDER_ERROR: { description: 'The provider or network was out of order.' },
    OTHER: { description: 'Anything else.' },
  },
});

/** What a user can do about a failed payment. */
export const PaymentAdvice = {
  WAIT: 'WAIT',
  AUTHENTICATE: 'AUTHENTICATE',
  UPDATE_METHOD: 'UPDATE_METHOD',
  USE_ANOTHER_METHOD: 'USE_ANOTHER_METHOD',
  CONTACT_BANK: 'CONTACT_BANK',
  CONTACT_SUPPORT: 'CONTACT_SUPPORT',
} as const;
export type PaymentAdvice = keyof typeof PaymentAdvice;
registerEnumType(PaymentAdvice, {
  name: 'PaymentAdvice',
  description: 'What a user can do about a failed payment.',
  valuesConfig: {
    WAIT: { description: 'Wait: a planned retry follows, or the user tries again later.' },
    AUTHENTICATE: { description: 'Confirm with the bank, see nextAction.' },
    UPDATE_METHOD: { description: 'Check or replace the payment method.' },
    USE_ANOTHER_METHOD: { description: 'Try another payment method.' },
    CONTACT_BANK: { description: 'Ask the bank.' },
    CONTACT_SUPPORT: { description: 'Ask our support.' },
  },
});

/** Why a payment failed, in the provider-independent terms that clients can act on. */
@ObjectType({
  description: 'Why a payment failed, in the provider-independent terms that clients can act on.',
  simpleResolvers: true,
})
export class PaymentFailure {
  @Field(() => PaymentFailureCategory, { description: 'Broad reason.' })
  category!: PaymentFailureCategory;

  @Field(() => String, {
    nullable: true,
    description: "The provider's decline code, e.g. insufficient_funds; a string, since providers add codes freely.",
  })
  declineCode!: string | null;

  @Field(() => Boolean, { description: 'Whether trying the same method again can work.' })
  isRetryable!: boolean;

  @Field(() => PaymentAdvice, { description: 'What the user can do.' })
  advice!: PaymentAdvice;
}
