import { Directive, Field, ID, InputType, ObjectType } from 'type-graphql';
import { BillingError } from './billing-error.js';
import { Entitlement } from './entitlement.js';
import { DateTime } from './scalars.js';

/** Input of grantEntitlement. */
@InputType({ description: 'Input of grantEntitlement.' })
export class GrantEntitlementInput {
  @Field(() => ID, { description: 'Who.' })
  userId!: string;

  @Field(() => String, { description: 'Machine name of the feature.' })
  feature!: string;

  @Field(() => DateTime, { description: 'Until when; at most a year ahead.' })
  expiresAt!: Date;

  @Field(() => String, { description: 'Why.' })
  note!: string;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of grantEntitlement. */
@Directive('@tag(name: "staff")')
@ObjectType({ description: 'Answer of grantEntitlement.', simpleResolvers: true })
export class GrantEntitlementPayload {
  @Field(() => Entitlement, { nullable: true, description: 'The right granted.' })
  entitlement!: Entitlement | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
