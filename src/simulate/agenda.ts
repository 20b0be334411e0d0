interface Entry<Item> {
  atMs: number;
  order: number;
  item: Item;
}

/** What is still to come, in the order of its time; at one instant in the order in which it was put in. A binary heap. */
export class Agenda<Item> {
  readonly #heap: Entry<Item>[] = [];
  #count = 0;

  /** The instant of the next item, milliseconds; infinity when there is none. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Infinity;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(at: Date, item: Item): void {
    const heap = this.#heap;
    let place = heap.length;
    const entry = { atMs: at.getTime(), order: this.#count++, item };
    for (; place > 0; place = (place - 1) >> 1) {
      const parent = heap[(place - 1) >> 1];
      if (!parent || isBefore(parent, entry)) break;
      heap[place] = parent;
    }
    heap[place] = entry;
  }

  /** Takes out everything whose time has come, in order. */
  takeUntil(now: Date): Item[] {
    const taken: Item[] = [];
    while (this.nextMs <= now.getTime()) {
      const first = this.#takeFirst();
      if (first === undefined) break;
      taken.push(first);
    }
    return taken;
  }

  #takeFirst(): Item | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length === 0) return first.item;
    let place = 0;
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      const child = right && left && isBefore(right, left) ? right : left;
      if (!child || isBefore(last, child)) break;
      heap[place] = child;
      place = child === right ? 2 * place + 2 : 2 * place + 1;
    }
    heap[place] = last;
    return first.item;
  }
}

function isBefore(one: Entry<unknown>, other: Entry<unknown>): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
