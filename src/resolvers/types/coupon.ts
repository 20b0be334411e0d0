import { Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { Money } from './money.js';
import { Node } from './node.js';
import { DateTime } from './scalars.js';
import { UserSubscription } from './user-subscription.js';

/** A reduction that a user can claim with a code. */
@ObjectType({ description: 'A reduction that a user can claim with a code.', implements: Node, simpleResolvers: true })
export class Coupon {
  readonly __typename!: 'Coupon';

  @Field(() => ID, { description: 'Opaque id, prefix cpn_.' })
  id!: string;

  @Field(() => String, { description: 'The code as typed; case does not matter.' })
  code!: string;

  @Field(() => Int, {
    nullable: true,
    description: 'Reduction in hundredths of a percent (2500 is 25 %); null for a fixed amount.',
  })
  percentOffBasisPoints!: number | null;

  @Field(() => Money, { nullable: true, description: 'Fixed reduction; null for a percentage.' })
  amountOff!: Money | null;

  @Field(() => Int, { nullable: true, description: 'For how many billing periods it works; null for all.' })
  durationPeriods!: number | null;

  @Field(() => DateTime, { nullable: true, description: 'Last moment to claim it.' })
  redeemBy!: Date | null;
}

/** A coupon at work on a subscription. */
@ObjectType({ description: 'A coupon at work on a subscription.', simpleResolvers: true })
export class Discount {
  @Field(() => Coupon, { description: 'The coupon.' })
  coupon!: Coupon;

  @Field(() => DateTime, { nullable: true, description: 'When it stops; null for as long as the subscription.' })
  endsAt!: Date | null;
}

/** Input of applyCoupon. */
@InputType({ description: 'Input of applyCoupon.' })
export class ApplyCouponInput {
  @Field(() => ID, { description: 'Which subscription.' })
  subscriptionId!: string;

  @Field(() => String, { description: 'The code as typed.' })
  code!: string;
}

/** Answer of applyCoupon. */
@ObjectType({ description: 'Answer of applyCoupon.', simpleResolvers: true })
export class ApplyCouponPayload {
  @Field(() => UserSubscription, { nullable: true, description: 'The subscription afterwards.' })
  subscription!: UserSubscription | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
