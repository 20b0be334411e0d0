import DataLoader from 'dataloader';
import { USER_ID_FORM } from '../../domain/ids.js';
import { keyBucket } from '../../platform/json.js';
import type { Clock } from '../../ports/clock.js';
import type { Catalogue } from '../../store/catalogue.reads.js';
import { discountsOf, type DiscountRow } from '../../store/coupons.reads.js';
import { displayTiers, highestTier } from '../../store/customers.reads.js';
import {
  entitledSubscriptions,
  grantsForStaff,
  grantsInForce,
  rightOfGrant,
  unionOfRights,
  type EntitlementRight,
} from '../../store/entitlements.reads.js';
import { giftsById, giftsDown, type GiftRow } from '../../store/gifts.reads.js';
import {
  invoiceLines,
  invoicesById,
  invoicesDown,
  type InvoiceLineRow,
  type InvoiceRow,
  type InvoiceStretch,
} from '../../store/invoices.reads.js';
import type { Stretch } from '../../store/keyset.js';
import { paymentMethodsById, paymentMethodsOnFile, type PaymentMethodRow } from '../../store/payment-methods.reads.js';
import { purchasesById, purchasesDown, type PurchaseRow } from '../../store/purchases.reads.js';
import type { KeyedStatement, Reader } from '../../store/reader.js';
import { subscriptionPlans, type SubscriptionPlanRow } from '../../store/subscription-plans.reads.js';
import {
  currentSubscriptions,
  subscriptionsById,
  subscriptionsDown,
  subscriptionsUp,
  type SubscriptionRow,
  type SubscriptionState,
} from '../../store/subscriptions.reads.js';
import {
  attemptsById,
  giftCharges,
  chargesOfInvoices,
  latestCharges,
  reversalFacts,
  reversalsOf,
  transactionEvents,
  transactionSearch,
  transactionSearchByReference,
  transactionSearchOfUser,
  transactionsById,
  transactionsDown,
  transactionsForStaff,
  transactionsUp,
  type AttemptRow,
  type ReversalFactsRow,
  type SearchParams,
  type TransactionEventRow,
  type TransactionRow,
  type TransactionStretch,
} from '../../store/transactions.reads.js';
import { bucketOfUser, type OwnedKey } from '../../store/viewer.js';
import type { Cursors } from '../cursor.js';
import { pageOf, type Page, type PageRequest } from '../paging.js';

/** Conditions on a list of transactions; null for "any". */
export type TransactionConditions = Omit<TransactionStretch, keyof Stretch> & {
  /** Ids less than this (a time bound). */
  readonly below: string | null;
  /** Ids greater than this (a time bound). */
  readonly above: string | null;
};

/** Conditions on a list of invoices; null for "any". */
export type InvoiceConditions = Omit<InvoiceStretch, keyof Stretch>;

/** What staff look for among the transactions of everybody. */
export interface TransactionSearch extends TransactionConditions {
  /** null: of anybody. */
  readonly userId: string | null;
  /** An id at the provider; null for any. */
  readonly providerReference: string | null;
  /** Ids that the span of creation lies between. */
  readonly createdFrom: string;
  readonly createdTo: string;
}

const itself = (userId: string): string => userId;
const keyOf = ({ id, userId }: OwnedKey): string => `${id} ${userId}`;

/**
 * All queries of one request. What was read once is not read again in it; what several fields (or requests) ask for together
 * travels in one statement. Every private row is asked for as
 * one of a given user's: a resolver that has no right to a user's rows has no user id to ask with, or asks with the caller's own.
 */
export class Reads {
  readonly #loaders: { clearAll(): unknown }[] = [];

