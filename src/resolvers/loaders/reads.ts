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
import { bucketOfUser, type OwnedKey, type UserAt } from '../../store/viewer.js';
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

/**
 * All queries of one request. What was read once is not read again in it; what several fields (or requests) ask for together
 * travels in one statement. Every private row is asked for as
 * one of a given user's: a resolver that has no right to a user's rows has no user id to ask with, or asks with the caller's own.
 */
export class Reads {
  /** What was asked for in this request, by statement and key. */
  #asked: Map<string, Promise<unknown>> | null = null;
  #at: Date | null = null;

  constructor(
    private readonly reader: Reader,
    /** Tiers, prices, products and features, in memory. */
    readonly catalogue: Catalogue,
    readonly cursors: Cursors,
    private readonly clock: Clock,
  ) {}

  /** The subscription, where it is this user's. */
  subscriptionOf(userId: string, id: string): Promise<SubscriptionRow | null> {
    return this.#oneOwned(subscriptionsById, userId, id);
  }

  /** How a subscription of the user goes on, as far as it is known today. */
  planOf(userId: string, id: string): Promise<SubscriptionPlanRow | null> {
    return this.#oneOwned(subscriptionPlans, userId, id);
  }

  /** The user's live subscription: trialing, active, past due or paused. */
  currentSubscription(userId: string): Promise<SubscriptionRow | null> {
    return this.#one(currentSubscriptions, userId, userId);
  }

  /** The coupon that works on a live subscription of the user. */
  discountOf(userId: string, subscriptionId: string): Promise<DiscountRow | null> {
    return this.#oneOwned(discountsOf, userId, subscriptionId);
  }

  /** A page of the user's subscriptions, newest first. */
  async subscriptionPage(
    userId: string,
    request: PageRequest,
    statuses: readonly SubscriptionState[] | null,
  ): Promise<Page<SubscriptionRow>> {
    const asked = request.isBackward ? subscriptionsUp : subscriptionsDown;
    const rows = await this.reader.rowsOf(asked, { ...stretchOf(userId, request), statuses });
    return pageOf(request, rows);
  }

  /** The transaction, where it is this user's. */
  transactionOf(userId: string, id: string): Promise<TransactionRow | null> {
    return this.#oneOwned(transactionsById, userId, id);
  }

  /** A transaction of anybody: for staff whose look at it has been written to the audit log. */
  async transactionForStaff(id: string): Promise<TransactionRow | null> {
    const rows = await this.reader.rowsOf(transactionsForStaff, id);
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
    const rows = await this.reader.rowsOf(request.isBackward ? transactionsUp : transactionsDown, key);
    return pageOf(request, rows);
  }

  /** The most recent charge of the user for a subscription or purchase. */
  latestChargeFor(userId: string, subjectId: string): Promise<TransactionRow | null> {
    return this.#oneOwned(latestCharges, userId, subjectId);
  }

  /** What was given or taken back of a charge of the user, oldest first. */
  reversalsOf(userId: string, chargeId: string): Promise<TransactionRow[]> {
    return this.#manyOwned(reversalsOf, userId, chargeId);
  }

  /** Refunds and disputes of a charge of the user, as far as what is left to refund goes. */
  reversalFactsOf(userId: string, chargeId: string): Promise<ReversalFactsRow[]> {
    return this.#manyOwned(reversalFacts, userId, chargeId);
  }

  /** Every status a transaction of the user had, oldest first. */
  eventsOf(userId: string, transactionId: string): Promise<TransactionEventRow[]> {
    return this.#manyOwned(transactionEvents, userId, transactionId);
  }

  /** The try behind a charge of the user. */
  attemptOf(userId: string, chargeId: string): Promise<AttemptRow | null> {
    return this.#oneOwned(attemptsById, userId, chargeId);
  }

  /** The invoice, where this user owes or owed it. */
  invoiceOf(userId: string, id: string): Promise<InvoiceRow | null> {
    return this.#oneOwned(invoicesById, userId, id);
  }

  /** A page of the user's invoices, newest first. */
  async invoicePage(userId: string, request: PageRequest, conditions: InvoiceConditions): Promise<Page<InvoiceRow>> {
    const rows = await this.reader.rowsOf(invoicesDown, { ...stretchOf(userId, request), ...conditions });
    return pageOf(request, rows);
  }

  /** The lines of an invoice of the user, in their order. */
  invoiceLinesOf(userId: string, invoiceId: string): Promise<InvoiceLineRow[]> {
    return this.#manyOwned(invoiceLines, userId, invoiceId);
  }

