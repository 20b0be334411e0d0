import { Directive, Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { SubscriptionRow } from '../../store/subscriptions.reads.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';
import { DateTime } from './scalars.js';

/** States of a subscription. */
export const SubscriptionStatus = {
  INCOMPLETE: 'INCOMPLETE',
  INCOMPLETE_EXPIRED: 'INCOMPLETE_EXPIRED',
  TRIALING: 'TRIALING',
  ACTIVE: 'ACTIVE',
  PAST_DUE: 'PAST_DUE',
  PAUSED: 'PAUSED',
  CANCELED: 'CANCELED',
  UNPAID: 'UNPAID',
} as const;
export type SubscriptionStatus = keyof typeof SubscriptionStatus;
registerEnumType(SubscriptionStatus, {
  name: 'SubscriptionStatus',
  description: 'States of a subscription.',
  valuesConfig: {
    INCOMPLETE: {
      description: 'First payment not finished, e.g. waiting for 3-D Secure. Gives no access; lapses after 23 hours.',
    },
    INCOMPLETE_EXPIRED: { description: 'First payment never finished.' },
    TRIALING: { description: 'In a free trial.' },
    ACTIVE: { description: 'Paid.' },
    PAST_DUE: { description: 'A renewal failed; retries go on; access stays through the grace period.' },
    PAUSED: { description: 'Paused on request; no charge, no access.' },
    CANCELED: { description: 'Ended by the user or staff.' },
    UNPAID: { description: 'Ended because payment could not be collected.' },
  },
});

/** A user's running or past membership of a tier. */
@Directive('@key(fields: "id")')
@ObjectType({ description: "A user's running or past membership of a tier.", implements: Node, simpleResolvers: true })
export class UserSubscription {
  readonly __typename!: 'UserSubscription';
  /** The row it was made from; not part of the graph. */
  readonly row!: SubscriptionRow;

  @Field(() => ID, { description: 'Opaque id, prefix sub_.' })
  id!: string;

  @Field(() => SubscriptionStatus, { description: 'State.' })
  status!: SubscriptionStatus;

  @Field(() => DateTime, { description: 'When it began.' })
  startedAt!: Date;

  @Field(() => DateTime, { description: 'Start of the period paid for or on trial.' })
  currentPeriodStart!: Date;

  @Field(() => DateTime, { description: 'End of that period; the next renewal is tried about here.' })
  currentPeriodEnd!: Date;

  @Field(() => DateTime, { nullable: true, description: 'End of the free trial; null when there is or was none.' })
  trialEndsAt!: Date | null;

  @Field(() => Boolean, { description: 'It will end at currentPeriodEnd instead of renewing.' })
  cancelAtPeriodEnd!: boolean;

  @Field(() => DateTime, { nullable: true, description: 'When the user asked to cancel.' })
  canceledAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When access ended.' })
  endedAt!: Date | null;

  @Field(() => Int, {
    description: 'Grows by one at every change; send it back as expectedVersion to refuse acting on stale data.',
  })
  version!: number;
}

/** Page of subscriptions. */
@ObjectType({ description: 'Page of subscriptions.', simpleResolvers: true })
export class UserSubscriptionConnection {
  @Field(() => [UserSubscriptionEdge], { description: 'Items with their cursors.' })
  edges!: UserSubscriptionEdge[];

  @Field(() => [UserSubscription], { description: 'Items alone.' })
  nodes!: UserSubscription[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** A subscription in a page. */
@ObjectType({ description: 'A subscription in a page.', simpleResolvers: true })
export class UserSubscriptionEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => UserSubscription, { description: 'The item.' })
  node!: UserSubscription;
}