  // Made when they are first asked for: a request needs one or two of them.
  #subscriptions: DataLoader<OwnedKey, SubscriptionRow | null, string> | undefined;
  #plans: DataLoader<OwnedKey, SubscriptionPlanRow | null, string> | undefined;
  #discounts: DataLoader<OwnedKey, DiscountRow | null, string> | undefined;
  #currentSubscriptions: DataLoader<string, SubscriptionRow | null> | undefined;
  #transactions: DataLoader<OwnedKey, TransactionRow | null, string> | undefined;
  #latestCharges: DataLoader<OwnedKey, TransactionRow | null, string> | undefined;
  #reversals: DataLoader<OwnedKey, TransactionRow[], string> | undefined;
  #reversalFacts: DataLoader<OwnedKey, ReversalFactsRow[], string> | undefined;
  #events: DataLoader<OwnedKey, TransactionEventRow[], string> | undefined;
  #attempts: DataLoader<OwnedKey, AttemptRow | null, string> | undefined;
  #invoices: DataLoader<OwnedKey, InvoiceRow | null, string> | undefined;
  #invoiceLines: DataLoader<OwnedKey, InvoiceLineRow[], string> | undefined;
  #invoiceCharges: DataLoader<OwnedKey, TransactionRow[], string> | undefined;
  #paymentMethods: DataLoader<OwnedKey, PaymentMethodRow | null, string> | undefined;
  #paymentMethodsOnFile: DataLoader<string, PaymentMethodRow[]> | undefined;
  #purchases: DataLoader<OwnedKey, PurchaseRow | null, string> | undefined;
  #gifts: DataLoader<OwnedKey, GiftRow | null, string> | undefined;
  #giftCharges: DataLoader<OwnedKey, TransactionRow | null, string> | undefined;
  #displayTiers: DataLoader<string, string | null> | undefined;
  #rights: DataLoader<string, EntitlementRight[]> | undefined;

  constructor(
    private readonly reader: Reader,
    /** Tiers, prices, products and features, in memory. */
    readonly catalogue: Catalogue,
    readonly cursors: Cursors,
    private readonly clock: Clock,
  ) {}

  /** The subscription, where it is this user's. */
  subscriptionOf(userId: string, id: string): Promise<SubscriptionRow | null> {
    this.#subscriptions ??= this.#oneEach(subscriptionsById, keyOf);
    return this.#subscriptions.load({ id, userId });
  }

  /** How a subscription of the user goes on, as far as it is known today. */
  planOf(userId: string, id: string): Promise<SubscriptionPlanRow | null> {
    this.#plans ??= this.#oneEach(subscriptionPlans, keyOf);
    return this.#plans.load({ id, userId });
  }

  /** The user's live subscription: trialing, active, past due or paused. */
  currentSubscription(userId: string): Promise<SubscriptionRow | null> {
    this.#currentSubscriptions ??= this.#oneEach(currentSubscriptions, itself);
    return this.#currentSubscriptions.load(userId);
  }

  /** The coupon that works on a live subscription of the user. */
  discountOf(userId: string, subscriptionId: string): Promise<DiscountRow | null> {
    this.#discounts ??= this.#oneEach(discountsOf, keyOf);
    return this.#discounts.load({ id: subscriptionId, userId });
  }

  /** A page of the user's subscriptions, newest first. */
  async subscriptionPage(
    userId: string,
    request: PageRequest,
    statuses: readonly SubscriptionState[] | null,
  ): Promise<Page<SubscriptionRow>> {
    const asked = request.isBackward ? subscriptionsUp : subscriptionsDown;
    const [rows = []] = await this.reader.rowsOf(asked, [{ ...stretchOf(userId, request), statuses }]);
    return pageOf(request, rows);
  }

  /** The transaction, where it is this user's. */
  transactionOf(userId: string, id: string): Promise<TransactionRow | null> {
    this.#transactions ??= this.#oneEach(transactionsById, keyOf);
    return this.#transactions.load({ id, userId });
  }

  /** A transaction of anybody: for staff whose look at it has been written to the audit log. */
  async transactionForStaff(id: string): Promise<TransactionRow | null> {
    const [rows = []] = await this.reader.rowsOf(transactionsForStaff, [id]);
    return rows[0] ?? null;
  }

  /** A stretch of the transactions of everybody, newest first: for staff whose search is written to the audit log before it is shown. */
  async searchTransactions(request: PageRequest, search: TransactionSearch): Promise<TransactionRow[]> {
    const { userId, providerReference, minAmount } = search;
    const params: SearchParams = [
      least(least(request.afterId, search.below), search.createdTo) ?? search.createdTo,
      greatest(search.above, search.createdFrom) ?? search.createdFrom,
      request.sizeCount + 1,
      search.kinds,
      search.statuses,
      search.providerAccountIds,
      search.subscriptionId,
      minAmount?.minor ?? null,
      minAmount?.currency ?? null,
    ];
    if (providerReference !== null)
      return this.reader.query(transactionSearchByReference, [
        ...params,
        keyBucket(providerReference),
        providerReference,
        userId,
      ]);
    return userId === null
      ? this.reader.query(transactionSearch, params)
      : this.reader.query(transactionSearchOfUser, [...params, bucketOfUser(userId), userId]);
  }

