/** Valid rows of customers' lives, written by SQL as the product writes them: what the invariants must find nothing wrong with. */
import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { makeId, publicId, type IdPrefix } from '../../src/domain/ids.js';
import { accountId } from '../../src/domain/ledger/chart.js';
import * as journals from '../../src/domain/ledger/journals.js';
import type { Movement } from '../../src/domain/ledger/journals.js';
import { currencyOf } from '../../src/domain/money/currency.js';
import { SLACK_MS } from '../../src/domain/subscription/subscription.js';
import { anchorLocalOf, isoDay, periodOf } from '../../src/domain/time/periods.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Merchant account of the catalogue. */
const ACCOUNT = 1;
const FEE = 53n;
const PRICE = 800n;

/** Ids of what one charge hangs on. */
export interface Sale {
  user: string;
  invoice: string;
  intent: string;
  attempt: string;
  subscription: string | null;
  purchase: string | null;
}

type Row = Record<string, unknown>;

/** Writes rows through one connection; times are near `now`. */
export class Books {
  readonly #feedSeqs = new Map<string, number>();

  constructor(
    readonly client: pg.ClientBase,
    readonly now: Date,
    readonly catalogue: { tierId: string; tierPriceId: string; productPriceId: string },
  ) {}

  /** The owner's 12 bits: as the database's key_bucket computes them. */
  bucket(key: string): number {
    return createHash('sha256').update(key).digest().readUInt16BE(0) >> 4;
  }

  id(kind: IdPrefix, key: string, at = this.now): string {
    return makeId(kind, this.bucket(key), at.getTime(), randomBytes(8));
  }

  at(ms: number): Date {
    return new Date(this.now.getTime() + ms);
  }

  async put(table: string, row: Row): Promise<void> {
    const columns = Object.keys(row);
    const places = columns.map((_, i) => `$${i + 1}`);
    await this.client.query(`insert into ${table} (${columns.join(', ')}) values (${places.join(', ')})`, Object.values(row));
  }

  async set(table: string, id: string, changes: Row): Promise<void> {
    const assignments = Object.keys(changes).map((column, i) => `${column} = $${i + 2}`);
    await this.client.query(`update ${table} set ${assignments.join(', ')} where id = $1`, [id, ...Object.values(changes)]);
  }

  async post(source: string, movements: readonly Movement[], user: string | null, invoice: string | null): Promise<void> {
    for (const { event, leg, debit, credit, amountMinor, currency } of movements) {
      const numeric = currencyOf(currency)?.numeric ?? 0;
      await this.put('ledger_movement', {
        bucket: Number.parseInt(source.slice(15, 18), 16),
        source_id: source,
        event,
        leg,
        debit_account_id: accountId(debit, numeric, ACCOUNT),
        credit_account_id: accountId(credit, numeric, ACCOUNT),
        currency,
        amount: amountMinor,
        user_id: user,
        invoice_id: invoice,
        effective_at: this.now,
        posted_at: this.now,
      });
    }
  }

  async customer(user: string): Promise<void> {
    const owner = { bucket: this.bucket(user), user_id: user };
    await this.put('customer', owner);
    const id = this.id('pm', user);
    const card = { brand: 'visa', last4: '4242', expiry_month: 12, expiry_year: 2040, fingerprint: `fp_${user}` };
    await this.put('payment_method', {
      ...owner,
      id,
      kind: 'card',
      status: 'active',
      provider_account_id: ACCOUNT,
      provider_object_id: `pm_${user}`,
      ...card,
    });
    await this.put('provider_customer', { ...owner, provider_account_id: ACCOUNT, object_id: `cus_${user}` });
    await this.client.query('update customer set default_payment_method_id = $2 where user_id = $1', [user, id]);
  }

