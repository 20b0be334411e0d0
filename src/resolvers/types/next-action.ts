import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { PaymentProvider } from './payment-method.js';
import { DateTime } from './scalars.js';

/** Kinds of step. New values are added over time. */
export const NextActionType = {
  CONFIRM_WITH_SDK: 'CONFIRM_WITH_SDK',
  REDIRECT: 'REDIRECT',
  LINK_BANK: 'LINK_BANK',
  VERIFY_MICRO_DEPOSITS: 'VERIFY_MICRO_DEPOSITS',
} as const;
export type NextActionType = keyof typeof NextActionType;
registerEnumType(NextActionType, {
  name: 'NextActionType',
  description: 'Kinds of step. New values are added over time.',
  valuesConfig: {
    CONFIRM_WITH_SDK: {
      description: "Hand clientSecret to the provider's SDK, which shows what is needed (3-D Secure included).",
    },
    REDIRECT: { description: 'Open redirectUrl.' },
    LINK_BANK: { description: 'Open the bank-linking flow with clientSecret.' },
    VERIFY_MICRO_DEPOSITS: { description: 'Wait for two small deposits, then call verifyBankAccount.' },
  },
});

/** A step the user must do before a payment or a payment method is complete. */
@ObjectType({ description: 'A step the user must do before a payment or a payment method is complete.', simpleResolvers: true })
export class NextAction {
  @Field(() => NextActionType, { description: 'What to do.' })
  type!: NextActionType;

  @Field(() => PaymentProvider, { description: 'Whose SDK or page it is.' })
  provider!: PaymentProvider;

  @Field(() => String, {
    nullable: true,
    description:
      "Secret to hand to the provider's SDK. Given to the owner alone and only while the step is open; never logged, never cached.",
  })
  clientSecret!: string | null;

  @Field(() => String, { nullable: true, description: 'Publishable key or client token the SDK needs.' })
  publishableKey!: string | null;

  @Field(() => String, { nullable: true, description: 'Page to send the user to.' })
  redirectUrl!: string | null;

  @Field(() => DateTime, { nullable: true, description: 'After this the step is void and the payment fails or lapses.' })
  expiresAt!: Date | null;
}