  /** A page of the user's transactions, newest first. */
  async transactionPage(userId: string, request: PageRequest, conditions: TransactionConditions): Promise<Page<TransactionRow>> {
    const place = stretchOf(userId, request);
    const key = {
      ...conditions,
      ...place,
      below: least(place.below, conditions.below),
      above: greatest(place.above, conditions.above),
    };
    const [rows = []] = await this.reader.rowsOf(request.isBackward ? transactionsUp : transactionsDown, [key]);
    return pageOf(request, rows);
  }

  /** The most recent charge of the user for a subscription or purchase. */
  latestChargeFor(userId: string, subjectId: string): Promise<TransactionRow | null> {
    this.#latestCharges ??= this.#oneEach(latestCharges, keyOf);
    return this.#latestCharges.load({ id: subjectId, userId });
  }

  /** What was given or taken back of a charge of the user, oldest first. */
  reversalsOf(userId: string, chargeId: string): Promise<TransactionRow[]> {
    this.#reversals ??= this.#manyEach(reversalsOf, keyOf);
    return this.#reversals.load({ id: chargeId, userId });
  }

  /** Refunds and disputes of a charge of the user, as far as what is left to refund goes. */
  reversalFactsOf(userId: string, chargeId: string): Promise<ReversalFactsRow[]> {
    this.#reversalFacts ??= this.#manyEach(reversalFacts, keyOf);
    return this.#reversalFacts.load({ id: chargeId, userId });
  }

  /** Every status a transaction of the user had, oldest first. */
  eventsOf(userId: string, transactionId: string): Promise<TransactionEventRow[]> {
    this.#events ??= this.#manyEach(transactionEvents, keyOf);
    return this.#events.load({ id: transactionId, userId });
  }

  /** The try behind a charge of the user. */
  attemptOf(userId: string, chargeId: string): Promise<AttemptRow | null> {
    this.#attempts ??= this.#oneEach(attemptsById, keyOf);
    return this.#attempts.load({ id: chargeId, userId });
  }

  /** The invoice, where this user owes or owed it. */
  invoiceOf(userId: string, id: string): Promise<InvoiceRow | null> {
    this.#invoices ??= this.#oneEach(invoicesById, keyOf);
    return this.#invoices.load({ id, userId });
  }

  /** A page of the user's invoices, newest first. */
  async invoicePage(userId: string, request: PageRequest, conditions: InvoiceConditions): Promise<Page<InvoiceRow>> {
    const [rows = []] = await this.reader.rowsOf(invoicesDown, [{ ...stretchOf(userId, request), ...conditions }]);
    return pageOf(request, rows);
  }

  /** The lines of an invoice of the user, in their order. */
  invoiceLinesOf(userId: string, invoiceId: string): Promise<InvoiceLineRow[]> {
    this.#invoiceLines ??= this.#manyEach(invoiceLines, keyOf);
    return this.#invoiceLines.load({ id: invoiceId, userId });
  }

  /** The charges tried for an invoice of the user, newest first. */
  chargesForInvoice(userId: string, invoiceId: string): Promise<TransactionRow[]> {
    this.#invoiceCharges ??= this.#manyEach(chargesOfInvoices, keyOf);
    return this.#invoiceCharges.load({ id: invoiceId, userId });
  }

  /** The payment method, where it is this user's; removed ones too. */
  paymentMethodOf(userId: string, id: string): Promise<PaymentMethodRow | null> {
    this.#paymentMethods ??= this.#oneEach(paymentMethodsById, keyOf);
    return this.#paymentMethods.load({ id, userId });
  }

  /** What the user has on file, the default first, then the newest. */
  paymentMethodsOnFile(userId: string): Promise<PaymentMethodRow[]> {
    this.#paymentMethodsOnFile ??= this.#manyEach(paymentMethodsOnFile, itself);
    return this.#paymentMethodsOnFile.load(userId);
  }

  /** The purchase, where it is this user's. */
  purchaseOf(userId: string, id: string): Promise<PurchaseRow | null> {
    this.#purchases ??= this.#oneEach(purchasesById, keyOf);
    return this.#purchases.load({ id, userId });
  }

  /** A page of the user's purchases, newest first. */
  async purchasePage(userId: string, request: PageRequest): Promise<Page<PurchaseRow>> {
    const [rows = []] = await this.reader.rowsOf(purchasesDown, [stretchOf(userId, request)]);
    return pageOf(request, rows);
  }

  /** The gift, where this user gave it or it is for this user. */
  giftOf(userId: string, id: string): Promise<GiftRow | null> {
    this.#gifts ??= this.#oneEach(giftsById, keyOf);
    return this.#gifts.load({ id, userId });
  }

