import { Directive, Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { CataloguePrice, CatalogueTier } from '../../store/catalogue.reads.js';
import { Money } from './money.js';
import { Node } from './node.js';
import { PaymentMethodKind } from './payment-method.js';
import { DateTime } from './scalars.js';

/** A level of paid membership. */
@Directive('@key(fields: "id")')
@Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
@ObjectType({ description: 'A level of paid membership.', implements: Node, simpleResolvers: true })
export class Tier {
  readonly __typename!: 'Tier';
  /** What the catalogue holds; not part of the graph. */
  readonly row!: CatalogueTier;

  @Field(() => ID, { description: 'Opaque id, prefix tier_.' })
  id!: string;

  @Field(() => String, { description: 'Stable machine name, e.g. premium_plus; unique, never reused.' })
  key!: string;

  @Field(() => String, { description: 'Name shown to users, in the language of the request where there is a translation.' })
  name!: string;

  @Field(() => String, { description: 'What the tier gives, as plain text.' })
  description!: string;

  @Field(() => Int, {
    description: 'Order among tiers; a higher rank includes at least as much. Decides whether a change is an upgrade.',
  })
  rank!: number;

  @Field(() => TierStatus, { description: 'Whether it can be bought now; a retired tier keeps its subscribers.' })
  status!: TierStatus;

  @Field(() => DateTime, { description: 'When the tier was first offered.' })
  createdAt!: Date;
}

/** Whether a tier is on sale. */
export const TierStatus = {
  DRAFT: 'DRAFT',
  ACTIVE: 'ACTIVE',
  RETIRED: 'RETIRED',
} as const;
export type TierStatus = keyof typeof TierStatus;
registerEnumType(TierStatus, {
  name: 'TierStatus',
  description: 'Whether a tier is on sale.',
  valuesConfig: {
    DRAFT: { description: 'Being prepared; staff only.' },
    ACTIVE: { description: 'On sale.' },
    RETIRED: { description: 'No longer sold; existing subscribers go on.' },
  },
});

/** A price of a tier. Immutable: a new amount is a new price, and existing subscriptions keep theirs. */
@Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
@ObjectType({
  description: 'A price of a tier. Immutable: a new amount is a new price, and existing subscriptions keep theirs.',
  implements: Node,
  simpleResolvers: true,
})
export class TierPrice {
  readonly __typename!: 'TierPrice';
  /** What the catalogue holds; not part of the graph. */
  readonly row!: CataloguePrice;

  @Field(() => ID, { description: 'Opaque id, prefix price_.' })
  id!: string;

  @Field(() => Money, { description: 'What is charged for each interval.' })
  amount!: Money;

  @Field(() => BillingInterval, { description: 'Unit of the billing period.' })
  interval!: BillingInterval;

  @Field(() => Int, { description: 'Number of units in a period: 3 with MONTH is quarterly.' })
  intervalCount!: number;

  @Field(() => TaxBehavior, { description: 'Whether the amount includes tax.' })
  taxBehavior!: TaxBehavior;

  @Field(() => Int, { description: 'Days of free trial offered with this price; 0 for none.' })
  trialDays!: number;

  @Field(() => [PaymentMethodKind], { description: 'Kinds of payment method it accepts.' })
  acceptedPaymentMethods!: PaymentMethodKind[];

  @Field(() => Boolean, { description: 'Whether new subscriptions may use it.' })
  isOnSale!: boolean;
}

/** Unit of a billing period. */
export const BillingInterval = {
  WEEK: 'WEEK',
  MONTH: 'MONTH',
  YEAR: 'YEAR',
} as const;
export type BillingInterval = keyof typeof BillingInterval;
registerEnumType(BillingInterval, {
  name: 'BillingInterval',
  description: 'Unit of a billing period.',
  valuesConfig: {
    WEEK: { description: 'Seven days.' },
    MONTH: { description: 'A calendar month, clamped to the last day in short months.' },
    YEAR: { description: 'Twelve calendar months.' },
  },
});

/** How tax relates to a price. */
export const TaxBehavior = {
  INCLUSIVE: 'INCLUSIVE',
  EXCLUSIVE: 'EXCLUSIVE',
} as const;
export type TaxBehavior = keyof typeof TaxBehavior;
registerEnumType(TaxBehavior, {
  name: 'TaxBehavior',
  description: 'How tax relates to a price.',
  valuesConfig: {
    INCLUSIVE: { description: 'Tax is inside the amount.' },
    EXCLUSIVE: { description: 'Tax is added on the invoice.' },
  },
});
