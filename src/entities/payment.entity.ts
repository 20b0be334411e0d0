import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of payment_intent. */
@Entity({ name: 'payment_intent' })
export class PaymentIntentRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'invoice_id', type: 'uuid' }) invoiceId!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'cancel_requested_at', type: 'timestamptz', nullable: true }) cancelRequestedAt!: Date | null;
  @Column({ name: 'version', type: 'integer' }) version!: number;
}

/** One external operation; its id is the id of its transaction. */
@Entity({ name: 'payment_attempt' })
export class PaymentAttemptRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'payment_intent_id', type: 'uuid' }) paymentIntentId!: string;
  @Column({ name: 'number', type: 'smallint' }) number!: number;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'payment_method_id', type: 'uuid', nullable: true }) paymentMethodId!: string | null;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'cause', type: 'text' }) cause!: string;
  @Column({ name: 'is_off_session', type: 'boolean' }) isOffSession!: boolean;
  @Column({ name: 'idempotency_key', type: 'text' }) idempotencyKey!: string;
  @Column({ name: 'return_url', type: 'text', nullable: true }) returnUrl!: string | null;
  @Column({ name: 'request_fingerprint', type: 'bytea' }) requestFingerprint!: Buffer;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'provider_object_id', type: 'text', nullable: true }) providerObjectId!: string | null;
  @Column({ name: 'provider_charge_id', type: 'text', nullable: true }) providerChargeId!: string | null;
  @Column({ name: 'next_action', type: 'jsonb', nullable: true }) nextAction!: object | null;
  @Column({ name: 'decline_class', type: 'text', nullable: true }) declineClass!: string | null;
  @Column({ name: 'decline_code', type: 'text', nullable: true }) declineCode!: string | null;
  @Column({ name: 'advice_code', type: 'text', nullable: true }) adviceCode!: string | null;
  @Column({ name: 'network_decline_code', type: 'text', nullable: true }) networkDeclineCode!: string | null;
  @Column({ name: 'network_advice_code', type: 'text', nullable: true }) networkAdviceCode!: string | null;
  @Column({ name: 'sent_at', type: 'timestamptz', nullable: true }) sentAt!: Date | null;
  @Column({ name: 'call_deadline_at', type: 'timestamptz', nullable: true }) callDeadlineAt!: Date | null;
  @Column({ name: 'key_valid_until', type: 'timestamptz', nullable: true }) keyValidUntil!: Date | null;
  @Column({ name: 'probes', type: 'smallint' }) probes!: number;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true }) leaseUntil!: Date | null;
  @Column({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'absent_since', type: 'timestamptz', nullable: true }) absentSince!: Date | null;
  @Column({ name: 'claimed_by', type: 'integer', nullable: true }) claimedBy!: number | null;
}

/** Money given back; its id is the id of its transaction. */
@Entity({ name: 'refund' })
export class RefundRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'payment_attempt_id', type: 'uuid' }) paymentAttemptId!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'reason', type: 'text' }) reason!: string;
  @Column({ name: 'note', type: 'text', nullable: true }) note!: string | null;
  @Column({ name: 'requested_by', type: 'text' }) requestedBy!: string;
  @Column({ name: 'to_balance', type: 'boolean' }) toBalance!: boolean;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'idempotency_key', type: 'text' }) idempotencyKey!: string;
  @Column({ name: 'provider_object_id', type: 'text', nullable: true }) providerObjectId!: string | null;
  @Column({ name: 'sent_at', type: 'timestamptz', nullable: true }) sentAt!: Date | null;
  @Column({ name: 'call_deadline_at', type: 'timestamptz', nullable: true }) callDeadlineAt!: Date | null;
  @Column({ name: 'key_valid_until', type: 'timestamptz', nullable: true }) keyValidUntil!: Date | null;
  @Column({ name: 'probes', type: 'smallint' }) probes!: number;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true }) leaseUntil!: Date | null;
  @Column({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'absent_since', type: 'timestamptz', nullable: true }) absentSince!: Date | null;
}

/** A row of dispute. */
@Entity({ name: 'dispute' })
export class DisputeRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'payment_attempt_id', type: 'uuid' }) paymentAttemptId!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'provider_object_id', type: 'text' }) providerObjectId!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'reason', type: 'text', nullable: true }) reason!: string | null;
  @Column({ name: 'evidence_due_at', type: 'timestamptz', nullable: true }) evidenceDueAt!: Date | null;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'is_withdrawn', type: 'boolean' }) isWithdrawn!: boolean;
  @Column({ name: 'reversal_id', type: 'uuid', nullable: true }) reversalId!: string | null;
  @Column({ name: 'version', type: 'integer' }) version!: number;
}

/** One line of the user's money history. */
@Entity({ name: 'transaction' })
export class TransactionRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'payment_method_id', type: 'uuid', nullable: true }) paymentMethodId!: string | null;
  @Column({ name: 'subscription_id', type: 'uuid', nullable: true }) subscriptionId!: string | null;
  @Column({ name: 'purchase_id', type: 'uuid', nullable: true }) purchaseId!: string | null;
  @Column({ name: 'invoice_id', type: 'uuid', nullable: true }) invoiceId!: string | null;
  @Column({ name: 'original_id', type: 'uuid', nullable: true }) originalId!: string | null;
  @Column({ name: 'statement_descriptor', type: 'text', nullable: true }) statementDescriptor!: string | null;
  @Column({ name: 'settled_at', type: 'timestamptz', nullable: true }) settledAt!: Date | null;
  @Column({ name: 'version', type: 'integer' }) version!: number;
}

/** A row of transaction_event. */
@Entity({ name: 'transaction_event' })
export class TransactionEventRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'transaction_id', type: 'uuid' }) transactionId!: string;
  @PrimaryColumn({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'at', type: 'timestamptz' }) at!: Date;
  @Column({ name: 'cause', type: 'text' }) cause!: string;
}
