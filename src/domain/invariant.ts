/** A rule that the code itself guarantees was broken: a bug, never a user's mistake. Rolls back, is counted, pages. */
export class InvariantBroken extends Error {
  constructor(
    message: string,
    readonly facts: Readonly<Record<string, unknown>>,
  ) {
    super(message);
    this.name = 'InvariantBroken';
  }
}

/** States what must hold here. @throws InvariantBroken with `facts` when it does not. */
export function invariant(holds: boolean, message: string, facts: Record<string, unknown> = {}): asserts holds {
  if (!holds) throw new InvariantBroken(message, facts);
}
