import { Field, ID, ObjectType, registerEnumType } from 'type-graphql';
import type { InvoiceRow } from '../../store/invoices.reads.js';
import { Money } from './money.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';
import { DateTime } from './scalars.js';

/** States of an invoice. */
export const InvoiceStatus = {
  DRAFT: 'DRAFT',
  OPEN: 'OPEN',
  PAID: 'PAID',
  VOID: 'VOID',
  UNCOLLECTIBLE: 'UNCOLLECTIBLE',
} as const;
export type InvoiceStatus = keyof typeof InvoiceStatus;
registerEnumType(InvoiceStatus, {
  name: 'InvoiceStatus',
  description: 'States of an invoice.',
  valuesConfig: {
    DRAFT: { description: 'Can still change.' },
    OPEN: { description: 'Final, not fully paid.' },
    PAID: { description: 'Fully paid.' },
    VOID: { description: 'Cancelled before payment.' },
    UNCOLLECTIBLE: { description: 'Given up.' },
  },
});

/** What was or is to be paid for a period, with its lines. Immutable once finalized. */
@ObjectType({
  description: 'What was or is to be paid for a period, with its lines. Immutable once finalized.',
  implements: Node,
  simpleResolvers: true,
})
export class Invoice {
  readonly __typename!: 'Invoice';
  /** The row it was made from; not part of the graph. */
  readonly row!: InvoiceRow;

  @Field(() => ID, { description: 'Opaque id, prefix inv_.' })
  id!: string;

  @Field(() => String, { nullable: true, description: "Gap-free number for the user's records; null while a draft." })
  number!: string | null;

  @Field(() => InvoiceStatus, { description: 'State.' })
  status!: InvoiceStatus;

  @Field(() => Money, { description: 'Sum of lines before discount and tax.' })
  subtotal!: Money;

  @Field(() => Money, { description: 'Sum of reductions.' })
  discountTotal!: Money;

  @Field(() => Money, { description: 'Sum of taxes.' })
  taxTotal!: Money;

  @Field(() => Money, { description: 'What is to be paid.' })
  total!: Money;

  @Field(() => Money, { description: 'What has been paid.' })
  amountPaid!: Money;

  @Field(() => Money, { description: 'What is still owed.' })
  amountDue!: Money;

  @Field(() => DateTime, { nullable: true, description: 'When it became final.' })
  finalizedAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When it was fully paid.' })
  paidAt!: Date | null;

  /** Always null: nothing here draws a PDF. Whoever wants one makes it of this type's fields. */
  @Field(() => String, { nullable: true, description: 'Short-lived link to the PDF; the owner and staff only.' })
  pdfUrl!: string | null;
}

/** Page of invoices. */
@ObjectType({ description: 'Page of invoices.', simpleResolvers: true })
export class InvoiceConnection {
  @Field(() => [InvoiceEdge], { description: 'Items with their cursors.' })
  edges!: InvoiceEdge[];

  @Field(() => [Invoice], { description: 'Items alone.' })
  nodes!: Invoice[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** An invoice in a page. */
@ObjectType({ description: 'An invoice in a page.', simpleResolvers: true })
export class InvoiceEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => Invoice, { description: 'The item.' })
  node!: Invoice;
}
