import { Field, Int, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';
import { typeNameOf } from './node.js';
import { PaymentFailure } from './payment-failure.js';
import { UserSubscription } from './user-subscription.js';

/** Every reason a mutation may refuse. New values are added over time: clients need a default branch. */
export const BillingErrorCode = {
  INVALID_INPUT: 'INVALID_INPUT',
  NOT_FOUND: 'NOT_FOUND',
  INVALID_STATE: 'INVALID_STATE',
  ALREADY_SUBSCRIBED: 'ALREADY_SUBSCRIBED',
  NOT_FOR_SALE: 'NOT_FOR_SALE',
  PAYMENT_DECLINED: 'PAYMENT_DECLINED',
  PAYMENT_METHOD_UNUSABLE: 'PAYMENT_METHOD_UNUSABLE',
  COUPON_NOT_APPLICABLE: 'COUPON_NOT_APPLICABLE',
  TRIAL_ALREADY_USED: 'TRIAL_ALREADY_USED',
  REFUND_EXCEEDS_CHARGE: 'REFUND_EXCEEDS_CHARGE',
  PRICE_CHANGED: 'PRICE_CHANGED',
  IDEMPOTENCY_KEY_REUSED: 'IDEMPOTENCY_KEY_REUSED',
  IDEMPOTENCY_IN_PROGRESS: 'IDEMPOTENCY_IN_PROGRESS',
  RISK_REFUSED: 'RISK_REFUSED',
  PROVIDER_UNAVAILABLE: 'PROVIDER_UNAVAILABLE',
  RATE_LIMITED: 'RATE_LIMITED',
  STALE_VERSION: 'STALE_VERSION',
} as const;
export type BillingErrorCode = keyof typeof BillingErrorCode;
registerEnumType(BillingErrorCode, {
  name: 'BillingErrorCode',
  description: 'Every reason a mutation may refuse. New values are added over time: clients need a default branch.',
  valuesConfig: {
    INVALID_INPUT: { description: 'An input value has a wrong form or is out of range.' },
    NOT_FOUND: { description: 'No such object, or the caller may not see it (the two are not told apart).' },
    INVALID_STATE: { description: 'The object is in a state that does not allow this verb.' },
    ALREADY_SUBSCRIBED: { description: 'The user already holds a live subscription of this kind.' },
    NOT_FOR_SALE: { description: 'The tier, price or product is retired or not sold in this country or currency.' },
    PAYMENT_DECLINED: { description: 'The payment provider or the bank declined.' },
    PAYMENT_METHOD_UNUSABLE: {
      description: 'The payment method cannot be used: expired, removed, unverified or of a kind the price does not accept.',
    },
    COUPON_NOT_APPLICABLE: { description: 'The coupon does not exist, is used up, expired or does not fit.' },
    TRIAL_ALREADY_USED: { description: 'The user has had this trial already.' },
    REFUND_EXCEEDS_CHARGE: { description: 'More would be refunded than is left of the charge.' },
    PRICE_CHANGED: { description: 'The price seen by the client is no longer the price; fetch again and ask the user.' },
    IDEMPOTENCY_KEY_REUSED: { description: 'The same idempotency key came with a different input.' },
    IDEMPOTENCY_IN_PROGRESS: { description: 'The first request with this key is still running.' },
    RISK_REFUSED: { description: 'Refused by fraud prevention; deliberately no detail.' },
    PROVIDER_UNAVAILABLE: {
      description: 'The provider could not be reached; nothing was charged as far as is known, and the same key may be retried.',
    },
    RATE_LIMITED: { description: 'A limit on how often this may be done was reached.' },
    STALE_VERSION: { description: 'Someone changed the object since the version that was sent.' },
  },
});

/** A refusal as data. Read code; message is English text for developers and may change at any time. */
@InterfaceType({
  description: 'A refusal as data. Read code; message is English text for developers and may change at any time.',
  resolveType: typeNameOf,
})
export abstract class BillingError {
  /** Name of the concrete type. */
  readonly __typename!: string;

  @Field(() => BillingErrorCode, { description: 'Machine-readable reason.' })
  code!: BillingErrorCode;

  @Field(() => String, { description: 'Explanation for a developer or support agent; not for showing to end users unchanged.' })
  message!: string;

  @Field(() => [String], {
    nullable: true,
    description: 'Path of the offending input field, e.g. [input, coupon]; null when no single field is at fault.',
  })
  field!: string[] | null;
}

/** A wrong or impossible input value. */
@ObjectType({ description: 'A wrong or impossible input value.', implements: BillingError, simpleResolvers: true })
export class InvalidInputError {
  readonly __typename!: 'InvalidInputError';

  @Field(() => BillingErrorCode, { description: 'Machine-readable reason.' })
  code!: BillingErrorCode;

  @Field(() => String, { description: 'Explanation for a developer.' })
  message!: string;

  @Field(() => [String], { nullable: true, description: 'Path of the offending input field.' })
  field!: string[] | null;
}

/** The state of things forbids the verb. */
@ObjectType({ description: 'The state of things forbids the verb.', implements: BillingError, simpleResolvers: true })
export class StateConflictError {
  readonly __typename!: 'StateConflictError';

  @Field(() => BillingErrorCode, { description: 'Machine-readable reason.' })
  code!: BillingErrorCode;

  @Field(() => String, { description: 'Explanation for a developer.' })
  message!: string;

  @Field(() => [String], { nullable: true, description: 'Path of the offending input field.' })
  field!: string[] | null;

  @Field(() => UserSubscription, { nullable: true, description: 'The subscription standing in the way, where there is one.' })
  subscription!: UserSubscription | null;
}

/** The charge, or the check of a new payment method, was tried and declined. */
@ObjectType({
  description: 'The charge, or the check of a new payment method, was tried and declined.',
  implements: BillingError,
  simpleResolvers: true,
})
export class PaymentDeclinedError {
  readonly __typename!: 'PaymentDeclinedError';

  @Field(() => BillingErrorCode, { description: 'Machine-readable reason.' })
  code!: BillingErrorCode;

  @Field(() => String, { description: 'Explanation for a developer.' })
  message!: string;

  @Field(() => [String], { nullable: true, description: 'Path of the offending input field.' })
  field!: string[] | null;

  @Field(() => PaymentFailure, { description: 'What went wrong and what may help.' })
  failure!: PaymentFailure;
}

/** The request cannot be served now; send it again unchanged, with the same key, after the delay. */
@ObjectType({
  description: 'The request cannot be served now; send it again unchanged, with the same key, after the delay.',
  implements: BillingError,
  simpleResolvers: true,
})
export class TryAgainError {
  readonly __typename!: 'TryAgainError';

  @Field(() => BillingErrorCode, { description: 'Machine-readable reason.' })
  code!: BillingErrorCode;

  @Field(() => String, { description: 'Explanation for a developer.' })
  message!: string;

  @Field(() => [String], { nullable: true, description: 'Path of the offending input field.' })
  field!: string[] | null;

  @Field(() => Int, { description: 'Shortest sensible delay in milliseconds.' })
  retryAfterMs!: number;
}