  /** A line of history reaches a status: with its event, its feed entry and what the bus carries. */
  async history(
    user: string,
    id: string,
    version: number,
    status: string,
    previous: string | null,
    cause: string,
  ): Promise<void> {
    const owner = { bucket: this.bucket(user), user_id: user };
    await this.put('transaction_event', { ...owner, transaction_id: id, version, status, at: this.now, cause });
    const seq = (this.#feedSeqs.get(user) ?? 0) + 1;
    this.#feedSeqs.set(user, seq);
    await this.client.query('update customer set feed_seq = $2 where user_id = $1', [user, seq]);
    const entry = { at: this.now, change: 'payment_status', subject_id: id, version, status, previous_status: previous };
    await this.put('feed_entry', { ...owner, seq, ...entry });
    await this.put('outbox_event', {
      ...owner,
      id: this.id('txn', user),
      seq,
      type: 'payment_status',
      data: {},
      published_at: this.now,
    });
  }

  /** A subscription or purchase asked for, its charge sent: the rows before the provider's answer is known. */
  async begin(user: string, kind: 'period' | 'purchase'): Promise<Sale> {
    const owner = { bucket: this.bucket(user), user_id: user };
    const sale: Sale = {
      user,
      invoice: this.id('inv', user),
      intent: this.id('pin', user),
      attempt: this.id('txn', user),
      subscription: kind === 'period' ? this.id('sub', user) : null,
      purchase: kind === 'purchase' ? this.id('pur', user) : null,
    };
    const anchor = anchorLocalOf(this.at(-MINUTE), 'UTC');
    const { start, end } = periodOf({ anchorLocal: anchor, zone: 'UTC', unit: 'month', count: 1, n: 0 });
    const result = sale.subscription
      ? { result_type: 'subscription', result_id: sale.subscription }
      : { result_type: 'purchase', result_id: sale.purchase };
    const operation = sale.subscription ? 'subscribe' : 'purchase';
    await this.put('idempotency_key', {
      ...owner,
      operation,
      key: sale.attempt,
      input_hash: randomBytes(32),
      ...result,
      expires_at: this.at(30 * DAY),
    });
    if (sale.subscription) {
      const { tierId: tier_id, tierPriceId: price_id } = this.catalogue;
      const period = { anchor_local: anchor, zone: 'UTC', period_start: start, period_end: end, entitled_until: start };
      await this.put('subscription', {
        ...owner,
        id: sale.subscription,
        tier_group: 'membership',
        tier_id,
        price_id,
        status: 'incomplete',
        ...period,
      });
      await this.put('subscription_event', {
        ...owner,
        subscription_id: sale.subscription,
        version: 0,
        kind: 'created',
        status: 'incomplete',
        cause: 'user',
        at: this.now,
      });
    } else {
      await this.put('purchase', {
        ...owner,
        id: sale.purchase,
        price_id: this.catalogue.productPriceId,
        quantity: 1,
        status: 'pending_payment',
      });
    }
    const period = sale.subscription ? { epoch: 0, period_number: 0, period_start: start, period_end: end } : {};
    await this.put('invoice', {
      ...owner,
      id: sale.invoice,
      kind,
      subscription_id: sale.subscription,
      purchase_id: sale.purchase,
      currency: 'USD',
      net: PRICE,
      status: 'open',
      finalized_at: this.now,
      ...period,
    });
    await this.put('invoice_line', { ...owner, invoice_id: sale.invoice, position: 1, description: 'Premium', amount: PRICE });
    if (sale.subscription) {
      const days = { starts_on: isoDay(start), ends_on: isoDay(end) };
      await this.put('revenue_schedule', { ...owner, invoice_id: sale.invoice, seq: 1, currency: 'USD', net: PRICE, ...days });
    }
    await this.post(sale.invoice, journals.invoiceFinalized(this.#booked(sale)), user, sale.invoice);
    const money = { amount: PRICE, currency: 'USD' };
    await this.put('payment_intent', {
      ...owner,
      id: sale.intent,
      invoice_id: sale.invoice,
      ...money,
      status: 'in_flight',
      version: 1,
    });
    const sent = {
      sent_at: this.at(-MINUTE),
      call_deadline_at: this.at(-40_000),
      key_valid_until: this.at(23 * HOUR),
      next_action_at: this.at(21_000),
    };
    await this.put('payment_attempt', {
      ...owner,
      id: sale.attempt,
      payment_intent_id: sale.intent,
      number: 1,
      provider_account_id: ACCOUNT,
      ...money,
      cause: 'user',
      is_off_session: false,
      idempotency_key: `att:local:${publicId('txn', sale.attempt)}`,
      request_fingerprint: randomBytes(32),
      status: 'sent',
      ...sent,
      version: 1,
    });
    const about = { subscription_id: sale.subscription, purchase_id: sale.purchase, invoice_id: sale.invoice };
    await this.put('transaction', {
      ...owner,
      id: sale.attempt,
      kind: 'charge',
      status: 'pending',
      ...money,
      provider_account_id: ACCOUNT,
      ...about,
    });
    await this.history(user, sale.attempt, 0, 'pending', null, 'user');
    return sale;
  }

  #booked({ purchase }: Sale): journals.BookedInvoice {
    return { kind: purchase ? 'purchase' : 'period', netMinor: PRICE, taxMinor: 0n, currency: 'USD' };
  }

  /** The provider took the money. */
  async succeed(sale: Sale, previous = 'pending', version = 1): Promise<void> {
    const { user } = sale;
    const charge = `ch_${sale.attempt}`;
    await this.set('payment_attempt', sale.attempt, {
      status: 'succeeded',
      provider_object_id: `pi_${sale.attempt}`,
      provider_charge_id: charge,
      next_action: null,
      next_action_at: null,
      version: version + 1,
    });
    await this.set('payment_intent', sale.intent, { status: 'succeeded', version: version + 1 });
    await this.set('invoice', sale.invoice, { status: 'paid', paid_at: this.now });
    if (sale.subscription) {
      await this.client.query(
        `update subscription set status = 'active', entitled_until = period_end + $2 * interval '1 ms', version = 1 where id = $1`,
        [sale.subscription, SLACK_MS],
      );
      await this.put('subscription_event', {
        bucket: this.bucket(user),
        user_id: user,
        subscription_id: sale.subscription,
        version: 1,
        kind: 'activated',
        status: 'active',
        cause: 'user',
        at: this.now,
      });
    }
    if (sale.purchase) await this.set('purchase', sale.purchase, { status: 'completed' });
    await this.set('transaction', sale.attempt, { status: 'succeeded', settled_at: this.now, version });
    await this.history(user, sale.attempt, version, 'succeeded', previous, 'user');
    await this.post(sale.attempt, journals.paymentSucceeded(PRICE, 'USD', false), user, sale.invoice);
    const record = await this.record(user, {
      kind: 'charge',
      object_id: charge,
      our_ref: sale.intent,
      gross: PRICE,
      fee: FEE,
      matched_type: 'transaction',
      matched_id: sale.attempt,
    });
    await this.post(record, journals.providerFee(FEE, 'USD'), user, null);
  }

  /** A line of the provider's books. */
  async record(user: string, row: Row & { gross: bigint; fee: bigint }): Promise<string> {
    const id = this.id('txn', user);
    await this.put('provider_record', {
      bucket: this.bucket(user),
      id,
      provider_account_id: ACCOUNT,
      native_id: `txn_${id}`,
      native_type: row['kind'],
      net: row.gross - row.fee,
      currency: 'USD',
      occurred_at: this.now,
      day: isoDay(this.now),
      status: 'succeeded',
      digest: randomBytes(32),
      matched_by: 'M1',
      ...row,
    });
    return id;
  }

  /** The provider wants the customer to act. */
  async requireAction(sale: Sale): Promise<void> {
    const next_action = { type: 'REDIRECT', redirectUrl: 'https://example.com/3ds' };
    await this.set('payment_attempt', sale.attempt, {
      status: 'requires_action',
      provider_object_id: `pi_${sale.attempt}`,
      next_action,
      next_action_at: this.at(15 * MINUTE),
      version: 2,
    });
    await this.set('payment_intent', sale.intent, { status: 'requires_action', version: 2 });
    await this.set('transaction', sale.attempt, { status: 'requires_action', version: 1 });
    await this.history(sale.user, sale.attempt, 1, 'requires_action', 'pending', 'user');
  }

  /** The provider's message about a charge, worked off. */
  async webhook(sale: Sale): Promise<void> {
    const event_id = `evt_${sale.attempt}`;
    const id = this.id('whe', event_id);
    const about = {
      type: 'payment_intent.succeeded',
      object_id: `pi_${sale.attempt}`,
      source: 'push',
      provider_created_at: this.now,
    };
    await this.put('webhook_inbox', {
      bucket: this.bucket(event_id),
      event_id,
      provider_account_id: ACCOUNT,
      id,
      ...about,
      status: 'done',
      attempts: 1,
    });
  }

  /** The bank refused: all that hung on the first payment ends. */
  async decline(sale: Sale): Promise<void> {
    await this.set('payment_attempt', sale.attempt, {
      status: 'declined',
      decline_code: 'insufficient_funds',
      decline_class: 'SOFT_LATER',
      next_action_at: null,
      version: 2,
    });
    await this.set('payment_intent', sale.intent, { status: 'failed', version: 2 });
    await this.set('invoice', sale.invoice, { status: 'void' });
    await this.post(sale.invoice, journals.invoiceVoided(this.#booked(sale), PRICE), sale.user, sale.invoice);
    await this.client.query('update revenue_schedule set stopped_on = starts_on, reversed = net where invoice_id = $1', [
      sale.invoice,
    ]);
    if (sale.subscription)
      await this.set('subscription', sale.subscription, { status: 'incomplete_expired', ended_at: this.now, version: 1 });
    await this.set('transaction', sale.attempt, { status: 'failed', version: 1 });
    await this.history(sale.user, sale.attempt, 1, 'failed', 'pending', 'user');
  }

  /** Support gives a part back, and the provider accepts it. Answers the refund's id. */
  async refund(sale: Sale, amount: bigint): Promise<string> {
    const { user } = sale;
    const owner = { bucket: this.bucket(user), user_id: user };
    const id = this.id('txn', user);
    const money = { amount, currency: 'USD' };
    const staff = { bucket: this.bucket('sue'), user_id: 'sue' };
    await this.put('idempotency_key', {
      ...staff,
      operation: 'refund',
      key: id,
      input_hash: randomBytes(32),
      result_type: 'refund',
      result_id: id,
      expires_at: this.at(30 * DAY),
    });
    await this.put('refund', {
      ...owner,
      id,
      payment_attempt_id: sale.attempt,
      ...money,
      reason: 'requested',
      requested_by: 'staff:sue',
      status: 'succeeded',
      idempotency_key: `ref:local:${publicId('txn', id)}`,
      provider_object_id: `re_${id}`,
      sent_at: this.at(-MINUTE),
      call_deadline_at: this.at(-40_000),
      key_valid_until: this.at(23 * HOUR),
      version: 2,
    });
    const about = { subscription_id: sale.subscription, invoice_id: sale.invoice, original_id: sale.attempt };
    await this.put('transaction', {
      ...owner,
      id,
      kind: 'refund',
      status: 'succeeded',
      ...money,
      provider_account_id: ACCOUNT,
      ...about,
      settled_at: this.now,
      version: 1,
    });
    await this.history(user, id, 0, 'pending', null, 'staff');
    await this.history(user, id, 1, 'succeeded', 'pending', 'staff');
    const source = { amountMinor: amount, currency: 'USD', invoiceNetMinor: PRICE, invoiceTaxMinor: 0n, unearnedMinor: PRICE };
    await this.post(id, [...journals.refundRequested(source), ...journals.refundSettled(amount, 'USD')], user, sale.invoice);
    await this.client.query('update revenue_schedule set stopped_on = starts_on, reversed = net where invoice_id = $1', [
      sale.invoice,
    ]);
    await this.client.query(
      `insert into revenue_schedule (bucket, invoice_id, seq, user_id, currency, net, starts_on, ends_on)
       select bucket, invoice_id, 2, user_id, currency, net - $2, starts_on, ends_on from revenue_schedule where invoice_id = $1`,
      [sale.invoice, amount],
    );
    await this.record(user, {
      kind: 'refund',
      object_id: `re_${id}`,
      parent_object_id: `ch_${sale.attempt}`,
      gross: -amount,
      fee: 0n,
      matched_type: 'refund',
      matched_id: id,
    });
    return id;
  }

  /** The bank took a charge back; nothing is decided yet. Answers the dispute's id. */
  async dispute(sale: Sale): Promise<string> {
    const { user } = sale;
    const owner = { bucket: this.bucket(user), user_id: user };
    const id = this.id('txn', user);
    const money = { amount: PRICE, currency: 'USD' };
    await this.put('dispute', {
      ...owner,
      id,
      payment_attempt_id: sale.attempt,
      provider_account_id: ACCOUNT,
      provider_object_id: `dp_${id}`,
      ...money,
      status: 'open',
      is_withdrawn: true,
    });
    await this.put('transaction', {
      ...owner,
      id,
      kind: 'dispute',
      status: 'succeeded',
      ...money,
      provider_account_id: ACCOUNT,
      invoice_id: sale.invoice,
      original_id: sale.attempt,
    });
    await this.history(user, id, 0, 'succeeded', null, 'provider_event');
    const record = await this.record(user, {
      kind: 'dispute',
      object_id: `dp_${id}`,
      gross: -PRICE,
      fee: 1_500n,
      matched_type: 'dispute',
      matched_id: id,
    });
    await this.post(record, journals.disputeWithdrawn(PRICE, 1_500n, 'USD'), user, null);
    return id;
  }
}
