import {
  ProviderAccountRow,
  FeatureRow,
  TierRow,
  TierFeatureRow,
  ProductRow,
  PriceRow,
  LedgerAccountRow,
  TaxRateRow,
  CouponRow,
} from './catalogue.entity.js';
import { CustomerRow, ProviderCustomerRow, IdempotencyKeyRow, CustomerCreditRow } from './customer.entity.js';
import { PaymentMethodRow, PaymentMethodSetupRow } from './payment-method.entity.js';
import {
  SubscriptionRow,
  SubscriptionEventRow,
  PurchaseRow,
  EntitlementGrantRow,
  CouponRedemptionRow,
  CouponUsageRow,
  CouponUseRow,
  TrialUseRow,
  ConsentRow,
  NoticeRow,
} from './subscription.entity.js';
import { GiftRow, GiftReceivedRow } from './gift.entity.js';
import { InvoiceRow, InvoiceLineRow, RevenueScheduleRow, CreditNoteRow } from './invoice.entity.js';
import {
  PaymentIntentRow,
  PaymentAttemptRow,
  RefundRow,
  DisputeRow,
  TransactionRow,
  TransactionEventRow,
} from './payment.entity.js';
import { LedgerMovementRow } from './ledger.entity.js';
import { FeedEntryRow, OutboxEventRow } from './feed.entity.js';
import { WebhookInboxRow, WebhookPayloadRow, ProviderRefRow, ProviderRecordRow, ReconFindingRow } from './provider.entity.js';
import { AuditEntryRow } from './audit.entity.js';

/** Every entity class, for the data source. Columns mirror the tables; local timestamps and dates stay text, bigint is BigInt. */
export const ENTITIES = [
  ProviderAccountRow,
  FeatureRow,
  TierRow,
  TierFeatureRow,
  ProductRow,
  PriceRow,
  LedgerAccountRow,
  TaxRateRow,
  CouponRow,
  CustomerRow,
  ProviderCustomerRow,
  IdempotencyKeyRow,
  CustomerCreditRow,
  PaymentMethodRow,
  PaymentMethodSetupRow,
  SubscriptionRow,
  SubscriptionEventRow,
  PurchaseRow,
  EntitlementGrantRow,
  CouponRedemptionRow,
  CouponUsageRow,
  CouponUseRow,
  TrialUseRow,
  ConsentRow,
  NoticeRow,
  GiftRow,
  GiftReceivedRow,
  InvoiceRow,
  InvoiceLineRow,
  RevenueScheduleRow,
  CreditNoteRow,
  PaymentIntentRow,
  PaymentAttemptRow,
  RefundRow,
  DisputeRow,
  TransactionRow,
  TransactionEventRow,
  LedgerMovementRow,
  FeedEntryRow,
  OutboxEventRow,
  WebhookInboxRow,
  WebhookPayloadRow,
  ProviderRefRow,
  ProviderRecordRow,
  ReconFindingRow,
  AuditEntryRow,
];
