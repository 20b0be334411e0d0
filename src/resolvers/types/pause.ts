import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { DateTime } from './scalars.js';
import { UserSubscription } from './user-subscription.js';

/** A pause of a subscription. */
@ObjectType({ description: 'A pause of a subscription.', simpleResolvers: true })
export class SubscriptionPause {
  @Field(() => DateTime, { description: 'When it begins or began.' })
  startsAt!: Date;

  @Field(() => DateTime, { nullable: true, description: 'When it ends by itself; null for until further notice.' })
  resumesAt!: Date | null;
}

/** Input of pauseSubscription. */
@InputType({ description: 'Input of pauseSubscription.' })
export class PauseSubscriptionInput {
  @Field(() => ID, { description: 'Which one.' })
  subscriptionId!: string;

  @Field(() => DateTime, { nullable: true, description: 'When to go on by itself; at most 90 days ahead.' })
  resumesAt?: Date | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of pauseSubscription. */
@ObjectType({ description: 'Answer of pauseSubscription.', simpleResolvers: true })
export class PauseSubscriptionPayload {
  @Field(() => UserSubscription, { nullable: true, description: 'The subscription afterwards.' })
  subscription!: UserSubscription | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
