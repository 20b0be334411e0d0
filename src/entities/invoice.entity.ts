import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of invoice. */
@Entity({ name: 'invoice' })
export class InvoiceRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'subscription_id', type: 'uuid', nullable: true }) subscriptionId!: string | null;
  @Column({ name: 'purchase_id', type: 'uuid', nullable: true }) purchaseId!: string | null;
  @Column({ name: 'gift_id', type: 'uuid', nullable: true }) giftId!: string | null;
  @Column({ name: 'epoch', type: 'integer', nullable: true }) epoch!: number | null;
  @Column({ name: 'period_number', type: 'integer', nullable: true }) periodNumber!: number | null;
  @Column({ name: 'period_start', type: 'timestamptz', nullable: true }) periodStart!: Date | null;
  @Column({ name: 'period_end', type: 'timestamptz', nullable: true }) periodEnd!: Date | null;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'net', type: 'bigint' }) net!: bigint;
  @Column({ name: 'tax', type: 'bigint' }) tax!: bigint;
  @Column({ name: 'total', type: 'bigint', nullable: true, insert: false, update: false }) total!: bigint | null;
  @Column({ name: 'credit_applied', type: 'bigint' }) creditApplied!: bigint;
  @Column({ name: 'carried', type: 'bigint' }) carried!: bigint;
  @Column({ name: 'debit_collected', type: 'bigint' }) debitCollected!: bigint;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'number', type: 'text', nullable: true }) number!: string | null;
  @Column({ name: 'legal_entity', type: 'text', nullable: true }) legalEntity!: string | null;
  @Column({ name: 'finalized_at', type: 'timestamptz', nullable: true }) finalizedAt!: Date | null;
  @Column({ name: 'paid_at', type: 'timestamptz', nullable: true }) paidAt!: Date | null;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
}

/** A row of invoice_line. */
@Entity({ name: 'invoice_line' })
export class InvoiceLineRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'invoice_id', type: 'uuid' }) invoiceId!: string;
  @PrimaryColumn({ name: 'position', type: 'smallint' }) position!: number;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'description', type: 'text' }) description!: string;
  @Column({ name: 'price_id', type: 'uuid', nullable: true }) priceId!: string | null;
  @Column({ name: 'coupon_id', type: 'uuid', nullable: true }) couponId!: string | null;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'discount', type: 'bigint' }) discount!: bigint;
  @Column({ name: 'tax', type: 'bigint' }) tax!: bigint;
  @Column({ name: 'tax_rate_ppm', type: 'integer' }) taxRatePpm!: number;
  @Column({ name: 'credited', type: 'bigint' }) credited!: bigint;
  @Column({ name: 'credited_tax', type: 'bigint' }) creditedTax!: bigint;
  @Column({ name: 'period_start', type: 'timestamptz', nullable: true }) periodStart!: Date | null;
  @Column({ name: 'period_end', type: 'timestamptz', nullable: true }) periodEnd!: Date | null;
  @Column({ name: 'is_proration', type: 'boolean' }) isProration!: boolean;
}

/** A row of revenue_schedule. */
@Entity({ name: 'revenue_schedule' })
export class RevenueScheduleRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'invoice_id', type: 'uuid' }) invoiceId!: string;
  @PrimaryColumn({ name: 'seq', type: 'smallint' }) seq!: number;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'net', type: 'bigint' }) net!: bigint;
  @Column({ name: 'starts_on', type: 'text' }) startsOn!: string;
  @Column({ name: 'ends_on', type: 'text' }) endsOn!: string;
  @Column({ name: 'stopped_on', type: 'text', nullable: true }) stoppedOn!: string | null;
  @Column({ name: 'reversed', type: 'bigint' }) reversed!: bigint;
}

/** A row of credit_note. */
@Entity({ name: 'credit_note' })
export class CreditNoteRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'invoice_id', type: 'uuid' }) invoiceId!: string;
  @Column({ name: 'position', type: 'smallint' }) position!: number;
  @Column({ name: 'number', type: 'text', nullable: true }) number!: string | null;
  @Column({ name: 'net', type: 'bigint' }) net!: bigint;
  @Column({ name: 'tax', type: 'bigint' }) tax!: bigint;
  @Column({ name: 'reason', type: 'text' }) reason!: string;
  @Column({ name: 'refund_id', type: 'uuid', nullable: true }) refundId!: string | null;
  @Column({ name: 'legal_entity', type: 'text', nullable: true }) legalEntity!: string | null;
  @Column({ name: 'canceled_at', type: 'timestamptz', nullable: true }) canceledAt!: Date | null;
  @Column({ name: 'voided_at', type: 'timestamptz', nullable: true }) voidedAt!: Date | null;
}
