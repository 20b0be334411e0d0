/** Checks of the whole database: what must hold across tables, as named queries that return violations. */
import pg from 'pg';

/** A query that returns a row for each violation. */
export interface Invariant {
  name: string;
  /** What it checks, in one sentence. */
  sentence: string;
  sql: string;
}

/** What one query found. */
export type InvariantResult =
  | { name: string; kind: 'checked'; violations: number; examples: string[] }
  /** It reads a table that this release does not have. */
  | { name: string; kind: 'no_table' };

/** Rows of a violated invariant that are shown. */
const MAX_EXAMPLES = 5;
/** PostgreSQL's code of "relation does not exist". */
const UNDEFINED_TABLE = '42P01';
const QUERY_START = /^-- name: (\w+) -- (.+)$/gm;

/** Reads the named queries of a file. @throws Error when it has none, or a text that belongs to none */
export function parseInvariants(file: string): Invariant[] {
  const starts = [...file.matchAll(QUERY_START)];
  if (starts.length === 0) throw new Error('The file has no query that begins with "-- name: <name> -- <sentence>".');
  return starts.map((start, i) => {
    const [line, name = '', sentence = ''] = start;
    const text = file.slice(start.index + line.length, starts[i + 1]?.index).trim();
    if (!text.endsWith(';')) throw new Error(`Query ${name} does not end with ";".`);
    return { name, sentence, sql: text.slice(0, -1) };
  });
}

/**
 * Runs the queries, as the role that sees all rows, inside the caller's transaction, whose snapshot they share; the role and the
 * time zone stay set until it ends.
 * @param now the present instant on the environment's clock
 */
export async function checkInvariants(
  client: pg.ClientBase,
  invariants: readonly Invariant[],
  now: Date,
): Promise<InvariantResult[]> {
  await client.query("set local role pay_worker; set local timezone = 'UTC'");
  const results: InvariantResult[] = [];
  for (const { name, sql } of invariants) {
    await client.query('savepoint invariant');
    try {
      results.push({ name, kind: 'checked', ...(await violationsOf(client, sql, now)) });
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== UNDEFINED_TABLE) throw error;
      results.push({ name, kind: 'no_table' });
    }
    await client.query('rollback to savepoint invariant; release savepoint invariant');
  }
  return results;
}

async function violationsOf(client: pg.ClientBase, sql: string, now: Date): Promise<{ violations: number; examples: string[] }> {
  const query = sql.replaceAll(":'now'", `'${now.toISOString()}'`);
  const { rows } = await client.query<{ example: string; violations: number }>(
    `select to_jsonb(v)::text as example, (count(*) over ())::int as violations from (${query}) v limit ${MAX_EXAMPLES}`,
  );
  return { violations: rows[0]?.violations ?? 0, examples: rows.map((row) => row.example) };
}
