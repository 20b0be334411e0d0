import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A user as far as money is concerned; its row is the first lock of every unit of work. */
@Entity({ name: 'customer' })
export class CustomerRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'feed_seq', type: 'bigint' }) feedSeq!: bigint;
  @Column({ name: 'country', type: 'text', nullable: true }) country!: string | null;
  @Column({ name: 'zone', type: 'text' }) zone!: string;
  @Column({ name: 'default_payment_method_id', type: 'uuid', nullable: true }) defaultPaymentMethodId!: string | null;
  @Column({ name: 'shows_tier', type: 'boolean' }) showsTier!: boolean;
}

/** A row of provider_customer. */
@Entity({ name: 'provider_customer' })
export class ProviderCustomerRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @PrimaryColumn({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'object_id', type: 'text' }) objectId!: string;
}

/** A client's key with its result or refusal. */
@Entity({ name: 'idempotency_key' })
export class IdempotencyKeyRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @PrimaryColumn({ name: 'operation', type: 'text' }) operation!: string;
  @PrimaryColumn({ name: 'key', type: 'text' }) key!: string;
  @Column({ name: 'input_hash', type: 'bytea' }) inputHash!: Buffer;
  @Column({ name: 'result_type', type: 'text', nullable: true }) resultType!: string | null;
  @Column({ name: 'result_id', type: 'uuid', nullable: true }) resultId!: string | null;
  @Column({ name: 'user_errors', type: 'jsonb', nullable: true }) userErrors!: object | null;
  @Column({ name: 'expires_at', type: 'timestamptz' }) expiresAt!: Date;
}

/** A row of customer_credit. */
@Entity({ name: 'customer_credit' })
export class CustomerCreditRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'user_id', type: 'text' }) userId!: string;
  @PrimaryColumn({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'balance', type: 'bigint' }) balance!: bigint;
}
