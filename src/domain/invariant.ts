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

/** Closes a switch over a union: a new case does not compile until it is handled. @throws InvariantBroken when reached. */
export function assertNever(value: never): never {
  throw new InvariantBroken('an impossible case was reached', { value });
}
