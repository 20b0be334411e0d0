import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A row of subscription. */
@Entity({ name: 'subscription' })
export class SubscriptionRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'payer_id', type: 'text', nullable: true }) payerId!: string | null;
  @Column({ name: 'gift_id', type: 'uuid', nullable: true }) giftId!: string | null;
  @Column({ name: 'prepaid_periods', type: 'smallint' }) prepaidPeriods!: number;
  @Column({ name: 'renews_after_gift', type: 'boolean' }) renewsAfterGift!: boolean;
  @Column({ name: 'tier_group', type: 'text' }) tierGroup!: string;
  @Column({ name: 'tier_id', type: 'uuid' }) tierId!: string;
  @Column({ name: 'price_id', type: 'uuid' }) priceId!: string;
  @Column({ name: 'payment_method_id', type: 'uuid', nullable: true }) paymentMethodId!: string | null;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'hold', type: 'text' }) hold!: string;
  @Column({ name: 'anchor_local', type: 'text' }) anchorLocal!: string;
  @Column({ name: 'zone', type: 'text' }) zone!: string;
  @Column({ name: 'epoch', type: 'integer' }) epoch!: number;
  @Column({ name: 'period_number', type: 'integer' }) periodNumber!: number;
  @Column({ name: 'period_start', type: 'timestamptz' }) periodStart!: Date;
  @Column({ name: 'period_end', type: 'timestamptz' }) periodEnd!: Date;
  @Column({ name: 'entitled_until', type: 'timestamptz' }) entitledUntil!: Date;
  @Column({ name: 'trial_ends_at', type: 'timestamptz', nullable: true }) trialEndsAt!: Date | null;
  @Column({ name: 'cancel_at_period_end', type: 'boolean' }) cancelAtPeriodEnd!: boolean;
  @Column({ name: 'pause_at_period_end', type: 'boolean' }) pauseAtPeriodEnd!: boolean;
  @Column({ name: 'resumes_at', type: 'timestamptz', nullable: true }) resumesAt!: Date | null;
  @Column({ name: 'pending_price_id', type: 'uuid', nullable: true }) pendingPriceId!: string | null;
  @Column({ name: 'canceled_at', type: 'timestamptz', nullable: true }) canceledAt!: Date | null;
  @Column({ name: 'ended_at', type: 'timestamptz', nullable: true }) endedAt!: Date | null;
  @Column({ name: 'end_reason', type: 'text', nullable: true }) endReason!: string | null;
  @Column({ name: 'renewed_by', type: 'text' }) renewedBy!: string;
  @Column({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
  @Column({ name: 'lease_until', type: 'timestamptz', nullable: true }) leaseUntil!: Date | null;
  @Column({ name: 'lease_token', type: 'uuid', nullable: true }) leaseToken!: string | null;
}

/** A row of subscription_event. */
@Entity({ name: 'subscription_event' })
export class SubscriptionEventRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'subscription_id', type: 'uuid' }) subscriptionId!: string;
  @PrimaryColumn({ name: 'version', type: 'integer' }) version!: number;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'status', type: 'text' }) status!: string;
  @Column({ name: 'cause', type: 'text' }) cause!: string;
  @Column({ name: 'at', type: 'timestamptz' }) at!: Date;
  @Column({ name: 'data', type: 'jsonb', nullable: true }) data!: object | null;
}

/** A row of purchase. */
@Entity({ name: 'purchase' })
export class PurchaseRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'price_id', type: 'uuid' }) priceId!: string;
  @Column({ name: 'quantity', type: 'integer' }) quantity!: number;
  @Column({ name: 'status', type: 'text' }) status!: string;
}

/** A row of entitlement_grant. */
@Entity({ name: 'entitlement_grant' })
export class EntitlementGrantRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'feature_key', type: 'text' }) featureKey!: string;
  @Column({ name: 'limit_value', type: 'bigint', nullable: true }) limitValue!: bigint | null;
  @Column({ name: 'purchase_id', type: 'uuid', nullable: true }) purchaseId!: string | null;
  @Column({ name: 'granted_by', type: 'text', nullable: true }) grantedBy!: string | null;
  @Column({ name: 'note', type: 'text', nullable: true }) note!: string | null;
  @Column({ name: 'expires_at', type: 'timestamptz', nullable: true }) expiresAt!: Date | null;
  @Column({ name: 'revoked_at', type: 'timestamptz', nullable: true }) revokedAt!: Date | null;
}

/** A row of coupon_redemption: a coupon at work on a subscription, or one that was. */
@Entity({ name: 'coupon_redemption' })
export class CouponRedemptionRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'coupon_id', type: 'uuid' }) couponId!: string;
  @Column({ name: 'subscription_id', type: 'uuid' }) subscriptionId!: string;
  @Column({ name: 'identities', type: 'text', array: true }) identities!: string[];
  @Column({ name: 'periods_left', type: 'smallint', nullable: true }) periodsLeft!: number | null;
  @Column({ name: 'ended_at', type: 'timestamptz', nullable: true }) endedAt!: Date | null;
}

/** A row of coupon_use: a mark of a person that has had the coupon. */
@Entity({ name: 'coupon_use' })
export class CouponUseRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'identity', type: 'text' }) identity!: string;
  @PrimaryColumn({ name: 'coupon_id', type: 'uuid' }) couponId!: string;
  @Column({ name: 'subscription_id', type: 'uuid' }) subscriptionId!: string;
}

/** A row of coupon_usage: how often a limited coupon was claimed, by everybody. */
@Entity({ name: 'coupon_usage' })
export class CouponUsageRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'coupon_id', type: 'uuid' }) couponId!: string;
  @Column({ name: 'redeemed', type: 'integer' }) redeemed!: number;
  @Column({ name: 'max_redemptions', type: 'integer' }) maxRedemptions!: number;
}

/** A row of trial_use: a mark of a person that has had its trial in a group of tiers. */
@Entity({ name: 'trial_use' })
export class TrialUseRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'identity', type: 'text' }) identity!: string;
  @PrimaryColumn({ name: 'tier_group', type: 'text' }) tierGroup!: string;
  @Column({ name: 'subscription_id', type: 'uuid' }) subscriptionId!: string;
}

/** A row of consent. */
@Entity({ name: 'consent' })
export class ConsentRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'subscription_id', type: 'uuid' }) subscriptionId!: string;
  @Column({ name: 'text_version', type: 'text' }) textVersion!: string;
  @Column({ name: 'ip_hash', type: 'bytea', nullable: true }) ipHash!: Buffer | null;
}

/** A row of notice. */
@Entity({ name: 'notice' })
export class NoticeRow {
  @PrimaryColumn({ name: 'bucket', type: 'smallint' }) bucket!: number;
  @PrimaryColumn({ name: 'id', type: 'uuid' }) id!: string;
  @Column({ name: 'user_id', type: 'text' }) userId!: string;
  @Column({ name: 'subscription_id', type: 'uuid', nullable: true }) subscriptionId!: string | null;
  @Column({ name: 'kind', type: 'text' }) kind!: string;
  @Column({ name: 'due_at', type: 'timestamptz' }) dueAt!: Date;
  @Column({ name: 'sent_at', type: 'timestamptz', nullable: true }) sentAt!: Date | null;
  @Column({ name: 'message_id', type: 'text', nullable: true }) messageId!: string | null;
  @Column({ name: 'next_action_at', type: 'timestamptz', nullable: true }) nextActionAt!: Date | null;
}
