import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { makeId, type Id, type IdPrefix } from '../../src/domain/ids.js';
import { bucketOfUser } from '../../src/store/viewer.js';

/** Ten minutes past nine on the day that the rows of these builders begin; each new row is one second younger. */
export const DAY_ONE = new Date('2026-03-01T09:10:00.000Z');

type Row = Record<string, unknown>;

const MARCH = { period_start: '2026-03-01T09:10:00Z', period_end: '2026-04-01T09:10:00Z' };

/** Puts whole, valid rows into an empty database; a test names only what matters to it. */
export class AccountRows {
  #seconds = 0;

  constructor(private readonly pool: pg.Pool) {}

  /** A new id of the user's bucket; each is a second younger than the one before. */
  id<K extends IdPrefix>(kind: K, userId: string): Id<K> {
    this.#seconds += 1;
    return makeId(kind, bucketOfUser(userId), DAY_ONE.getTime() + this.#seconds * 1_000, randomBytes(8));
  }

  async customer(userId: string, row: Row = {}): Promise<void> {
    await this.#insert('customer', { bucket: bucketOfUser(userId), user_id: userId, ...row });
  }

  async setDefaultMethod(userId: string, methodId: string): Promise<void> {
    await this.pool.query('update customer set default_payment_method_id = $2 where user_id = $1', [userId, methodId]);
  }

  method(userId: string, row: Row = {}): Promise<Id<'pm'>> {
    return this.#own('payment_method', 'pm', userId, {
      kind: 'card',
      status: 'active',
      provider_account_id: 1,
      provider_object_id: `pm_${randomBytes(6).toString('hex')}`,
      brand: 'visa',
      last4: '4242',
      expiry_month: 12,
      expiry_year: 2030,
      ...row,
    });
  }

  /** An active monthly subscription to the tier of the price. */
  subscription(userId: string, price: { id: string; tierId: string }, row: Row = {}): Promise<Id<'sub'>> {
    return this.#own('subscription', 'sub', userId, {
      tier_group: 'membership',
      tier_id: price.tierId,
      price_id: price.id,
      status: 'active',
      anchor_local: '2026-03-01 09:10:00',
      zone: 'UTC',
      period_start: '2026-03-01T09:10:00Z',
      period_end: '2026-04-01T09:10:00Z',
      entitled_until: '2026-04-01T15:10:00Z',
      ...row,
    });
  }

  /** A coupon at work on a subscription. */
  redemption(userId: string, couponId: string, subscriptionId: string, row: Row = {}): Promise<Id<'cpn'>> {
    return this.#own('coupon_redemption', 'cpn', userId, { coupon_id: couponId, subscription_id: subscriptionId, ...row });
  }

  purchase(userId: string, priceId: string, row: Row = {}): Promise<Id<'pur'>> {
    return this.#own('purchase', 'pur', userId, { price_id: priceId, quantity: 1, status: 'completed', ...row });
  }

  /** A gift that waits to be claimed by whoever has its code. */
  gift(userId: string, priceId: string, row: Row = {}): Promise<Id<'gift'>> {
    return this.#own('gift', 'gift', userId, {
      is_anonymous: false,
      price_id: priceId,
      periods: 3,
      status: 'claimable',
      claim_secret_hash: Buffer.alloc(32),
      claim_by: '2027-03-01T09:10:00Z',
      ...row,
    });
  }

  /** The recipient's side of a gift. */
  async received(userId: string, giftId: string, row: Row = {}): Promise<void> {
    await this.#own('gift_received', 'gift', userId, { gift_id: giftId, periods: 3, ...row });
  }

  grant(userId: string, featureKey: string, row: Row = {}): Promise<Id<'aud'>> {
    return this.#own('entitlement_grant', 'aud', userId, { feature_key: featureKey, granted_by: 'sue', ...row });
  }

  /** A line of history alone, without what is behind it. */
  transaction(userId: string, row: Row = {}): Promise<Id<'txn'>> {
    return this.#own('transaction', 'txn', userId, {
      kind: 'charge',
      status: 'succeeded',
      amount: 800,
      currency: 'USD',
      provider_account_id: 1,
      ...row,
    });
  }

  /** An issued invoice with its lines, of 8.00 and for a subscription's first month unless said; each line names what it has of its own. */
  async invoice(
    userId: string,
    subject: { subscriptionId: string } | { purchaseId: string },
    options: { invoice?: Row; lines?: readonly Row[] } = {},
  ): Promise<Id<'inv'>> {
    const lines = options.lines ?? [{}];
    const sum = (column: string, usual: number): number => lines.reduce((all, line) => all + Number(line[column] ?? usual), 0);
    const id = await this.#own('invoice', 'inv', userId, {
      currency: 'USD',
      net: sum('amount', 800),
      tax: sum('tax', 0),
      status: 'paid',
      finalized_at: DAY_ONE,
      ...('purchaseId' in subject
        ? { kind: 'purchase', purchase_id: subject.purchaseId }
        : { kind: 'period', subscription_id: subject.subscriptionId, epoch: 0, period_number: this.#seconds, ...MARCH }),
      ...options.invoice,
    });
    for (const [index, line] of lines.entries()) {
      const own = { bucket: bucketOfUser(userId), user_id: userId, invoice_id: id, position: index + 1 };
      await this.#insert('invoice_line', { ...own, description: 'Plus', amount: 800, ...MARCH, ...line });
    }
    return id;
  }

  /** A charge with all that is behind it: invoice, intent, attempt, transaction and its first event. */
  async charge(
    userId: string,
    subject: { subscriptionId: string } | { purchaseId: string } | { giftId: string },
    options: { status?: string; amount?: number; attempt?: Row; transaction?: Row } = {},
  ): Promise<Id<'txn'>> {
    const amount = options.amount ?? 800;
    const isPurchase = 'purchaseId' in subject;
    const invoiceId = await this.#own('invoice', 'inv', userId, {
      currency: 'USD',
      net: amount,
      status: 'open',
      ...(isPurchase
        ? { kind: 'purchase', purchase_id: subject.purchaseId }
        : 'giftId' in subject
          ? { kind: 'gift', gift_id: subject.giftId }
          : {
              kind: 'period',
              subscription_id: subject.subscriptionId,
              epoch: 0,
              period_number: this.#seconds,
              period_start: '2026-03-01T09:10:00Z',
              period_end: '2026-04-01T09:10:00Z',
            }),
    });
    const intentId = await this.#own('payment_intent', 'pin', userId, {
      invoice_id: invoiceId,
      amount,
      currency: 'USD',
      status: 'in_flight',
    });
    const status = options.status ?? 'succeeded';
    const isOpen = ['created', 'sent', 'unknown', 'requires_action', 'processing'].includes(status);
    const id = await this.#own('payment_attempt', 'txn', userId, {
      payment_intent_id: intentId,
      number: 1,
      provider_account_id: 1,
      amount,
      currency: 'USD',
      cause: 'user',
      is_off_session: false,
      idempotency_key: `att:test:${randomBytes(6).toString('hex')}`,
      request_fingerprint: Buffer.from('00', 'hex'),
      status,
      sent_at: DAY_ONE,
      call_deadline_at: DAY_ONE,
      key_valid_until: DAY_ONE,
      next_action_at: isOpen ? DAY_ONE : null,
      ...options.attempt,
    });
    const shown = TRANSACTION_OF_ATTEMPT[status] ?? status;
    const own = { bucket: bucketOfUser(userId), user_id: userId };
    await this.#insert('transaction', {
      ...own,
      id,
      kind: 'charge',
      status: shown,
      amount,
      currency: 'USD',
      provider_account_id: 1,
      subscription_id: 'subscriptionId' in subject ? subject.subscriptionId : null,
      purchase_id: isPurchase ? subject.purchaseId : null,
      invoice_id: invoiceId,
      ...options.transaction,
    });
    await this.#insert('transaction_event', {
      ...own,
      transaction_id: id,
      version: 0,
      status: shown,
      at: DAY_ONE,
      cause: 'user',
    });
    return id;
  }

  /** A refund of a charge, with its line of history. */
  async refund(userId: string, chargeId: string, amount: number, status = 'succeeded'): Promise<Id<'txn'>> {
    const id = await this.#own('refund', 'txn', userId, {
      payment_attempt_id: chargeId,
      amount,
      currency: 'USD',
      reason: 'requested',
      requested_by: 'staff:sue',
      status,
      idempotency_key: `ref:test:${randomBytes(6).toString('hex')}`,
      next_action_at: ['created', 'sent', 'unknown'].includes(status) ? DAY_ONE : null,
    });
    const shown = { created: 'pending', sent: 'pending' }[status] ?? status;
    await this.#line(userId, id, { kind: 'refund', status: shown, amount, original_id: chargeId });
    return id;
  }

  /** A dispute about a charge, with its line of history. */
  async dispute(userId: string, chargeId: string, amount: number, row: Row = {}): Promise<Id<'txn'>> {
    const id = await this.#own('dispute', 'txn', userId, {
      payment_attempt_id: chargeId,
      provider_account_id: 1,
      provider_object_id: `dp_${randomBytes(6).toString('hex')}`,
      amount,
      currency: 'USD',
      status: 'open',
      is_withdrawn: true,
      ...row,
    });
    await this.#line(userId, id, { kind: 'dispute', status: 'succeeded', amount, original_id: chargeId });
    return id;
  }

  async #line(userId: string, id: string, row: Row): Promise<void> {
    await this.#insert('transaction', {
      bucket: bucketOfUser(userId),
      user_id: userId,
      id,
      currency: 'USD',
      provider_account_id: 1,
      ...row,
    });
  }

  async #own<K extends IdPrefix>(table: string, kind: K, userId: string, row: Row): Promise<Id<K>> {
    const id = this.id(kind, userId);
    await this.#insert(table, { bucket: bucketOfUser(userId), id, user_id: userId, ...row });
    return id;
  }

  async #insert(table: string, row: Row): Promise<void> {
    const columns = Object.keys(row);
    const places = columns.map((_, i) => `$${i + 1}`);
    await this.pool.query(`insert into ${table} (${columns.join(', ')}) values (${places.join(', ')})`, Object.values(row));
  }
}

const TRANSACTION_OF_ATTEMPT: Readonly<Record<string, string>> = {
  created: 'pending',
  sent: 'pending',
  declined: 'failed',
  not_executed: 'failed',
  late_failed: 'failed',
};
