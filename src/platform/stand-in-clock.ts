import type { SandboxTime } from './clock.js';

/** How soon a stand-in on this machine answers, or does not run. */
const ANSWER_LIMIT_MS = 5_000;

/**
 * Lets the clock of a stand-in go like the sandbox's.
 * @returns false when no stand-in runs there
 * @throws Error when it refuses
 */
export async function setStandInClock(port: number, time: SandboxTime): Promise<boolean> {
  const said = 'standsAt' in time ? { now: time.standsAt.toISOString() } : { aheadMs: time.aheadMs };
  return tell(port, 'clock', said);
}

/**
 * Lets a stand-in do what waits for its time: refunds that settle, payouts, webhooks to be tried again.
 * @returns false when no stand-in runs there
 * @throws Error when it refuses
 */
export async function letStandInWork(port: number): Promise<boolean> {
  return tell(port, 'advance', {});
}

async function tell(port: number, route: string, said: object): Promise<boolean> {
  let answer: Response;
  try {
    answer = await fetch(`http://127.0.0.1:${port}/sandbox/${route}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(said),
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
  } catch (error) {
    if (error instanceof TypeError) return false; // fetch's word for "not reached"
    throw error;
  }
  if (!answer.ok) throw new Error(`the stand-in on port ${port} refused ${route}: ${answer.status} ${await answer.text()}`);
  return true;
}
