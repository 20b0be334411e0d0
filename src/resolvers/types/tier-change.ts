import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { InvoicePreview } from './invoice-preview.js';
import { Money } from './money.js';
import { NextAction } from './next-action.js';
import { DateTime } from './scalars.js';
import { TierPrice } from './tier.js';
import { Transaction } from './transaction.js';
import { UserSubscription } from './user-subscription.js';

/** When a change takes effect. */
export const ChangeTiming = { NOW: 'NOW', PERIOD_END: 'PERIOD_END' } as const;
export type ChangeTiming = keyof typeof ChangeTiming;
registerEnumType(ChangeTiming, {
  name: 'ChangeTiming',
  description: 'When a change takes effect.',
  valuesConfig: {
    NOW: { description: 'At once, settling the rest of the period.' },
    PERIOD_END: { description: 'At the end of the period, without settling.' },
  },
});

/** A change of tier waiting for the end of the period. */
@ObjectType({ description: 'A change of tier waiting for the end of the period.', simpleResolvers: true })
export class PendingTierChange {
  @Field(() => TierPrice, { description: 'What it will become.' })
  price!: TierPrice;

  @Field(() => DateTime, { description: 'When.' })
  effectiveAt!: Date;
}

/** A change of tier to be priced. */
@InputType({ description: 'A change of tier to be priced.' })
export class PreviewTierChangeInput {
  @Field(() => ID, { description: 'The subscription.' })
  subscriptionId!: string;

  @Field(() => ID, { description: 'The price it would move to.' })
  newPriceId!: string;

  @Field(() => ChangeTiming, {
    nullable: true,
    description: 'When it would happen; default is NOW for an upgrade and PERIOD_END for a downgrade.',
  })
  timing?: ChangeTiming | null;
}

/** What a change of tier would cost. */
@ObjectType({ description: 'What a change of tier would cost.', simpleResolvers: true })
export class TierChangePreview {
  @Field(() => Boolean, { description: 'Whether it is an upgrade, by rank.' })
  isUpgrade!: boolean;

  @Field(() => DateTime, { description: 'When it would take effect.' })
  effectiveAt!: Date;

  @Field(() => Money, { description: 'What would be charged at that moment; zero when nothing is due.' })
  dueNow!: Money;

  @Field(() => Money, { description: 'Credit for what is left of the period.' })
  credit!: Money;

  @Field(() => InvoicePreview, { description: 'The next regular invoice after the change.' })
  nextInvoice!: InvoicePreview;

  @Field(() => ID, { description: 'Send it with changeTier to get exactly these amounts.' })
  quoteId!: string;

  @Field(() => DateTime, { description: 'The quote holds until then (ten minutes).' })
  expiresAt!: Date;
}

/** Input of changeTier. */
@InputType({ description: 'Input of changeTier.' })
export class ChangeTierInput {
  @Field(() => ID, { description: 'Which one.' })
  subscriptionId!: string;

  @Field(() => ID, { description: 'The price to move to.' })
  newPriceId!: string;

  @Field(() => ChangeTiming, {
    nullable: true,
    description: 'When; default is NOW for an upgrade and PERIOD_END for a downgrade.',
  })
  timing?: ChangeTiming | null;

  @Field(() => ID, { nullable: true, description: 'From previewTierChange, to get exactly the amounts shown.' })
  quoteId?: string | null;

  @Field(() => Int, { nullable: true, description: 'Refuse when the subscription has changed since this version.' })
  expectedVersion?: number | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of changeTier and cancelPendingTierChange. */
@ObjectType({ description: 'Answer of changeTier and cancelPendingTierChange.', simpleResolvers: true })
export class ChangeTierPayload {
  @Field(() => UserSubscription, { nullable: true, description: 'The subscription afterwards.' })
  subscription!: UserSubscription | null;

  @Field(() => Transaction, { nullable: true, description: 'Payment of the difference, if one was due.' })
  transaction!: Transaction | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do before the change takes effect.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of cancelPendingTierChange. */
@InputType({ description: 'Input of cancelPendingTierChange.' })
export class CancelPendingTierChangeInput {
  @Field(() => ID, { description: 'Which one.' })
  subscriptionId!: string;
}
