import type { Answered } from '../usecases/contract.js';
import { Forbidden } from '../usecases/forbidden.js';
import type { GraphContext } from './context.js';
import { forbidden } from './errors.js';

/** Runs one command: marks a replay, and lets what is read next be read afresh. @throws FORBIDDEN where the caller's scopes do not reach. */
export async function runCommand<Answer extends Answered>(
  context: GraphContext,
  command: () => Promise<Answer>,
): Promise<Answer> {
  try {
    const answer = await asAllowed(command);
    if (answer.isReplay) context.replay.isReplay = true;
    return answer;
  } finally {
    context.reads.forget();
  }
}

/** What a use case answers. @throws FORBIDDEN in the graph's terms where the use case says so in its own. */
export async function asAllowed<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof Forbidden) throw forbidden(cause.message);
    throw cause;
  }
}
