import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of payment_method. */
@Entity({ name: 'payment_method' })
export class PaymentMethodRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'provider_object_id', type: 'text' }) providerObjectId!: string;
  @Column({ name: 'fingerprint', type: 'text', nullable: true }) fingerprint!: string | null;
  @Column({ name: 'brand', type: 'text', nullable: true }) brand!: string | null;
  @Column({ name: 'last4', type: 'text', nullable: true }) last4!: string | null;
  @Column({ name: 'expiry_month', type: 'smallint', nullable: true }) expiryMonth!: number | null;
  @Column({ name: 'expiry_year', type: 'smallint', nullable: true }) expiryYear!: number | null;
  @Column({ name: 'wallet', type: 'text', nullable: true }) wallet!: string | null;
  @Column({ name: 'funding', type: 'text', nullable: true }) funding!: string | null;
  @Column({ name: 'issuing_country', type: 'text', nullable: true }) issuingCountry!: string | null;
  @Column({ name: 'mandate', type: 'jsonb', nullable: true }) mandate!: object | null;
}

/** A row of payment_method_setup. */
@Entity({ name: 'payment_method_setup' })
export class PaymentMethodSetupRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'provider_account_id', type: 'smallint' }) providerAccountId!: number;
  @Column({ name: 'provider_object_id', type: 'text', nullable: true }) providerObjectId!: string | null;
  @Column({ name: 'return_url', type: 'text', nullable: true }) returnUrl!: string | null;
  @Column({ name: 'next_action', type: 'jsonb', nullable: true }) nextAction!: object | null;
  @Column({ name: 'makes_default', type: 'boolean' }) makesDefault!: boolean;
  @Column({ name: 'payment_method_id', type: 'uuid', nullable: true }) paymentMethodId!: string | null;
  @Column({ name: 'expires_at', type: 'timestamptz' }) expiresAt!: Date;
}
