/** `npm run simulate -- --lives N --months M --seed S`: years of billing in minutes, in one process; then everything is compared. Exits with 1 on any problem. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { fail } from '../platform/run-process.js';
import type { Databases } from '../simulate/databases.js';
import { runInParts } from '../simulate/parts.js';
import { shrink, type Story } from '../simulate/shrink.js';
import { lineOf, progressTeller, tableOf } from '../simulate/tell.js';
import { WEATHERS, type WeatherName } from '../simulate/weather.js';
import { withOwnDatabases } from './own-databases.js';

/** Every run begins here, so that a seed means the same whenever it is run. */
const STARTS_AT = new Date('2027-01-01T00:00:00Z');

/** From so many people on they live in two parts: below, what a part costs by itself is more than what is won. */
const PEOPLE_OF_TWO_PARTS = 2_000;

/** Problems told, of however many. */
const MOST_TOLD = 20;

interface Options {
  lives: number;
  months: number;
  seed: string;
  faults: WeatherName;
  parts?: number;
  shrink: boolean;
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Say a whole number from ${least} to ${most}.`);
  };
}

const program = new Command('simulate')
  .description(
    'People subscribe, buy, cancel, lose cards and are billed for months, by the real use cases and chores on a database of its own, with a provider in memory. Then its truth is compared with the books. The same seed tells the same story: the digest at the end is its proof. Exits with 1 on any problem.',
  )
  .option('--users, --lives <number>', 'how many people', wholeNumber(1, 1_000_000), 200)
  .option('--months <number>', 'how long', wholeNumber(1, 120), 12)
  .option('--seed <text>', 'everything that is left to chance follows from it', '1')
  .addOption(
    new Option('--faults <weather>', 'how much goes wrong between us and the provider').choices(WEATHERS).default('some'),
  )
  .option(
    '--parts <number>',
    'how many runs side by side share the people (default: 2 from 2,000 people on); the digest is of a seed and a number of parts',
    wholeNumber(1, 16),
  )
  .option('--no-shrink', 'when a run fails, do not look for the shortest story that fails too')
  .action(async ({ lives, months, seed, faults, parts, shrink: isShrinking }: Options) => {
    const stopping = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
    const count = parts ?? (lives < PEOPLE_OF_TWO_PARTS ? 1 : 2);
    const story = { seed, months, startsAt: STARTS_AT, faults, lives: Array.from({ length: lives }, (_, number) => number) };
    try {
      process.exitCode = await withOwnDatabases(STARTS_AT, (databases) =>
        tellRun(databases, story, count, isShrinking, stopping.signal),
      );
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      console.error('Broken off.');
      process.exitCode = 1;
    }
  });

/** @returns the exit code */
async function tellRun(
  databases: Databases,
  story: Story,
  parts: number,
  isShrinking: boolean,
  signal: AbortSignal,
): Promise<number> {
  const startedAt = performance.now();
  const { seed } = story;
  const result = await runInParts(databases, story, parts, progressTeller(signal));
  console.log(tableOf(result, (performance.now() - startedAt) / 1_000));
  const { problems, digest } = result;
  for (const { kind, subject, text } of problems.slice(0, MOST_TOLD)) console.log(`PROBLEM ${kind} ${subject}: ${text}`);
  if (problems.length === 0) {
    console.log(`Seed ${seed}: every cent is explained. Digest ${digest}.`);
    return 0;
  }
  console.log(`Seed ${seed}: ${problems.length} problems. Digest ${digest}.`);
  if (!isShrinking) return 1;
  const shortest = await shrink(databases, story, problems, (line) => console.error(line), signal);
  console.log(`\nThe shortest story found that fails alike (${shortest.lives.length} people, ${shortest.told.length} acts):`);
  for (const line of shortest.told) console.log(lineOf(line));
  for (const { kind, subject, text } of shortest.problems.slice(0, MOST_TOLD)) console.log(`PROBLEM ${kind} ${subject}: ${text}`);
  return 1;
}

program.parseAsync().catch(fail);
