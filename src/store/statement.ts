/** A named SQL text with the shapes of its parameters and rows. The name shows in traces and in prepared statements. */
export interface Statement<Params extends readonly unknown[], Row> {
  readonly name: string;
  readonly text: string;
  /** Never set: carries the types. */
  readonly types?: (params: Params) => Row;
}

/** Declares a statement: a constant text, never built from pieces at run time. */
export function statement<Params extends readonly unknown[], Row>(name: string, text: string): Statement<Params, Row> {
  return { name, text };
}
