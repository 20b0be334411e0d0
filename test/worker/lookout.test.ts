import { expect, test } from '@jest/globals';
import { makeLookout, turnsOf } from '../../src/worker/lookout.js';
import type { Waiting } from '../../src/usecases/look-for-work.js';

const NOTHING: Record<Waiting, boolean> = {
  relay: false,
  webhooks: false,
  payments: false,
  refunds: false,
  orphans: false,
  notices: false,
  lost: false,
  documents: false,
};

/** A lookout over rows that the test changes, on a clock that it moves. */
function scene() {
  const at = { nowMs: 0, looks: 0, seen: { ...NOTHING }, isAway: false };
  const look = async () => {
    at.looks++;
    if (at.isAway) throw new Error('away');
    return { ...at.seen };
  };
  return { at, lookout: makeLookout(look, () => at.nowMs) };
}

test('chores that look at about the same time share one question, and one that looks often asks anew', async () => {
  const { at, lookout } = scene();
  at.seen.refunds = true;
  expect(await Promise.all([lookout('refunds', 100), lookout('orphans', 100)])).toEqual([true, false]);
  at.nowMs = 99;
  expect(await lookout('payments', 100)).toBe(false);
  expect(at.looks).toBe(1);
  at.seen.payments = true;
  expect(await lookout('payments', 0)).toBe(true);
  expect(at.looks).toBe(2);
  at.nowMs = 199;
  at.seen.payments = false;
  expect(await lookout('payments', 100)).toBe(false);
  expect(at.looks).toBe(3);
});

test('a question that failed is asked anew by whoever comes next', async () => {
  const { at, lookout } = scene();
  at.isAway = true;
  await expect(lookout('relay', 100)).rejects.toThrow('away');
  at.isAway = false;
  at.seen.relay = true;
  expect(await lookout('relay', 100)).toBe(true);
});

test('a chore has its turn when something waits for it, and further ones without a look as long as it says that there is more', async () => {
  const { at, lookout } = scene();
  const left = [true, true, false];
  let turns = 0;
  const run = async (): Promise<boolean> => left[turns++] ?? false;
  const turn = turnsOf({ name: 'refunds', everyMs: 500, waitsFor: 'refunds', run }, lookout);
  expect(await turn()).toBe(false);
  expect([turns, at.looks]).toEqual([0, 1]);
  at.seen.refunds = true;
  at.nowMs = 500;
  expect(await turn()).toBe(true);
  at.nowMs = 1_000;
  expect([await turn(), await turn()]).toEqual([true, false]);
  expect([turns, at.looks]).toEqual([3, 2]);
  at.seen.refunds = false;
  expect(await turn()).toBe(false);
  expect([turns, at.looks]).toEqual([3, 3]);
});

test('a turn that failed is looked for anew, and a chore that waits for nothing in particular always has its turn', async () => {
  const { at, lookout } = scene();
  at.seen.orphans = true;
  let answers: (() => boolean)[] = [
    () => true,
    () => {
      throw new Error('broken');
    },
  ];
  const run = async (): Promise<boolean> => answers.shift()?.() ?? false;
  const turn = turnsOf({ name: 'orphans', everyMs: 2_000, waitsFor: 'orphans', run }, lookout);
  expect(await turn()).toBe(true);
  await expect(turn()).rejects.toThrow('broken');
  at.nowMs = 2_000;
  at.seen.orphans = false;
  answers = [() => true];
  expect(await turn()).toBe(false);
  const looks = at.looks;
  expect(await turnsOf({ name: 'house', everyMs: 60_000, run }, lookout)()).toBe(true);
  expect(at.looks).toBe(looks);
});
