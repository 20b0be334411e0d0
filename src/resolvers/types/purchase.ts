import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { PurchaseRow } from '../../store/purchases.reads.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';
import { DateTime } from './scalars.js';

/** States of a purchase. */
export const PurchaseStatus = {
  PENDING_PAYMENT: 'PENDING_PAYMENT',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  REFUNDED: 'REFUNDED',
} as const;
export type PurchaseStatus = keyof typeof PurchaseStatus;
registerEnumType(PurchaseStatus, {
  name: 'PurchaseStatus',
  description: 'States of a purchase.',
  valuesConfig: {
    PENDING_PAYMENT: { description: 'Payment not finished.' },
    COMPLETED: { description: 'Paid and delivered.' },
    FAILED: { description: 'Payment failed or lapsed.' },
    REFUNDED: { description: 'Fully paid back; what it unlocked is gone.' },
  },
});

/** A one-time purchase. */
@ObjectType({ description: 'A one-time purchase.', implements: Node, simpleResolvers: true })
export class Purchase {
  readonly __typename!: 'Purchase';
  /** The row it was made from; not part of the graph. */
  readonly row!: PurchaseRow;

  @Field(() => ID, { description: 'Opaque id, prefix pur_.' })
  id!: string;

  @Field(() => Int, { description: 'How many.' })
  quantity!: number;

  @Field(() => PurchaseStatus, { description: 'State.' })
  status!: PurchaseStatus;

  @Field(() => DateTime, { description: 'When it was ordered.' })
  createdAt!: Date;
}

/** Page of purchases. */
@ObjectType({ description: 'Page of purchases.', simpleResolvers: true })
export class PurchaseConnection {
  @Field(() => [PurchaseEdge], { description: 'Items with their cursors.' })
  edges!: PurchaseEdge[];

  @Field(() => [Purchase], { description: 'Items alone.' })
  nodes!: Purchase[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** A purchase in a page. */
@ObjectType({ description: 'A purchase in a page.', simpleResolvers: true })
export class PurchaseEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => Purchase, { description: 'The item.' })
  node!: Purchase;
}
