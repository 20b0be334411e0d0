/** `npm run chaos -- --seed N --minutes M`: real processes, kills and faults, then the books are compared. Exits with 1 on any problem. */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import pg from 'pg';
import { runChaos, type ChaosResult, type Step } from '../chaos/run.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { removeEmbeddedPostgres } from '../platform/embedded-postgres.js';
import { fail } from '../platform/run-process.js';
import { migrate } from '../store/migrate.js';
import { publishCatalogue, readCatalogue } from '../usecases/publish-catalogue.js';

const PROGRAMS = path.join(import.meta.dirname, '..');
const CATALOGUE_FILE = 'data/catalogue.json';
const LINE_EVERY_MS = 5_000;
const BAR_WIDTH = 24;

interface Options {
  seed: string;
  minutes: number;
  killEvery: number;
  keep: boolean;
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (Number.isFinite(minutes) && minutes > 0 && minutes <= 24 * 60) return minutes;
  throw new InvalidArgumentError('Say a number of minutes above 0, e.g. 1 or 0.25.');
}

/** Milliseconds of a duration such as 5s or 500ms. */
function parsePace(text: string): number {
  const [, count, unit] = /^(\d{1,6}(?:\.\d+)?)(ms|s)$/.exec(text) ?? [];
  const ms = Number(count) * (unit === 's' ? 1_000 : 1);
  if (Number.isFinite(ms) && ms >= 100) return ms;
  throw new InvalidArgumentError('Say a duration of at least 100ms, e.g. 5s.');
}

async function prepare(database: DatabaseOptions, now: Date): Promise<void> {
  await migrate(database, now);
  const client = new pg.Client(pgConfig(database));
  await client.connect();
  try {
    await publishCatalogue(client, readCatalogue(await readFile(CATALOGUE_FILE, 'utf8')), now);
  } finally {
    await client.end();
  }
}

const PHASES: Readonly<Record<Step['phase'], string>> = {
  start: 'starting the processes',
  storm: 'disturbing',
  calm: 'calming down',
  repeat: 'repeating every key',
  rest: 'letting time pass',
  verdict: 'comparing the books',
};

/** A bar on a terminal; a line of numbers now and then otherwise. */
function progressTeller(): (step: Step) => void {
  let lastPhase: string | null = null;
  let lastAtMs = 0;
  const startedAt = performance.now();
  return ({ phase, share, left, chronicle }) => {
    const isNew = phase !== lastPhase;
    const numbers = chronicle
      ? `${chronicle.sum('operations: ')} operations, ${chronicle.sum('kills: ')} kills, ${chronicle.sum('faults: ')} faults, ${chronicle.sum('no answer: ')} unanswered`
      : '';
    const waiting = left === null ? '' : `, ${left} still wait`;
    const percent = share === null ? '' : ` ${Math.round(share * 100)} %`;
    if (process.stderr.isTTY) {
      const full = Math.round((share ?? 0) * BAR_WIDTH);
      const bar = share === null ? '' : `[${'='.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`;
      process.stderr.write(`\r\x1b[2K${bar}${percent} ${PHASES[phase]}${waiting}  ${numbers}`);
    } else if (isNew || performance.now() - lastAtMs >= LINE_EVERY_MS) {
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      console.error(`${String(seconds).padStart(5)} s  ${PHASES[phase]}${percent}${waiting}${numbers && `: ${numbers}`}`);
      lastAtMs = performance.now();
    }
    lastPhase = phase;
  };
}

function print({ problems, stories, figures }: ChaosResult, seed: string): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  const kinds = [
    'double_charge',
    'lost_charge',
    'charge_never_made',
    'lost_refund',
    'refund_never_made',
    'two_answers',
    'invariant',
  ];
  const others = [...new Set(problems.map(({ kind }) => kind))].filter((kind) => !kinds.includes(kind));
  const rows: [string, string][] = [
    ...figures.map(([name, figure]): [string, string] => [name, String(figure)]),
    ...[...kinds, ...others].map((kind): [string, string] => [kind, String(problems.filter((one) => one.kind === kind).length)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, figure] of rows) console.log(`${name.padEnd(width)}  ${figure.padStart(8)}`);
  for (const { kind, subject, text } of problems) console.log(`PROBLEM ${kind} ${subject}: ${text}`);
  for (const story of stories) console.log(`\n${story}`);
  console.log(problems.length === 0 ? `Seed ${seed}: every cent is explained.` : `Seed ${seed}: ${problems.length} problems.`);
}

const program = new Command('chaos')
  .description(
    'Runs the product in real processes, kills and disturbs them by a seed, lets everything come to rest, and compares what the provider did with the books. Exits with 1 on any problem.',
  )
  .option('--seed <text>', 'everything that is left to chance follows from it', '1')
  .option('--minutes <number>', 'how long it is disturbed', parseMinutes, 1)
  .option('--kill-every <duration>', 'a process is killed so often, e.g. 5s', parsePace, 5_000)
  .option('--keep', 'keep the folder with database, provider and logs in any case', false)
  .action(async ({ seed, minutes, killEvery, keep }: Options) => {
    const dataDir = mkdtempSync(path.join(tmpdir(), 'chaos-'));
    const stopping = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
    let isGood = false;
    try {
      const result = await runChaos(
        {
          seed,
          durationMs: minutes * 60_000,
          killEveryMs: killEvery,
          dataDir,
          programs: PROGRAMS,
          prepare,
          progress: progressTeller(),
        },
        stopping.signal,
      );
      print(result, seed);
      isGood = result.problems.length === 0;
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      console.error('Broken off.');
    } finally {
      if (isGood && !keep) {
        await removeEmbeddedPostgres(dataDir);
        rmSync(dataDir, { recursive: true, force: true });
      } else {
        console.error(`Logs, the provider's journal and the database are kept under ${dataDir}.`);
      }
    }
    process.exitCode = isGood ? 0 : 1;
  });

program.parseAsync().catch(fail);
