import { Directive, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { MoneyInput } from './money.js';
import { NextAction } from './next-action.js';
import { Purchase } from './purchase.js';
import { Transaction } from './transaction.js';
import { UserSubscription } from './user-subscription.js';

/** Input of purchase. */
@InputType({ description: 'Input of purchase.' })
export class PurchaseInput {
  @Field(() => ID, { description: 'The price to buy at.' })
  priceId!: string;

  @Field(() => Int, { nullable: true, defaultValue: 1, description: 'How many, 1 to 100.' })
  quantity?: number | null;

  @Field(() => ID, { nullable: true, description: "What to charge; default is the user's default method." })
  paymentMethodId?: string | null;

  @Field(() => MoneyInput, {
    nullable: true,
    description: 'Amount for all of it that the user was shown; refused with PRICE_CHANGED when it differs.',
  })
  expectedAmount?: MoneyInput | null;

  @Field(() => String, {
    nullable: true,
    description: 'Where the provider sends the user back after a redirect; must be on the allow-list.',
  })
  returnUrl?: string | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of purchase. */
@ObjectType({ description: 'Answer of purchase.', simpleResolvers: true })
export class PurchasePayload {
  @Field(() => Purchase, { nullable: true, description: 'The purchase; null when refused before one was made.' })
  purchase!: Purchase | null;

  @Field(() => Transaction, { nullable: true, description: 'The payment.' })
  transaction!: Transaction | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do before it is paid.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of confirmPayment. */
@InputType({ description: 'Input of confirmPayment.' })
export class ConfirmPaymentInput {
  @Field(() => ID, { description: 'The payment that had a nextAction.' })
  transactionId!: string;
}

/** Answer of confirmPayment. */
@ObjectType({ description: 'Answer of confirmPayment.', simpleResolvers: true })
export class ConfirmPaymentPayload {
  @Field(() => Transaction, { nullable: true, description: 'The payment as the provider sees it now.' })
  transaction!: Transaction | null;

  @Field(() => UserSubscription, { nullable: true, description: 'The subscription it is for.' })
  subscription!: UserSubscription | null;

  @Field(() => NextAction, { nullable: true, description: 'What is still to do.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Why money is paid back. */
export const RefundReason = {
  REQUESTED: 'REQUESTED',
  DUPLICATE: 'DUPLICATE',
  FRAUDULENT: 'FRAUDULENT',
  SERVICE_FAILURE: 'SERVICE_FAILURE',
  LEGAL: 'LEGAL',
} as const;
export type RefundReason = keyof typeof RefundReason;
registerEnumType(RefundReason, {
  name: 'RefundReason',
  description: 'Why money is paid back.',
  valuesConfig: {
    REQUESTED: { description: 'The user asked.' },
    DUPLICATE: { description: 'Charged twice or by mistake.' },
    FRAUDULENT: { description: "Not the user's doing." },
    SERVICE_FAILURE: { description: 'The service was not delivered.' },
    LEGAL: { description: 'Consumer law.' },
  },
});

/** Input of refund. */
@InputType({ description: 'Input of refund.' })
export class RefundInput {
  @Field(() => ID, { description: 'The charge.' })
  transactionId!: string;

  @Field(() => MoneyInput, { nullable: true, description: 'How much; default is all that is left.' })
  amount?: MoneyInput | null;

  @Field(() => RefundReason, { description: 'Why.' })
  reason!: RefundReason;

  @Field(() => String, { nullable: true, description: 'Note for the records, at most 1000 characters.' })
  note?: string | null;

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: "Also end the subscription at once; giving back all of the current period's charge ends it in any case.",
  })
  endSubscription?: boolean | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of refund. */
@Directive('@tag(name: "staff")')
@ObjectType({ description: 'Answer of refund.', simpleResolvers: true })
export class RefundPayload {
  @Field(() => Transaction, { nullable: true, description: 'The refund.' })
  refund!: Transaction | null;

  @Field(() => Transaction, { nullable: true, description: 'The charge afterwards.' })
  original!: Transaction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
