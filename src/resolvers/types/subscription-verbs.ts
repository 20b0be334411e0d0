import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { MoneyInput } from './money.js';
import { NextAction } from './next-action.js';
import { Transaction } from './transaction.js';
import { UserSubscription } from './user-subscription.js';

/** Input of subscribe. */
@InputType({ description: 'Input of subscribe.' })
export class SubscribeInput {
  @Field(() => ID, { description: 'The price to subscribe at.' })
  priceId!: string;

  @Field(() => ID, {
    nullable: true,
    description: "What to charge; default is the user's default method. Not needed when nothing is due.",
  })
  paymentMethodId?: string | null;

  @Field(() => String, { nullable: true, description: 'Code of a coupon.' })
  coupon?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'Begin with the free trial of the price, when the user is entitled to one.',
  })
  useTrial?: boolean | null;

  @Field(() => MoneyInput, {
    nullable: true,
    description: 'Amount the user was shown; refused with PRICE_CHANGED when it differs.',
  })
  expectedAmount?: MoneyInput | null;

  @Field(() => String, {
    nullable: true,
    description: 'Where the provider sends the user back after a redirect; must be on the allow-list.',
  })
  returnUrl?: string | null;

  @Field(() => String, {
    description: 'Chosen by the client, 16 to 128 characters, new for every intent of the user; a UUID is best.',
  })
  idempotencyKey!: string;
}

/** Answer of subscribe. */
@ObjectType({ description: 'Answer of subscribe.', simpleResolvers: true })
export class SubscribePayload {
  @Field(() => UserSubscription, {
    nullable: true,
    description: 'The subscription, possibly INCOMPLETE; null when refused before one was made.',
  })
  subscription!: UserSubscription | null;

  @Field(() => Transaction, { nullable: true, description: 'The first payment; null when nothing was due.' })
  transaction!: Transaction | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do before it is active.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Why a user leaves. */
export const CancellationReason = {
  TOO_EXPENSIVE: 'TOO_EXPENSIVE',
  UNUSED: 'UNUSED',
  MISSING_FEATURES: 'MISSING_FEATURES',
  SWITCHED: 'SWITCHED',
  QUALITY: 'QUALITY',
  OTHER: 'OTHER',
} as const;
export type CancellationReason = keyof typeof CancellationReason;
registerEnumType(CancellationReason, {
  name: 'CancellationReason',
  description: 'Why a user leaves.',
  valuesConfig: {
    TOO_EXPENSIVE: { description: 'Too expensive.' },
    UNUSED: { description: 'Not used enough.' },
    MISSING_FEATURES: { description: 'Something is missing.' },
    SWITCHED: { description: 'Moves to something else.' },
    QUALITY: { description: 'Trouble with the service.' },
    OTHER: { description: 'Anything else.' },
  },
});

/** Input of cancelSubscription. */
@InputType({ description: 'Input of cancelSubscription.' })
export class CancelSubscriptionInput {
  @Field(() => ID, { description: 'Which one.' })
  subscriptionId!: string;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'End at once instead of at the end of the period; nothing is paid back by itself.',
  })
  immediately?: boolean | null;

  @Field(() => CancellationReason, { nullable: true, description: 'Why the user leaves.' })
  reason?: CancellationReason | null;

  @Field(() => String, { nullable: true, description: "The user's own words, at most 1000 characters." })
  comment?: string | null;

  @Field(() => Int, { nullable: true, description: 'Refuse when the subscription has changed since this version.' })
  expectedVersion?: number | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of cancelSubscription. */
@ObjectType({ description: 'Answer of cancelSubscription.', simpleResolvers: true })
export class CancelSubscriptionPayload {
  @Field(() => UserSubscription, { nullable: true, description: 'The subscription afterwards.' })
  subscription!: UserSubscription | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of resumeSubscription. */
@InputType({ description: 'Input of resumeSubscription.' })
export class ResumeSubscriptionInput {
  @Field(() => ID, { description: 'Which one.' })
  subscriptionId!: string;

  @Field(() => Int, { nullable: true, description: 'Refuse when the subscription has changed since this version.' })
  expectedVersion?: number | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of resumeSubscription. */
@ObjectType({ description: 'Answer of resumeSubscription.', simpleResolvers: true })
export class ResumeSubscriptionPayload {
  @Field(() => UserSubscription, { nullable: true, description: 'The subscription afterwards.' })
  subscription!: UserSubscription | null;

  @Field(() => Transaction, { nullable: true, description: 'Payment made on ending a pause, if one was due.' })
  transaction!: Transaction | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do before it is active.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
