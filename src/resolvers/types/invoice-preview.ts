import { Directive, Field, ObjectType } from 'type-graphql';
import { Money } from './money.js';
import { DateTime } from './scalars.js';

/** A line of an invoice. */
@ObjectType({ description: 'A line of an invoice.', simpleResolvers: true })
export class InvoiceLine {
  @Field(() => String, { description: 'What it is for.' })
  description!: string;

  @Field(() => Money, { description: 'Amount; negative for credits.' })
  amount!: Money;

  @Field(() => DateTime, { nullable: true, description: 'Start of the period billed.' })
  periodStart!: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'End of the period billed.' })
  periodEnd!: Date | null;

  @Field(() => Boolean, { description: 'Whether it settles part of a period after a change.' })
  isProration!: boolean;
}

/** What an invoice would be; nothing is stored. */
@ObjectType({ description: 'What an invoice would be; nothing is stored.', simpleResolvers: true })
export class InvoicePreview {
  @Directive('@listSize(assumedSize: 10)')
  @Field(() => [InvoiceLine], { description: 'Lines.' })
  lines!: InvoiceLine[];

  @Field(() => Money, { description: 'Sum of lines before discount and tax.' })
  subtotal!: Money;

  @Field(() => Money, { description: 'Sum of reductions.' })
  discountTotal!: Money;

  @Field(() => Money, { description: 'Sum of taxes.' })
  taxTotal!: Money;

  @Field(() => Money, { description: 'What would be charged.' })
  total!: Money;

  @Field(() => DateTime, { description: 'When it would be charged.' })
  chargeAt!: Date;
}
