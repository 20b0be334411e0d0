import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of feed_entry. */
@Entity({ name: 'feed_entry' })
export class FeedEntryRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @PrimaryColumn({ name: 'seq', type: 'bigint' }) seq!: bigint;
  @PrimaryColumn({ name: 'at', type: 'timestamptz' }) at!: Date;
  @Column({ name: 'change', type: 'text' }) change!: string;
  @Column({ name: 'subject_id', type: 'uuid' }) subjectId!: string;
  @Column({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'status', type: 'text', nullable: true }) status!: string | null;
  @Column({ name: 'previous_status', type: 'text', nullable: true }) previousStatus!: string | null;
}

/** A row of outbox_event. */
@Entity({ name: 'outbox_event' })
export class OutboxEventRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text', nullable: true }) userId!: string | null;
  @Column({ name: 'seq', type: 'bigint', nullable: true }) seq!: bigint | null;
  @Column({ name: 'type', type: 'text' }) type!: string;
  @Column({ name: 'data', type: 'jsonb' }) data!: object;
  @Column({ name: 'published_at', type: 'timestamptz', nullable: true }) publishedAt!: Date | null;
}
