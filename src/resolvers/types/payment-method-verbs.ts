import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { NextAction } from './next-action.js';
import { PaymentMethod, PaymentMethodKind } from './payment-method.js';

/** Input of startPaymentMethodSetup. */
@InputType({ description: 'Input of startPaymentMethodSetup.' })
export class StartPaymentMethodSetupInput {
  @Field(() => PaymentMethodKind, { description: 'Kind to add.' })
  kind!: PaymentMethodKind;

  @Field(() => Boolean, { nullable: true, defaultValue: true, description: 'Make it the default once it works.' })
  makeDefault?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description: 'Where the provider sends the user back after a redirect; must be on the allow-list.',
  })
  returnUrl?: string | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of startPaymentMethodSetup. */
@ObjectType({ description: 'Answer of startPaymentMethodSetup.', simpleResolvers: true })
export class StartPaymentMethodSetupPayload {
  @Field(() => ID, { nullable: true, description: 'Send it back to completePaymentMethodSetup.' })
  setupId!: string | null;

  @Field(() => NextAction, { nullable: true, description: 'What the client must do.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of completePaymentMethodSetup. */
@InputType({ description: 'Input of completePaymentMethodSetup.' })
export class CompletePaymentMethodSetupInput {
  @Field(() => ID, { description: 'From startPaymentMethodSetup.' })
  setupId!: string;

  @Field(() => String, {
    nullable: true,
    description:
      "Token the provider's SDK gave, where the flow has one: a card token (pm_...), which is then confirmed here, or a bank link's.",
  })
  providerToken?: string | null;
}

/** Answer of completePaymentMethodSetup. */
@ObjectType({ description: 'Answer of completePaymentMethodSetup.', simpleResolvers: true })
export class CompletePaymentMethodSetupPayload {
  @Field(() => PaymentMethod, { nullable: true, description: 'The method; may be PENDING_VERIFICATION.' })
  paymentMethod!: PaymentMethod | null;

  @Field(() => NextAction, { nullable: true, description: 'What is still to do.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of setDefaultPaymentMethod. */
@InputType({ description: 'Input of setDefaultPaymentMethod.' })
export class SetDefaultPaymentMethodInput {
  @Field(() => ID, { description: 'Which one.' })
  paymentMethodId!: string;
}

/** Answer of setDefaultPaymentMethod. */
@ObjectType({ description: 'Answer of setDefaultPaymentMethod.', simpleResolvers: true })
export class SetDefaultPaymentMethodPayload {
  @Field(() => PaymentMethod, { nullable: true, description: 'The method afterwards.' })
  paymentMethod!: PaymentMethod | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of removePaymentMethod. */
@InputType({ description: 'Input of removePaymentMethod.' })
export class RemovePaymentMethodInput {
  @Field(() => ID, { description: 'Which one.' })
  paymentMethodId!: string;
}

/** Answer of removePaymentMethod. */
@ObjectType({ description: 'Answer of removePaymentMethod.', simpleResolvers: true })
export class RemovePaymentMethodPayload {
  @Field(() => ID, { nullable: true, description: 'Id of what was removed.' })
  removedPaymentMethodId!: string | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
