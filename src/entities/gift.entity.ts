import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of gift; it belongs to its giver. */
@Entity({ name: 'gift' })
export class GiftRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'recipient_id', type: 'text', nullable: true }) recipientId!: string | null;
  @Column({ name: 'is_anonymous', type: 'boolean' }) isAnonymous!: boolean;
  @Column({ name: 'price_id', type: 'uuid' }) priceId!: string;
  @Column({ name: 'periods', type: 'smallint' }) periods!: number;
  @Column({ name: 'periods_used', type: 'smallint' }) periodsUsed!: number;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'claim_secret_hash', type: 'bytea' }) claimSecretHash!: Buffer;
  @Column({ name: 'subscription_id', type: 'uuid', nullable: true }) subscriptionId!: string | null;
  @Column({ name: 'claim_by', type: 'timestamptz' }) claimBy!: Date;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
}

/** A row of gift_received: the recipient's side of a gift. */
@Entity({ name: 'gift_received' })
export class GiftReceivedRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @PrimaryColumn({ name: 'gift_id', type: 'uuid' }) giftId!: string;
  @Column({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'periods', type: 'smallint' }) periods!: number;
  @Column({ name: 'claimed_at', type: 'timestamptz', nullable: true }) claimedAt!: Date | null;
  @Column({ name: 'subscription_id', type: 'uuid', nullable: true }) subscriptionId!: string | null;
  @Column({ name: 'revoked', type: 'smallint' }) revoked!: number;
}
