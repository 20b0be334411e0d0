/** From a run that fails to the shortest story found that fails alike: fewer people first, then fewer acts. */
import type { Databases } from './databases.js';
import { runSimulation, type Problem, type RunOptions, type RunResult } from './run.js';

/** What stays the same while the rest is taken away. */
export type Story = Omit<RunOptions, 'database' | 'progress'>;

/** A story that fails. */
export interface FailingStory {
  lives: readonly number[];
  without: ReadonlySet<string>;
  problems: Problem[];
  told: RunResult['told'];
}

/** Runs at most: a story gets short soon, and each run costs a database. */
const MOST_RUNS = 200;

/** Takes people and acts away as long as a problem of the same kind stays. People live apart from each other, so half of them lives as it did. */
export async function shrink(
  databases: Pick<Databases, 'make'>,
  story: Story,
  problems: readonly Problem[],
  tell: (line: string) => void,
  signal?: AbortSignal,
): Promise<FailingStory> {
  const kinds = new Set(problems.map(({ kind }) => kind));
  let runs = 0;
  const attempt = async (lives: readonly number[], without: ReadonlySet<string>): Promise<FailingStory | null> => {
    signal?.throwIfAborted();
    runs++;
    const database = await databases.make();
    try {
      const result = await runSimulation({ ...story, lives, without, database: database.options });
      const alike = result.problems.filter(({ kind }) => kinds.has(kind));
      return alike.length > 0 ? { lives, without, problems: alike, told: result.told } : null;
    } finally {
      await database.drop();
    }
  };
  let best = await attempt(story.lives, story.without ?? new Set());
  if (!best) throw new Error('The same seed did not fail again: what failed does not follow from it.');

  // Ever smaller parts of the people are left out.
  for (let parts = 2; best.lives.length > 1 && runs < MOST_RUNS;) {
    const smaller: FailingStory | null = await firstFailing(partsLeft(best.lives, parts), (lives) =>
      attempt(lives, best?.without ?? new Set()),
    );
    if (smaller) {
      best = smaller;
      parts = 2;
      tell(`${best.lives.length} people, ${best.told.length} acts still fail.`);
    } else if (parts >= best.lives.length) break;
    else parts = Math.min(parts * 2, best.lives.length);
  }
  // Then acts, the last first: what came after the fault is not needed.
  for (const { life, act } of best.told.toReversed()) {
    if (runs >= MOST_RUNS) break;
    const shorter: FailingStory | null = await attempt(best.lives, new Set([...best.without, `${life} ${act}`]));
    if (!shorter) continue;
    best = shorter;
    tell(`${best.lives.length} people, ${best.told.length} acts still fail.`);
  }
  return best;
}

/** Each part by itself, and all but each part. */
function partsLeft(lives: readonly number[], parts: number): (readonly number[])[] {
  const size = Math.ceil(lives.length / parts);
  const pieces = Array.from({ length: Math.ceil(lives.length / size) }, (_, nth) => lives.slice(nth * size, (nth + 1) * size));
  const rests = pieces.length > 2 ? pieces.map((piece) => lives.filter((life) => !piece.includes(life))) : [];
  return [...pieces, ...rests];
}

async function firstFailing(
  candidates: readonly (readonly number[])[],
  attempt: (lives: readonly number[]) => Promise<FailingStory | null>,
): Promise<FailingStory | null> {
  for (const lives of candidates) {
    const failing = await attempt(lives);
    if (failing) return failing;
  }
  return null;
}
