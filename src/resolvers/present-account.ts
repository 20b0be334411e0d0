import { idTimeMs, publicId } from '../domain/ids.js';
import type { EntitlementRight } from '../store/entitlements.reads.js';
import type { PaymentMethodRow } from '../store/payment-methods.reads.js';
import type { PurchaseRow } from '../store/purchases.reads.js';
import type { SubscriptionRow } from '../store/subscriptions.reads.js';
import type { TransactionEventRow, TransactionRow } from '../store/transactions.reads.js';
import { presentMoney } from './present-money.js';
import { providerOfAccount } from './provider-account.js';
import type { Entitlement } from './types/entitlement.js';
import type { CardPaymentMethod } from './types/payment-method.js';
import type { Purchase } from './types/purchase.js';
import type { Transaction, TransactionStatusEvent } from './types/transaction.js';
import type { User } from './types/user.js';
import type { UserSubscription } from './types/user-subscription.js';
import { upper } from './words.js';

/** A subscription as the graph shows it. */
export function presentSubscription(row: SubscriptionRow): UserSubscription {
  return new ShownSubscription(row);
}

/** What costs something to tell is told when it is asked for: of a page that shows a user's tier, the state alone. */
class ShownSubscription implements UserSubscription {
  readonly __typename = 'UserSubscription';
  readonly status: UserSubscription['status'];
  readonly currentPeriodStart: Date;
  readonly currentPeriodEnd: Date;
  readonly trialEndsAt: Date | null;
  readonly cancelAtPeriodEnd: boolean;
  readonly canceledAt: Date | null;
  readonly endedAt: Date | null;
  readonly version: number;

  constructor(readonly row: SubscriptionRow) {
    this.status = upper(row.status);
    this.currentPeriodStart = row.periodStart;
    this.currentPeriodEnd = row.periodEnd;
    this.trialEndsAt = row.trialEndsAt;
    this.cancelAtPeriodEnd = row.cancelAtPeriodEnd;
    this.canceledAt = row.canceledAt;
    this.endedAt = row.endedAt;
    this.version = row.version;
  }

  get id(): string {
    return publicId('sub', this.row.id);
  }

  get startedAt(): Date {
    return new Date(idTimeMs(this.row.id));
  }
}

/** A transaction as the graph shows it. */
export function presentTransaction(row: TransactionRow): Transaction {
  return {
    __typename: 'Transaction',
    row,
    id: publicId('txn', row.id),
    kind: upper(row.kind),
    status: upper(row.status),
    amount: presentMoney(row.amount, row.currency),
    provider: providerOfAccount(row.providerAccountId),
    statementDescriptor: row.statementDescriptor,
    createdAt: new Date(idTimeMs(row.id)),
    settledAt: row.settledAt,
  };
}

/** A change of status as the graph shows it. */
export function presentTransactionEvent(row: TransactionEventRow): TransactionStatusEvent {
  return { status: upper(row.status), occurredAt: row.at, cause: upper(row.cause) };
}

/** A purchase as the graph shows it. */
export function presentPurchase(row: PurchaseRow): Purchase {
  return {
    __typename: 'Purchase',
    row,
    id: publicId('pur', row.id),
    quantity: row.quantity,
    status: upper(row.status),
    createdAt: new Date(idTimeMs(row.id)),
  };
}

/** A payment method as the graph shows it; null while the provider has not told what card it is. */
export function presentPaymentMethod(row: PaymentMethodRow): CardPaymentMethod | null {
  const { brand, last4, expiryMonth, expiryYear } = row;
  if (row.kind !== 'card' || brand === null || last4 === null || expiryMonth === null || expiryYear === null) return null;
  return {
    __typename: 'CardPaymentMethod',
    id: publicId('pm', row.id),
    kind: upper(row.kind),
    provider: providerOfAccount(row.providerAccountId),
    status: upper(row.status),
    displayName: `${schemeName(brand)} ending ${last4}`,
    isDefault: row.isDefault,
    createdAt: new Date(idTimeMs(row.id)),
    brand,
    last4,
    expiryMonth,
    expiryYear,
    wallet: row.wallet,
    issuingCountry: row.issuingCountry,
  };
}

/** One right of a user as the graph shows it. */
export function presentEntitlement(right: EntitlementRight, user: User): Entitlement {
  return { right, user, limit: right.limit, source: right.source, expiresAt: right.expiresAt };
}

/** Names that are not their code with a capital. */
const SCHEME_NAMES: ReadonlyMap<string, string> = new Map([
  ['amex', 'American Express'],
  ['cartes_bancaires', 'Cartes Bancaires'],
  ['diners', 'Diners Club'],
  ['eftpos_au', 'Eftpos Australia'],
  ['jcb', 'JCB'],
  ['unionpay', 'UnionPay'],
  ['unknown', 'Card'],
]);

function schemeName(brand: string): string {
  return SCHEME_NAMES.get(brand) ?? brand.charAt(0).toUpperCase() + brand.slice(1);
}
