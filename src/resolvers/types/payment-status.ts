import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { NextAction } from './next-action.js';
import { DateTime, SafeInt } from './scalars.js';
import { Transaction, TransactionStatus } from './transaction.js';
import { UserSubscription } from './user-subscription.js';

/** What an item of a stream is. */
export const StreamItemType = {
  CHANGE: 'CHANGE',
  READY: 'READY',
  HEARTBEAT: 'HEARTBEAT',
  RESET: 'RESET',
  RECONNECT: 'RECONNECT',
} as const;
export type StreamItemType = keyof typeof StreamItemType;
registerEnumType(StreamItemType, {
  name: 'StreamItemType',
  description: 'What an item of a stream is.',
  valuesConfig: {
    CHANGE: { description: 'A change.' },
    READY: { description: 'First item of every stream: from here on nothing is missed. Carries the cursor to start from.' },
    HEARTBEAT: { description: 'Nothing happened; the stream is alive.' },
    RESET: { description: "The cursor given is too old: read the state again, then go on with this item's cursor." },
    RECONNECT: {
      description: 'The server is going away: subscribe again with this cursor after a random wait of 0 to 5 seconds.',
    },
  },
});

/** An item of the stream of payment status changes. */
@ObjectType({ description: 'An item of the stream of payment status changes.', simpleResolvers: true })
export class PaymentStatusUpdate {
  @Field(() => String, { description: 'Hand it back as after to resume right behind this item.' })
  cursor!: string;

  @Field(() => SafeInt, {
    description:
      "Place in the user's feed; grows strictly from change to change: drop a CHANGE whose sequence was seen already. Signals repeat the last one.",
  })
  sequence!: bigint;

  @Field(() => StreamItemType, { description: 'A change, or a signal about the stream itself.' })
  type!: StreamItemType;

  @Field(() => Transaction, { nullable: true, description: 'The payment, read when the item is sent; null for signals.' })
  transaction!: Transaction | null;

  @Field(() => TransactionStatus, { nullable: true, description: 'Status before; null for the first change and for signals.' })
  previousStatus!: TransactionStatus | null;

  @Field(() => TransactionStatus, {
    nullable: true,
    description: 'Status set by this change; null for signals. May be behind transaction.status read later.',
  })
  status!: TransactionStatus | null;

  @Field(() => UserSubscription, { nullable: true, description: 'The subscription concerned.' })
  subscription!: UserSubscription | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do now.' })
  nextAction!: NextAction | null;

  @Field(() => DateTime, { description: 'When the change was committed, or the signal sent.' })
  occurredAt!: Date;
}
