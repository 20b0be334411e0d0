/** What every bench is and gives. */

/** One figure of a result, in the unit that its name ends in. */
export interface Figure {
  what: string;
  value: number;
  unit: 'ms' | '/s' | 'x' | 'us CPU' | 'KiB' | '';
}

/** What one run found. */
export interface Finding {
  /** Ratios against peers of the same run first: only these may be compared between machines. */
  ratios: Figure[];
  figures: Figure[];
  /** What the bench promises; one that does not hold ends the command with 1. */
  bounds: { what: string; holds: boolean }[];
}

/** A bench: a question about speed, answered by running the real thing beside peers. */
export interface Bench {
  name: string;
  question: string;
  /** What there is more or less of, and how many unless told; only the usual number's result is kept. */
  size: { of: string; usual: number };
  /** Further sizes. */
  also?: readonly { of: string; usual: number }[];
  /** @param also the further sizes, in their order */
  run(size: number, tell: (line: string) => void, also: readonly number[]): Promise<Finding>;
}

/** The value below which this share of the values lies (nearest rank). @throws RangeError when there is none */
export function quantile(values: readonly number[], share: number): number {
  const at = values.toSorted((a, b) => a - b)[Math.max(Math.ceil(values.length * share) - 1, 0)];
  if (at === undefined) throw new RangeError('no values');
  return at;
}
