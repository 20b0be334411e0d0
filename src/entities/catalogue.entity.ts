import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of provider_account. */
@Entity({ name: 'provider_account' })
export class ProviderAccountRow {
  @PrimaryColumn({ name: 'id', type: 'smallint' }) id!: number;
  @Column({ name: 'provider', type: 'text' }) provider!: string;
  @Column({ name: 'region', type: 'text' }) region!: string;
  @Column({ name: 'legal_entity', type: 'text' }) legalEntity!: string;
  @Column({ name: 'active_since', type: 'timestamptz' }) activeSince!: Date;
}

/** A row of feature. */
@Entity({ name: 'feature' })
export class FeatureRow {
  @PrimaryColumn({ name: 'key', type: 'text' }) key!: string;
  @Column({ name: 'name', type: 'text' }) name!: string;
  @Column({ name: 'description', type: 'text' }) description!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
}

/** A row of tier. */
@Entity({ name: 'tier' })
export class TierRow {
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'key', type: 'text' }) key!: string;
  @Column({ name: 'tier_group', type: 'text' }) tierGroup!: string;
  @Column({ name: 'name', type: 'text' }) name!: string;
  @Column({ name: 'description', type: 'text' }) description!: string;
  @Column({ name: 'rank', type: 'integer' }) rank!: number;
  @Column({ name: 'status', type: 'text' }) status!: string;
}

/** A row of tier_feature. */
@Entity({ name: 'tier_feature' })
export class TierFeatureRow {
  @PrimaryColumn({ name: 'tier_id', type: 'uuid' }) tierId!: string;
  @PrimaryColumn({ name: 'feature_key', type: 'text' }) featureKey!: string;
  @Column({ name: 'limit_value', type: 'bigint', nullable: true }) limitValue!: bigint | null;
}

/** A row of product. */
@Entity({ name: 'product' })
export class ProductRow {
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'key', type: 'text' }) key!: string;
  @Column({ name: 'name', type: 'text' }) name!: string;
  @Column({ name: 'description', type: 'text' }) description!: string;
  @Column({ name: 'unlocks', type: 'text', nullable: true }) unlocks!: string | null;
}

/** A price of a tier or product; immutable. */
@Entity({ name: 'price' })
export class PriceRow {
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'tier_id', type: 'uuid', nullable: true }) tierId!: string | null;
  @Column({ name: 'product_id', type: 'uuid', nullable: true }) productId!: string | null;
  @Column({ name: 'interval_unit', type: 'text', nullable: true }) intervalUnit!: string | null;
  @Column({ name: 'interval_count', type: 'smallint', nullable: true }) intervalCount!: number | null;
  @Column({ name: 'country', type: 'text' }) country!: string;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'amount', type: 'bigint' }) amount!: bigint;
  @Column({ name: 'tax_behavior', type: 'text' }) taxBehavior!: string;
  @Column({ name: 'trial_days', type: 'smallint' }) trialDays!: number;
  @Column({ name: 'accepted_kinds', type: 'text', array: true }) acceptedKinds!: string[];
  @Column({ name: 'valid_from', type: 'timestamptz' }) validFrom!: Date;
  @Column({ name: 'valid_to', type: 'timestamptz', nullable: true }) validTo!: Date | null;
}

/** A row of ledger_account. */
@Entity({ name: 'ledger_account' })
export class LedgerAccountRow {
  @PrimaryColumn({ name: 'id', type: 'integer' }) id!: number;
  @Column({ name: 'code', type: 'text' }) code!: string;
  @Column({ name: 'class', type: 'text' }) class!: string;
  @Column({ name: 'currency', type: 'text' }) currency!: string;
  @Column({ name: 'provider_account_id', type: 'smallint', nullable: true }) providerAccountId!: number | null;
}

/** A row of tax_rate: the rate from a day on. */
@Entity({ name: 'tax_rate' })
export class TaxRateRow {
  @PrimaryColumn({ name: 'country', type: 'text' }) country!: string;
  @PrimaryColumn({ name: 'region', type: 'text' }) region!: string;
  @PrimaryColumn({ name: 'tax_code', type: 'text' }) taxCode!: string;
  @PrimaryColumn({ name: 'valid_from', type: 'text' }) validFrom!: string;
  @Column({ name: 'rate_ppm', type: 'integer' }) ratePpm!: number;
}

/** A row of coupon. */
@Entity({ name: 'coupon' })
export class CouponRow {
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'code', type: 'text' }) code!: string;
  @Column({ name: 'percent_off_bps', type: 'integer', nullable: true }) percentOffBps!: number | null;
  @Column({ name: 'amounts_off', type: 'jsonb', nullable: true }) amountsOff!: Record<string, number> | null;
  @Column({ name: 'duration_periods', type: 'smallint', nullable: true }) durationPeriods!: number | null;
  @Column({ name: 'interval_units', type: 'text', array: true }) intervalUnits!: string[];
  @Column({ name: 'redeem_by', type: 'timestamptz', nullable: true }) redeemBy!: Date | null;
  @Column({ name: 'max_redemptions', type: 'integer', nullable: true }) maxRedemptions!: number | null;
}
