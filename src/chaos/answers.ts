/** What clients were told, key by key, and whether any key was told two things. No I/O. */

/** An answer of a verb, as far as it must not change. */
export interface Answer {
  /** By the sandbox's clock. */
  at: Date;
  /** Who answered. */
  gateway: string;
  /** Ids of what the verb made or acted on, by name; null where the answer had none. */
  ids: Readonly<Record<string, string | null>>;
  /** Codes of the refusals, with what they say. */
  refusals: readonly { code: string; message: string }[];
  /** Status of the transaction in the answer, if there is one. */
  status: string | null;
}

/** A key as its client keeps it: stored before the first request, with every answer that came. */
export interface KeptRequest {
  userId: string;
  verb: string;
  key: string;
  input: Readonly<Record<string, unknown>>;
  answers: Answer[];
  /** How often no answer came: cut off, timed out, or an error of the server. */
  troubles: { at: Date; what: string }[];
}

/** A key that was told two things. */
export interface Contradiction {
  key: string;
  text: string;
}

/** Refusals that ask for the same request again; they settle nothing. */
const NOT_YET: ReadonlySet<string> = new Set(['IDEMPOTENCY_IN_PROGRESS', 'PROVIDER_UNAVAILABLE', 'RATE_LIMITED']);
/** A charge in one of these stays there; only a refund may fail after it succeeded. */
const ENDS: ReadonlySet<string> = new Set(['SUCCEEDED', 'FAILED', 'CANCELED']);

/** Whether the client is done with its request. */
export function isSettled(answer: Answer): boolean {
  return !answer.refusals.some(({ code }) => NOT_YET.has(code));
}

/** What the answers of one key say against one another: another object, an object where there was a refusal, another end. */
export function contradictions({ key, verb, answers }: KeptRequest): Contradiction[] {
  const found: Contradiction[] = [];
  const ids = new Map<string, string>();
  let refused: string | null = null;
  let end: string | null = null;
  for (const answer of answers) {
    for (const [name, id] of Object.entries(answer.ids)) {
      if (id === null) continue;
      const before = ids.get(name);
      if (before !== undefined && before !== id) found.push({ key, text: `its ${name} was ${before} and then ${id}` });
      ids.set(name, id);
    }
    const hasResult = Object.values(answer.ids).some((id) => id !== null);
    if (!isSettled(answer)) continue;
    const said = answer.refusals.map(({ code, message }) => `${code}: ${message}`).join('; ');
    if (!hasResult) {
      if (ids.size > 0) found.push({ key, text: `it was refused (${said}) after it had led to ${[...ids.values()].join(', ')}` });
      if (refused !== null && refused !== said)
        found.push({ key, text: `it was refused with "${refused}" and then with "${said}"` });
      refused = said;
    } else if (refused !== null) {
      found.push({ key, text: `it led to ${[...ids.values()].join(', ')} after it was refused (${refused})` });
    }
    if (answer.status === null) continue;
    const isLateFailure = verb === 'refund' && end === 'SUCCEEDED' && answer.status === 'FAILED';
    if (end !== null && end !== answer.status && !isLateFailure)
      found.push({ key, text: `it was ${end} and then ${answer.status}` });
    if (ENDS.has(answer.status)) end = answer.status;
  }
  return found;
}
