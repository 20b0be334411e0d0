/** Rows by id, in the order they came, with look-ups by the fields that lists filter on. Rows are replaced, never changed in place. */
export class Collection<Row extends { id: string }> {
  readonly #rows = new Map<string, { row: Row; position: number }>();
  /** Ids by position; a row taken out leaves a hole. */
  readonly #order: (string | null)[] = [];
  /** No row stands before this position: what is pruned from the old end is not walked over again. */
  #first = 0;
  readonly #indexes: { field: keyof Row & string; ids: Map<unknown, string[]> }[];

  /** @param indexed fields that lists filter on */
  constructor(
    readonly name: string,
    indexed: readonly (keyof Row & string)[] = [],
  ) {
    this.#indexes = indexed.map((field) => ({ field, ids: new Map() }));
  }

  get(id: string): Row | null {
    return this.#rows.get(id)?.row ?? null;
  }

  get size(): number {
    return this.#rows.size;
  }

  put(row: Row): void {
    const found = this.#rows.get(row.id);
    const before = found?.row;
    if (found) found.row = row;
    else {
      this.#rows.set(row.id, { row, position: this.#order.length });
      this.#order.push(row.id);
    }
    for (const { field, ids } of this.#indexes) {
      if (before && before[field] === row[field]) continue;
      if (before) this.#unlist(ids, before[field], row.id);
      this.#list(ids, row[field], row.id);
    }
  }

  /** Adds to the rows of a value, which stay in the order of their coming. */
  #list(ids: Map<unknown, string[]>, value: unknown, id: string): void {
    const same = ids.get(value) ?? [];
    const position = this.#rows.get(id)?.position ?? 0;
    let at = same.length;
    while (at > 0 && (this.#rows.get(same[at - 1] ?? '')?.position ?? 0) > position) at--;
    same.splice(at, 0, id);
    ids.set(value, same);
  }

  #unlist(ids: Map<unknown, string[]>, value: unknown, id: string): void {
    const left = ids.get(value)?.filter((each) => each !== id) ?? [];
    if (left.length > 0) ids.set(value, left);
    else ids.delete(value);
  }

  remove(id: string): void {
    const found = this.#rows.get(id);
    if (!found) return;
    this.#rows.delete(id);
    this.#order[found.position] = null;
    if (found.position === this.#order.length - 1) this.#order.pop();
    while (this.#first < this.#order.length && this.#order[this.#first] === null) this.#first++;
    this.#first = Math.min(this.#first, this.#order.length);
    for (const { field, ids } of this.#indexes) this.#unlist(ids, found.row[field], id);
  }

  /** All rows, oldest first. */
  *oldestFirst(): Generator<Row> {
    for (let at = this.#first; at < this.#order.length; at++) {
      const id = this.#order[at];
      const found = id === null || id === undefined ? undefined : this.#rows.get(id);
      if (found) yield found.row;
    }
  }

  /** Rows, newest first; of an indexed field's value when one is given; only those older than `before`. */
  *newestFirst(of?: { field: keyof Row & string; value: unknown }, before?: string): Generator<Row> {
    const ids = of ? (this.#indexes.find((index) => index.field === of.field)?.ids.get(of.value) ?? []) : this.#order;
    const limit = before === undefined ? Infinity : (this.#rows.get(before)?.position ?? -1);
    const start = of || limit === Infinity ? ids.length - 1 : limit - 1;
    for (let at = start; at >= 0; at--) {
      const id = ids[at];
      const found = id === null || id === undefined ? undefined : this.#rows.get(id);
      if (found && found.position < limit) yield found.row;
    }
  }

  /** Rows of an indexed field's value, oldest first. */
  where(field: keyof Row & string, value: unknown): Row[] {
    return [...this.newestFirst({ field, value })].toReversed();
  }
}
