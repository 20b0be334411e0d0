/** A named SQL text with the shapes of its parameters and rows. The name shows in traces and in prepared statements. */
export interface Statement<Params extends readonly unknown[], Row> {
  readonly name: string;
  readonly text: string;
  /** Its rows are whole rows of a table, to be given with the names of the entity. */
  readonly isOfEntity?: boolean;
  /** Never set: carries the types. */
  readonly types?: (params: Params) => Row;
}

/** Declares a statement: a constant text, never built from pieces at run time. */
export function statement<Params extends readonly unknown[], Row>(name: string, text: string): Statement<Params, Row> {
  return { name, text };
}

/** Declares a statement that answers with whole rows of a table (`select *`), under the names that its entity has for the columns. */
export function entityStatement<Params extends readonly unknown[], Row>(name: string, text: string): Statement<Params, Row> {
  return { name, text, isOfEntity: true };
}

/**
 * How statements are planned that look rows up by their keys: once for each connection, as such look-ups. Left alone the planner thinks that it could leave
 * out partitions by values it knows, and plans statements about transactions and the ledger anew each time, for as long as it takes to run them; and it
 * takes reading a small table as a whole for cheaper than a look-up, which it no longer is when rows have come that it has not counted.
 */
export const BY_KEY: readonly string[] = [
  'plan_cache_mode=force_generic_plan',
  'enable_seqscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
];

/** The same for a connection's start, behind its other options. */
export const BY_KEY_OPTIONS = BY_KEY.map((setting) => ` -c ${setting}`).join('');

/** A row under its entity's names: `payment_intent_id` is `paymentIntentId`. Held for every entity by test/store/entity-names.test.ts. */
export function underEntityNames(row: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [entityName(column), value]));
}

const entityNames = new Map<string, string>();

function entityName(column: string): string {
  const known = entityNames.get(column);
  if (known !== undefined) return known;
  const name = column.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  entityNames.set(column, name);
  return name;
}
