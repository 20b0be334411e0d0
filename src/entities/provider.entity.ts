import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of webhook_inbox. */
@Entity({ name: 'webhook_inbox' })
export class WebhookInboxRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'event_id', type: 'text' }) eventId!: string;
  @PrimaryColumn({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'type', type: 'text' }) type!: string;
  @Column({ name: 'object_id', type: 'text', nullable: true }) objectId!: string | null;
  @Column({ name: 'source', type: 'text' }) source!: string;
  @Column({ name: 'provider_created_at', type: 'timestamptz' }) providerCreatedAt!: Date;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'attempts', type: 'smallint' }) attempts!: number;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true }) leaseUntil!: Date | null;
}

/** A row of webhook_payload. */
@Entity({ name: 'webhook_payload' })
export class WebhookPayloadRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'body', type: 'bytea' }) body!: Buffer;
}

/** A row of provider_ref. */
@Entity({ name: 'provider_ref' })
export class ProviderRefRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'object_id', type: 'text' }) objectId!: string;
  @PrimaryColumn({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'id', type: 'uuid' }) id!: string;
}

/** A row of provider_record. */
@Entity({ name: 'provider_record' })
export class ProviderRecordRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'native_id', type: 'text' }) nativeId!: string;
  @Column({ name: 'native_type', type: 'text' }) nativeType!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'object_id', type: 'text', nullable: true }) objectId!: string | null;
  @Column({ name: 'parent_object_id', type: 'text', nullable: true }) parentObjectId!: string | null;
  @Column({ name: 'our_ref', type: 'uuid', nullable: true }) ourRef!: string | null;
  @Column({ name: 'payout_object_id', type: 'text', nullable: true }) payoutObjectId!: string | null;
  @Column({ name: 'gross', type: 'bigint' }) gross!: bigint;
  @Column({ name: 'fee', type: 'bigint' }) fee!: bigint;
  @Column({ name: 'net', type: 'bigint' }) net!: bigint;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'occurred_at', type: 'timestamptz' }) occurredAt!: Date;
  @Column({ name: 'day', type: 'text' }) day!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'digest', type: 'bytea' }) digest!: Buffer;
  @Column({ name: 'revision', type: 'smallint' }) revision!: number;
  @Column({ name: 'last_run_id', type: 'uuid', nullable: true }) lastRunId!: string | null;
  @Column({ name: 'matched_type', type: 'text', nullable: true }) matchedType!: string | null;
  @Column({ name: 'matched_id', type: 'uuid', nullable: true }) matchedId!: string | null;
  @Column({ name: 'matched_by', type: 'text', nullable: true }) matchedBy!: string | null;
}

/** A row of recon_finding. */
@Entity({ name: 'recon_finding' })
export class ReconFindingRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'day', type: 'text' }) day!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'severity', type: 'smallint' }) severity!: number;
  @Column({ name: 'currency', type: 'text', nullable: true }) currency!: string | null;
  @Column({ name: 'ours', type: 'bigint', nullable: true }) ours!: bigint | null;
  @Column({ name: 'theirs', type: 'bigint', nullable: true }) theirs!: bigint | null;
  @Column({ name: 'delta', type: 'bigint' }) delta!: bigint;
  @Column({ name: 'record_id', type: 'uuid', nullable: true }) recordId!: string | null;
  @Column({ name: 'subject_type', type: 'text', nullable: true }) subjectType!: string | null;
  @Column({ name: 'subject_id', type: 'uuid', nullable: true }) subjectId!: string | null;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'first_run_id', type: 'uuid', nullable: true }) firstRunId!: string | null;
  @Column({ name: 'last_run_id', type: 'uuid', nullable: true }) lastRunId!: string | null;
  @Column({ name: 'resolved_by', type: 'text', nullable: true }) resolvedBy!: string | null;
  @Column({ name: 'resolved_at', type: 'timestamptz', nullable: true }) resolvedAt!: Date | null;
  @Column({ name: 'note', type: 'text', nullable: true }) note!: string | null;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true }) leaseUntil!: Date | null;
  @Column({ name: 'tries', type: 'smallint' }) tries!: number;
}
