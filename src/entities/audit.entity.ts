import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of audit_entry. */
@Entity({ name: 'audit_entry' })
export class AuditEntryRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'actor', type: 'text' }) actor!: string;
  @Column({ name: 'acting_for', type: 'text', nullable: true }) actingFor!: string | null;
  @Column({ name: 'action', type: 'text' }) action!: string;
  @Column({ name: 'object_id', type: 'text' }) objectId!: string;
  @Column({ name: 'before_hash', type: 'bytea', nullable: true }) beforeHash!: Buffer | null;
  @Column({ name: 'after_hash', type: 'bytea', nullable: true }) afterHash!: Buffer | null;
  @Column({ name: 'reason', type: 'text', nullable: true }) reason!: string | null;
  @Column({ name: 'request_id', type: 'text' }) requestId!: string;
}
