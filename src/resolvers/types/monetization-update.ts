import { Field, ObjectType, registerEnumType } from 'type-graphql';
import type { FeedRow } from '../../store/feed.reads.js';
import { StreamItemType } from './payment-status.js';
import { DateTime, SafeInt } from './scalars.js';

/** What changed. New values are added over time. */
export const MonetizationChangeType = {
  PAYMENT_STATUS: 'PAYMENT_STATUS',
  SUBSCRIPTION: 'SUBSCRIPTION',
  INVOICE: 'INVOICE',
  PAYMENT_METHOD: 'PAYMENT_METHOD',
  ENTITLEMENTS: 'ENTITLEMENTS',
  GIFT: 'GIFT',
} as const;
export type MonetizationChangeType = keyof typeof MonetizationChangeType;
registerEnumType(MonetizationChangeType, {
  name: 'MonetizationChangeType',
  description: 'What changed. New values are added over time.',
  valuesConfig: {
    PAYMENT_STATUS: { description: 'A payment changed its status.' },
    SUBSCRIPTION: { description: 'A subscription changed its state, tier or dates.' },
    INVOICE: { description: 'An invoice was made, paid or given up.' },
    PAYMENT_METHOD: { description: 'A payment method was added, verified, replaced or removed.' },
    ENTITLEMENTS: { description: 'The features a user may use changed.' },
    GIFT: { description: 'A gift was given, claimed or lapsed.' },
  },
});

/** An item of the stream of everything. */
@ObjectType({ description: 'An item of the stream of everything.', simpleResolvers: true })
export class MonetizationUpdate {
  /** Whose feed it is of; not part of the graph. */
  readonly userId!: string;
  /** The change it was made from, null for signals; not part of the graph. */
  readonly row!: FeedRow | null;

  @Field(() => String, { description: 'Hand it back as after to resume right behind this item.' })
  cursor!: string;

  @Field(() => SafeInt, { description: "Place in the user's feed; grows strictly." })
  sequence!: bigint;

  @Field(() => StreamItemType, { description: 'A change, or a signal about the stream itself.' })
  type!: StreamItemType;

  @Field(() => MonetizationChangeType, { nullable: true, description: 'What changed; null for signals.' })
  change!: MonetizationChangeType | null;

  @Field(() => DateTime, { description: 'When the change was committed, or the signal sent.' })
  occurredAt!: Date;
}
