import { Directive, Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { EntitlementRight } from '../../store/entitlements.reads.js';
import { DateTime, SafeInt } from './scalars.js';
import type { User } from './user.js';

/** One right to use one feature. */
@ObjectType({ description: 'One right to use one feature.', simpleResolvers: true })
export class Entitlement {
  /** The right it was made from, and whose it is; not part of the graph. */
  readonly right!: EntitlementRight;
  readonly user!: User;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'The limit granted, for features of kind LIMIT; null means unlimited or not applicable.',
  })
  limit!: bigint | null;

  @Field(() => EntitlementSource, { description: 'Where the right comes from.' })
  source!: EntitlementSource;

  @Field(() => DateTime, { nullable: true, description: 'When it lapses if nothing more is paid; null means it does not.' })
  expiresAt!: Date | null;
}

/** Where an entitlement comes from. */
export const EntitlementSource = {
  SUBSCRIPTION: 'SUBSCRIPTION',
  PURCHASE: 'PURCHASE',
  GIFT: 'GIFT',
  GRANT: 'GRANT',
  GRACE: 'GRACE',
} as const;
export type EntitlementSource = keyof typeof EntitlementSource;
registerEnumType(EntitlementSource, {
  name: 'EntitlementSource',
  description: 'Where an entitlement comes from.',
  valuesConfig: {
    SUBSCRIPTION: { description: 'A paid or trial subscription.' },
    PURCHASE: { description: 'A one-time purchase.' },
    GIFT: { description: 'A gift.' },
    GRANT: { description: 'Granted by staff.' },
    GRACE: { description: 'Kept during the grace period of a failed renewal.' },
  },
});

/** One question: may this user use this feature? */
@InputType({ description: 'One question: may this user use this feature?' })
export class EntitlementCheckInput {
  @Field(() => ID, { description: 'The user.' })
  userId!: string;

  @Field(() => String, { description: 'Machine name of the feature.' })
  feature!: string;
}

/** One answer. */
@Directive('@tag(name: "internal")')
@ObjectType({ description: 'One answer.', simpleResolvers: true })
export class EntitlementCheckResult {
  @Field(() => ID, { description: 'The user asked about.' })
  userId!: string;

  @Field(() => String, { description: 'The feature asked about.' })
  feature!: string;

  @Field(() => Boolean, { description: 'The answer.' })
  granted!: boolean;

  @Field(() => SafeInt, { nullable: true, description: 'The limit granted, for features of kind LIMIT.' })
  limit!: bigint | null;

  @Field(() => DateTime, { description: 'Until when the answer may be kept; at most 60 seconds ahead.' })
  cacheUntil!: Date;
}
