/**
 * Holds what a provider really did against what we believe and booked. Reads rows alone and shares no decision with the product, so that
 * one mistake can not be made on both sides. Amounts are compared as they are: the catalogue's currencies count alike on both sides.
 */
import type pg from 'pg';

/** What the stand-in tells under /sandbox/truth, as far as money is concerned. Amounts in minor units, `currency` in lower case. */
export interface ProviderTruth {
  paymentIntents: readonly { id: string; status: string; metadata: Readonly<Record<string, string>> }[];
  charges: readonly {
    id: string;
    payment_intent: unknown;
    paid: boolean;
    amount: number;
    amount_refunded: number;
    currency: string;
    created: number;
  }[];
  refunds: readonly { id: string; charge: unknown; status: string | null; amount: number; currency: string }[];
  balanceTransactions: readonly { id: string; type: string; net: number; currency: string }[];
}

/** Something that does not fit. */
export interface Discrepancy {
  kind:
    | 'double_charge'
    | 'lost_charge'
    | 'charge_never_made'
    | 'charge_differs'
    | 'orphan_kept'
    | 'lost_refund'
    | 'refund_never_made'
    | 'refund_differs'
    | 'still_open'
    | 'clearing'
    | 'feed';
  /** The provider's or our id of what it is about. */
  subject: string;
  /** One line for a person. */
  text: string;
}

interface AttemptRow {
  id: string;
  status: string;
  amount: string;
  currency: string;
  provider_object_id: string | null;
  provider_charge_id: string | null;
}

interface RefundRow {
  id: string;
  status: string;
  amount: string;
  currency: string;
  provider_object_id: string | null;
}

interface OrphanRow {
  charge_id: string;
  finding_status: string;
}

/** Everything of the database that the comparison needs, read in one snapshot. Amounts are texts of minor units. */
export interface Books {
  attempts: AttemptRow[];
  refunds: RefundRow[];
  /** Charges at the provider that are in suspense by a finding. */
  orphans: OrphanRow[];
  clearing: { currency: string; balance: string }[];
  /** Subjects whose last told status is not their status; a feed is kept for some days only, and what is older is not asked about. */
  untold: { id: string; status: string; told: string | null }[];
}

const READS: { [Name in keyof Books]: string } = {
  attempts:
    'select id::text, status, amount::text, currency::text, provider_object_id, provider_charge_id from payment_attempt order by id',
  refunds: 'select id::text, status, amount::text, currency::text, provider_object_id from refund order by id',
  orphans: `select r.object_id as charge_id, f.status as finding_status from recon_finding f
            join provider_record r on r.id = f.record_id where f.kind = 'missing_here_orphan' and r.object_id is not null`,
  clearing: `select a.currency::text, sum(e.amount)::text as balance from ledger_entry e join ledger_account a on a.id = e.account_id
             where a.code = 'provider_clearing' group by 1 order by 1`,
  untold: `select t.id::text, t.status, f.status as told from transaction t
           join lateral (select max(e.at) as at from transaction_event e where e.bucket = t.bucket and e.transaction_id = t.id) e on true
           left join lateral (select status from feed_entry f where f.bucket = t.bucket and f.user_id = t.user_id and f.subject_id = t.id
                              order by f.seq desc limit 1) f on true
           where f.status is distinct from t.status and e.at >= (select min(at) from feed_entry)`,
};

/** Reads the books. The caller's transaction, if any, is the snapshot; the role must see all rows. */
export async function readBooks(client: pg.ClientBase): Promise<Books> {
  const rows = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => (await client.query<Row>(sql)).rows;
  return {
    attempts: await rows(READS.attempts),
    refunds: await rows(READS.refunds),
    orphans: await rows(READS.orphans),
    clearing: await rows(READS.clearing),
    untold: await rows(READS.untold),
  };
}

/**
 * Everything that does not fit between provider and books, once all is quiet: nothing open, every event applied.
 * @returns none when each cent is explained
 */
export function compareBooks(truth: ProviderTruth, books: Books): Discrepancy[] {
  return [
    ...compareCharges(truth, books),
    ...compareRefunds(truth, books),
    ...compareClearing(truth, books),
    ...stillOpen(books),
    ...books.untold.map(({ id, status, told }) => ({
      kind: 'feed' as const,
      subject: id,
      text: `The transaction is ${status}, but its owner was last told ${told ?? 'nothing'}.`,
    })),
  ];
}