  /** The charges tried for an invoice of the user, newest first. */
  chargesForInvoice(userId: string, invoiceId: string): Promise<TransactionRow[]> {
    return this.#manyOwned(chargesOfInvoices, userId, invoiceId);
  }

  /** The payment method, where it is this user's; removed ones too. */
  paymentMethodOf(userId: string, id: string): Promise<PaymentMethodRow | null> {
    return this.#oneOwned(paymentMethodsById, userId, id);
  }

  /** What the user has on file, the default first, then the newest. */
  paymentMethodsOnFile(userId: string): Promise<PaymentMethodRow[]> {
    return this.#many(paymentMethodsOnFile, userId, userId);
  }

  /** The purchase, where it is this user's. */
  purchaseOf(userId: string, id: string): Promise<PurchaseRow | null> {
    return this.#oneOwned(purchasesById, userId, id);
  }

  /** A page of the user's purchases, newest first. */
  async purchasePage(userId: string, request: PageRequest): Promise<Page<PurchaseRow>> {
    const rows = await this.reader.rowsOf(purchasesDown, stretchOf(userId, request));
    return pageOf(request, rows);
  }

  /** The gift, where this user gave it or it is for this user. */
  giftOf(userId: string, id: string): Promise<GiftRow | null> {
    return this.#oneOwned(giftsById, userId, id);
  }

  /** The payment of a gift of the user. */
  giftChargeOf(userId: string, giftId: string): Promise<TransactionRow | null> {
    return this.#oneOwned(giftCharges, userId, giftId);
  }

  /** A page of what the user gave and was given, newest first. */
  async giftPage(userId: string, request: PageRequest): Promise<Page<GiftRow>> {
    const rows = await this.reader.rowsOf(giftsDown, stretchOf(userId, request));
    return pageOf(request, rows);
  }

  /** The tier on the user's profile: its id, or null. Public. */
  async displayTier(userId: string): Promise<string | null> {
    if (!USER_ID_FORM.test(userId)) return null;
    return highestTier(await this.#many(displayTiers, { userId, at: this.#present() }, userId), this.catalogue);
  }

  /** What the user may use now, one right for each feature. Two statements for all users asked about together. */
  async rights(userId: string): Promise<EntitlementRight[]> {
    if (!USER_ID_FORM.test(userId)) return [];
    return this.#once(`rights ${userId}`, () => this.#rightsOf({ userId, at: this.#present() }));
  }

  /** A right that staff gave: for the agent whose audit entry of it has been written. */
  async grantForStaff(id: string): Promise<{ userId: string; right: EntitlementRight } | null> {
    const row = await this.reader.rowOf(grantsForStaff, id);
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
    this.#asked?.clear();
    this.#at = null;
  }

  /** The same for all that is read together. */
  #present(): Date {
    return (this.#at ??= this.clock.now());
  }

  async #rightsOf(key: UserAt): Promise<EntitlementRight[]> {
    const [subscriptions, grants] = await Promise.all([
      this.reader.rowsOf(entitledSubscriptions, key),
      this.reader.rowsOf(grantsInForce, key),
    ]);
    return unionOfRights(subscriptions, grants, (tierId) => this.catalogue.tier(tierId)?.features ?? []);
  }

  #oneOwned<Row extends { o: number }>(asked: KeyedStatement<OwnedKey, Row>, userId: string, id: string): Promise<Row | null> {
    return this.#one(asked, { id, userId }, `${id} ${userId}`);
  }

  #manyOwned<Row extends { o: number }>(asked: KeyedStatement<OwnedKey, Row>, userId: string, id: string): Promise<Row[]> {
    return this.#many(asked, { id, userId }, `${id} ${userId}`);
  }

  /** @param name tells the key from all others */
  #one<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>, key: Key, name: string): Promise<Row | null> {
    return this.#once(`${asked.name} ${name}`, () => this.reader.rowOf(asked, key));
  }

  #many<Key, Row extends { o: number }>(asked: KeyedStatement<Key, Row>, key: Key, name: string): Promise<Row[]> {
    return this.#once(`${asked.name} ${name}`, () => this.reader.rowsOf(asked, key));
  }

  #once<Found>(name: string, ask: () => Promise<Found>): Promise<Found> {
    this.#asked ??= new Map();
    const known = this.#asked.get(name) as Promise<Found> | undefined;
    if (known) return known;
    const found = ask();
    this.#asked.set(name, found);
    return found;
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
