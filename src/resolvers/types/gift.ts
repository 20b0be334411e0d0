import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { GiftRow } from '../../store/gifts.reads.js';
import { BillingError } from './billing-error.js';
import { NextAction } from './next-action.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';
import { DateTime } from './scalars.js';
import { UserSubscription } from './user-subscription.js';

/** States of a gift. */
export const GiftStatus = {
  PENDING_PAYMENT: 'PENDING_PAYMENT',
  CLAIMABLE: 'CLAIMABLE',
  CLAIMED: 'CLAIMED',
  EXPIRED: 'EXPIRED',
  CANCELED: 'CANCELED',
} as const;
export type GiftStatus = keyof typeof GiftStatus;
registerEnumType(GiftStatus, {
  name: 'GiftStatus',
  description: 'States of a gift.',
  valuesConfig: {
    PENDING_PAYMENT: { description: 'Payment not finished.' },
    CLAIMABLE: { description: 'Paid, waiting to be claimed.' },
    CLAIMED: { description: 'In use.' },
    EXPIRED: { description: 'Not claimed in time; refunded.' },
    CANCELED: { description: 'Payment failed or refunded.' },
  },
});

/** A membership paid by one user for another. */
@ObjectType({ description: 'A membership paid by one user for another.', implements: Node, simpleResolvers: true })
export class Gift {
  readonly __typename!: 'Gift';
  /** The row it was made from, and for which of the two users; not part of the graph. */
  readonly row!: GiftRow;
  readonly viewerId!: string;

  @Field(() => ID, { description: 'Opaque id, prefix gift_.' })
  id!: string;

  @Field(() => Int, { description: 'How many periods are paid.' })
  periods!: number;

  @Field(() => GiftStatus, { description: 'State.' })
  status!: GiftStatus;

  @Field(() => DateTime, { description: 'Last moment to claim it.' })
  claimBy!: Date;
}

/** Page of gifts. */
@ObjectType({ description: 'Page of gifts.', simpleResolvers: true })
export class GiftConnection {
  @Field(() => [GiftEdge], { description: 'Items with their cursors.' })
  edges!: GiftEdge[];

  @Field(() => [Gift], { description: 'Items alone.' })
  nodes!: Gift[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** A gift in a page. */
@ObjectType({ description: 'A gift in a page.', simpleResolvers: true })
export class GiftEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => Gift, { description: 'The item.' })
  node!: Gift;
}

/** Input of giftSubscription. */
@InputType({ description: 'Input of giftSubscription.' })
export class GiftSubscriptionInput {
  @Field(() => ID, { description: 'The price to give.' })
  priceId!: string;

  @Field(() => Int, { nullable: true, defaultValue: 1, description: 'How many periods, 1 to 12.' })
  periods?: number | null;

  @Field(() => ID, { nullable: true, description: 'Who receives; leave out to get a code.' })
  recipientId?: string | null;

  @Field(() => Boolean, { nullable: true, defaultValue: false, description: 'Do not tell the receiver who gave.' })
  anonymous?: boolean | null;

  @Field(() => ID, { nullable: true, description: "What to charge; default is the user's default method." })
  paymentMethodId?: string | null;

  @Field(() => String, { description: 'Chosen by the client, see graph.md.' })
  idempotencyKey!: string;
}

/** Answer of giftSubscription. */
@ObjectType({ description: 'Answer of giftSubscription.', simpleResolvers: true })
export class GiftSubscriptionPayload {
  @Field(() => Gift, { nullable: true, description: 'The gift.' })
  gift!: Gift | null;

  @Field(() => String, { nullable: true, description: 'Code to hand over; shown only here.' })
  claimCode!: string | null;

  @Field(() => NextAction, { nullable: true, description: 'What the user must do before it is paid.' })
  nextAction!: NextAction | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}

/** Input of claimGift; give exactly one. */
@InputType({ description: 'Input of claimGift; give exactly one.' })
export class ClaimGiftInput {
  @Field(() => ID, { nullable: true, description: 'The gift, when it was given to the caller by name.' })
  giftId?: string | null;

  @Field(() => String, { nullable: true, description: 'The code, when it was given by code.' })
  claimCode?: string | null;
}

/** Answer of claimGift. */
@ObjectType({ description: 'Answer of claimGift.', simpleResolvers: true })
export class ClaimGiftPayload {
  @Field(() => Gift, { nullable: true, description: 'The gift afterwards.' })
  gift!: Gift | null;

  @Field(() => UserSubscription, { nullable: true, description: 'The subscription it became or extended.' })
  subscription!: UserSubscription | null;

  @Field(() => [BillingError], { description: 'Why it was refused; empty on success.' })
  userErrors!: BillingError[];
}
