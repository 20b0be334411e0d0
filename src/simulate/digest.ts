/** What a run came to, as one short text: the same seed gives the same one, whatever ran beside it and in whatever order. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Life } from './life.js';
import { lineOf } from './tell.js';

/** Everything that happened, without ids, in an order that follows from what it is. */
const HISTORIES: readonly string[] = [
  `select t.user_id, e.at, t.kind, e.version, e.status, e.cause, t.amount::text, t.currency from transaction_event e
   join transaction t on t.bucket = e.bucket and t.id = e.transaction_id`,
  'select user_id, at, kind, version, status, cause from subscription_event',
  `select m.user_id, m.effective_at, m.event, m.leg, d.code as debit, c.code as credit, m.currency, m.amount::text from ledger_movement m
   join ledger_account d on d.id = m.debit_account_id join ledger_account c on c.id = m.credit_account_id`,
  'select user_id, kind, status, total::text, currency, period_start, period_end, paid_at from invoice',
];

/** The digest of a run. */
export async function digestOf(client: pg.ClientBase, lives: readonly Life[]): Promise<string> {
  const hash = createHash('sha256');
  for (const { told } of lives) for (const line of told) hash.update(`${lineOf(line)}\n`);
  for (const history of HISTORIES) {
    const { rows } = await client.query<{ digest: string | null }>(
      `select md5(string_agg(h::text, E'\\n' order by h::text collate "C")) as digest from (${history}) h`,
    );
    hash.update(`${rows[0]?.digest ?? ''}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
