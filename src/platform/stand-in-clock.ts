/** How soon a stand-in on this machine answers, or does not run. */
const ANSWER_LIMIT_MS = 5_000;

/**
 * Stands the clock of a stand-in at an instant, or lets it run with the machine again (null).
 * @returns false when no stand-in runs there
 * @throws Error when it refuses
 */
export async function moveStandInClock(port: number, now: Date | null): Promise<boolean> {
  const order = now
    ? { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ now: now.toISOString() }) }
    : { method: 'DELETE' };
  let answer: Response;
  try {
    answer = await fetch(`http://127.0.0.1:${port}/sandbox/clock`, { ...order, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
  } catch (error) {
    if (error instanceof TypeError) return false; // fetch's word for "not reached"
    throw error;
  }
  if (!answer.ok)
    throw new Error(`the stand-in on port ${port} refused to move its clock: ${answer.status} ${await answer.text()}`);
  return true;
}