function compareCharges({ charges, paymentIntents }: ProviderTruth, books: Books): Discrepancy[] {
  const found: Discrepancy[] = [];
  const ours = new Map(books.attempts.flatMap((row) => (row.provider_charge_id === null ? [] : [[row.provider_charge_id, row]])));
  const orphans = new Set(books.orphans.map(({ charge_id }) => charge_id));
  const invoiceOf = new Map(paymentIntents.map((intent) => [intent.id, intent.metadata['invoice_id'] ?? null]));
  const paid = charges.filter((charge) => charge.paid);
  const keptByInvoice = new Map<string, string[]>();
  for (const charge of paid) {
    const intentObject = idOf(charge.payment_intent);
    const invoice = intentObject === null ? null : (invoiceOf.get(intentObject) ?? null);
    if (invoice !== null && charge.amount_refunded < charge.amount)
      keptByInvoice.set(invoice, [...(keptByInvoice.get(invoice) ?? []), charge.id]);
    const row = ours.get(charge.id);
    if (row && (row.status === 'succeeded' || row.status === 'late_failed')) {
      if (BigInt(row.amount) !== BigInt(charge.amount) || row.currency !== charge.currency.toUpperCase()) {
        const text = `The provider took ${charge.amount} ${charge.currency}, the attempt ${row.id} says ${row.amount} ${row.currency}.`;
        found.push({ kind: 'charge_differs', subject: charge.id, text });
      }
    } else if (orphans.has(charge.id)) {
      if (charge.amount_refunded < charge.amount) {
        const text = 'A charge that nothing of ours explains was not given back.';
        found.push({ kind: 'orphan_kept', subject: charge.id, text });
      }
    } else {
      const text = `The provider took ${charge.amount} ${charge.currency} for ${invoice ?? 'no invoice of ours'}, and we know nothing of it.`;
      found.push({ kind: 'lost_charge', subject: charge.id, text });
    }
  }
  for (const [invoice, ids] of keptByInvoice) {
    if (ids.length > 1)
      found.push({
        kind: 'double_charge',
        subject: invoice,
        text: `One invoice was charged ${ids.length} times: ${ids.join(', ')}.`,
      });
  }
  const taken = new Set(paid.map(({ id }) => id));
  for (const row of books.attempts) {
    if (row.status !== 'succeeded' || (row.provider_charge_id !== null && taken.has(row.provider_charge_id))) continue;
    const text = `The attempt succeeded with the charge ${row.provider_charge_id ?? 'none'}, which the provider never made.`;
    found.push({ kind: 'charge_never_made', subject: row.id, text });
  }
  return found;
}

/** Our word for a refund's status at the provider. */
const REFUND_STATUS: Readonly<Record<string, string>> = {
  pending: 'pending',
  requires_action: 'pending',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
};

function compareRefunds({ refunds }: ProviderTruth, books: Books): Discrepancy[] {
  const found: Discrepancy[] = [];
  const ours = new Map(books.refunds.flatMap((row) => (row.provider_object_id === null ? [] : [[row.provider_object_id, row]])));
  const orphans = new Set(books.orphans.map(({ charge_id }) => charge_id));
  for (const refund of refunds) {
    const row = ours.get(refund.id);
    const status = REFUND_STATUS[refund.status ?? ''] ?? refund.status;
    if (!row) {
      const charge = idOf(refund.charge);
      if (charge !== null && orphans.has(charge)) continue;
      const text = `The provider gave back ${refund.amount} ${refund.currency} of ${charge ?? 'no charge'}, and we know nothing of it.`;
      found.push({ kind: 'lost_refund', subject: refund.id, text });
    } else if (BigInt(row.amount) !== BigInt(refund.amount) || row.status !== status) {
      const text = `The provider says ${refund.amount} ${String(status)}, the refund ${row.id} says ${row.amount} ${row.status}.`;
      found.push({ kind: 'refund_differs', subject: refund.id, text });
    }
  }
  const given = new Set(refunds.map(({ id }) => id));
  for (const row of books.refunds) {
    if (!['pending', 'succeeded', 'failed'].includes(row.status)) continue;
    if (row.provider_object_id !== null && given.has(row.provider_object_id)) continue;
    const text = `The refund is ${row.status} as ${row.provider_object_id ?? 'nothing'}, which the provider never made.`;
    found.push({ kind: 'refund_never_made', subject: row.id, text });
  }
  return found;
}

/** What the provider holds for us, payouts aside, is what our clearing account says. */
function compareClearing({ balanceTransactions }: ProviderTruth, books: Books): Discrepancy[] {
  const theirs = new Map<string, bigint>();
  for (const { type, net, currency } of balanceTransactions) {
    if (type.startsWith('payout')) continue;
    const code = currency.toUpperCase();
    theirs.set(code, (theirs.get(code) ?? 0n) + BigInt(net));
  }
  const ours = new Map(books.clearing.map(({ currency, balance }) => [currency, BigInt(balance)]));
  return [...new Set([...theirs.keys(), ...ours.keys()])].flatMap((currency) => {
    const [there, here] = [theirs.get(currency) ?? 0n, ours.get(currency) ?? 0n];
    if (there === here) return [];
    const text = `The provider holds ${there} ${currency} for us, our clearing account says ${here}: ${there - here} unexplained.`;
    return [{ kind: 'clearing' as const, subject: currency, text }];
  });
}

const OPEN_ATTEMPT = new Set(['created', 'sent', 'unknown']);
const OPEN_REFUND = new Set(['created', 'sent', 'unknown']);

function stillOpen({ attempts, refunds }: Books): Discrepancy[] {
  const open = (rows: readonly { id: string; status: string }[], statuses: ReadonlySet<string>, what: string): Discrepancy[] =>
    rows
      .filter(({ status }) => statuses.has(status))
      .map(({ id, status }) => ({ kind: 'still_open', subject: id, text: `A ${what} is still ${status}.` }));
  return [...open(attempts, OPEN_ATTEMPT, 'charge'), ...open(refunds, OPEN_REFUND, 'refund')];
}

/** A reference of the provider's: an id, or the object itself where it is expanded. */
function idOf(reference: unknown): string | null {
  if (typeof reference === 'string') return reference;
  if (typeof reference === 'object' && reference !== null && 'id' in reference && typeof reference.id === 'string')
    return reference.id;
  return null;
}
