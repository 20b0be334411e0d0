import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One movement of the ledger: debit account, credit account, amount. */
@Entity({ name: 'ledger_movement' })
export class LedgerMovementRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'source_id', type: 'uuid' }) sourceId!: string;
  @PrimaryColumn({ name: 'event', type: 'text' }) event!: string;
  @PrimaryColumn({ name: 'leg', type: 'text' }) leg!: string;
  @Column({ name: 'debit_account_id', type: 'integer' }) debitAccountId!: number;
  @Column({ name: 'credit_account_id', type: 'integer' }) creditAccountId!: number;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'user_id', type: 'text', nullable: true }) userId!: string | null;
  @Column({ name: 'invoice_id', type: 'uuid', nullable: true }) invoiceId!: string | null;
  @Column({ name: 'effective_at', type: 'timestamptz' }) effectiveAt!: Date;
  @Column({ name: 'posted_at', type: 'timestamptz' }) postedAt!: Date;
}
