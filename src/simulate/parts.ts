/**
 * A run of many people as a few runs side by side, each with a database of its own: while one waits for its database another computes. People
 * live apart from each other, so everybody lives as among all.
 */
import { createHash } from 'node:crypto';
import type { Databases } from './databases.js';
import type { RevenueMonth } from './revenue.js';
import { runSimulation, type RunResult, type Step } from './run.js';
import type { Story } from './shrink.js';

/** Runs a story in so many parts. @throws what the first part throws that fails, when the others have ended */
export async function runInParts(
  databases: Pick<Databases, 'make'>,
  story: Story,
  count: number,
  progress: (step: Step) => void,
): Promise<RunResult> {
  const steps = Array.from({ length: count }, (): Step => ({ share: 0, now: story.startsAt, acts: 0, events: 0 }));
  const settled = await Promise.allSettled(
    Array.from({ length: count }, async (_, part) => {
      const database = await databases.make();
      try {
        return await runSimulation({
          ...story,
          lives: story.lives.filter((_life, nth) => nth % count === part),
          database: database.options,
          progress: (step) => {
            steps[part] = step;
            progress(together(steps));
          },
        });
      } finally {
        await database.drop();
      }
    }),
  );
  const results = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  const [only, ...more] = results;
  return only && more.length === 0 ? only : merged(results);
}

/** As far as the slowest. */
function together(steps: readonly Step[]): Step {
  const slowest = steps.reduce((one, other) => (other.share < one.share ? other : one));
  const sum = (of: (step: Step) => number): number => steps.reduce((total, step) => total + of(step), 0);
  return { ...slowest, acts: sum(({ acts }) => acts), events: sum(({ events }) => events) };
}

function merged(results: readonly RunResult[]): RunResult {
  const digest = createHash('sha256');
  for (const result of results) digest.update(`${result.digest}\n`);
  return {
    problems: results.flatMap(({ problems }) => problems),
    digest: digest.digest('hex').slice(0, 16),
    months: mergedMonths(results.flatMap(({ months }) => months)),
    figures: summed(results.flatMap(({ figures }) => figures)),
    seconds: summed(results.flatMap(({ seconds }) => seconds)).toSorted(([, a], [, b]) => b - a),
    told: results.flatMap(({ told }) => told).toSorted((a, b) => a.at.getTime() - b.at.getTime() || a.life - b.life),
  };
}

/** Figures of one name are added up; a name stands where it came first. */
function summed(figures: readonly [name: string, figure: number][]): [string, number][] {
  const sums = new Map<string, number>();
  for (const [name, figure] of figures) sums.set(name, (sums.get(name) ?? 0) + figure);
  return [...sums];
}

/** Months of one currency are added up, in the order of currencies and time. */
function mergedMonths(months: readonly RevenueMonth[]): RevenueMonth[] {
  const same = Map.groupBy(months, ({ currency, endsAt }) => `${currency} ${endsAt.toISOString()}`);
  const keys = [...same.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  return keys.flatMap((key) => same.get(key)?.reduce(added) ?? []);
}

function added(one: RevenueMonth, other: RevenueMonth): RevenueMonth {
  const { moves: a } = one;
  const { moves: b } = other;
  return {
    ...one,
    start: one.start + other.start,
    end: one.end + other.end,
    moves: {
      new: a.new + b.new,
      expansion: a.expansion + b.expansion,
      contraction: a.contraction + b.contraction,
      churn: a.churn + b.churn,
      reactivation: a.reactivation + b.reactivation,
    },
  };
}