  /** The payment of a gift of the user. */
  giftChargeOf(userId: string, giftId: string): Promise<TransactionRow | null> {
    this.#giftCharges ??= this.#oneEach(giftCharges, keyOf);
    return this.#giftCharges.load({ id: giftId, userId });
  }

  /** A page of what the user gave and was given, newest first. */
  async giftPage(userId: string, request: PageRequest): Promise<Page<GiftRow>> {
    const [rows = []] = await this.reader.rowsOf(giftsDown, [stretchOf(userId, request)]);
    return pageOf(request, rows);
  }

  /** The tier on the user's profile: its id, or null. Public. */
  async displayTier(userId: string): Promise<string | null> {
    if (!USER_ID_FORM.test(userId)) return null;
    this.#displayTiers ??= this.#loader((users) => this.#displayTiersOf(users), itself);
    return this.#displayTiers.load(userId);
  }

  /** What the user may use now, one right for each feature. Two statements for all users asked about together. */
  async rights(userId: string): Promise<EntitlementRight[]> {
    if (!USER_ID_FORM.test(userId)) return [];
    this.#rights ??= this.#loader((users) => this.#rightsOf(users), itself);
    return this.#rights.load(userId);
  }

  /** A right that staff gave: for the agent whose audit entry of it has been written. */
  async grantForStaff(id: string): Promise<{ userId: string; right: EntitlementRight } | null> {
    const [[row] = []] = await this.reader.rowsOf(grantsForStaff, [id]);
    return row ? { userId: row.userId, right: rightOfGrant(row) } : null;
  }

  /** Looks something up that a row refers to; where it is not there the row may be newer than the catalogue, which is then read again. */
  async fromCatalogue<Found>(find: (catalogue: Catalogue) => Found | null): Promise<Found | null> {
    const found = find(this.catalogue);
    if (found !== null) return found;
    await this.catalogue.reload();
    return find(this.catalogue);
  }

  /** Forgets what was read: after a command, objects are read afresh. */
  forget(): void {
    for (const loader of this.#loaders) loader.clearAll();
  }

  async #displayTiersOf(users: readonly string[]): Promise<(string | null)[]> {
    const at = this.clock.now();
    const keys = users.map((userId) => ({ userId, at }));
    return (await this.reader.rowsOf(displayTiers, keys)).map((rows) => highestTier(rows, this.catalogue));
  }

  async #rightsOf(users: readonly string[]): Promise<EntitlementRight[][]> {
    const at = this.clock.now();
    const keys = users.map((userId) => ({ userId, at }));
    const [subscriptions, grants] = await Promise.all([
      this.reader.rowsOf(entitledSubscriptions, keys),
      this.reader.rowsOf(grantsInForce, keys),
    ]);
    const featuresOf = (tierId: string): { featureKey: string; limit: bigint | null }[] => [
      ...(this.catalogue.tier(tierId)?.features ?? []),
    ];
    return users.map((_, i) => unionOfRights(subscriptions[i] ?? [], grants[i] ?? [], featuresOf));
  }

  #oneEach<Key, Row extends { o: number }, CacheKey>(asked: KeyedStatement<Key, Row>, cacheKeyFn: (key: Key) => CacheKey) {
    return this.#loader(
      async (keys: readonly Key[]) => (await this.reader.rowsOf(asked, keys)).map(([row]) => row ?? null),
      cacheKeyFn,
    );
  }

  #manyEach<Key, Row extends { o: number }, CacheKey>(asked: KeyedStatement<Key, Row>, cacheKeyFn: (key: Key) => CacheKey) {
    return this.#loader((keys: readonly Key[]) => this.reader.rowsOf(asked, keys), cacheKeyFn);
  }

  #loader<Key, Value, CacheKey>(load: (keys: readonly Key[]) => Promise<Value[]>, cacheKeyFn: (key: Key) => CacheKey) {
    const loader = new DataLoader<Key, Value, CacheKey>(load, { cacheKeyFn });
    this.#loaders.push(loader);
    return loader;
  }
}

/** The queries of one request. */
export function makeReads(reader: Reader, catalogue: Catalogue, cursors: Cursors, clock: Clock): Reads {
  return new Reads(reader, catalogue, cursors, clock);
}

function stretchOf(userId: string, request: PageRequest): Stretch {
  // One row more than asked for tells whether the list goes on.
  return { userId, below: request.afterId, above: request.beforeId, limitCount: request.sizeCount + 1 };
}

function least(a: string | null, b: string | null): string | null {
  return a === null || (b !== null && b < a) ? b : a;
}

function greatest(a: string | null, b: string | null): string | null {
  return a === null || (b !== null && b > a) ? b : a;
}
