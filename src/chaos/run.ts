/** A chaos run: a stage, customers, disturbances from a seed, then quiet, then the verdict. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { publicId } from '../domain/ids.js';
import { SystemClock } from '../platform/clock.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { issueSandboxToken } from '../platform/sandbox-issuer.js';
import { parseInvariants } from '../store/invariants.js';
import type { KeptRequest } from './answers.js';
import type { Chronicle } from './chronicle.js';
import { Client, type Scene } from './client.js';
import { liveOn, type Shelf } from './customers.js';
import { keepKilling, keepTroubling } from './disturbances.js';
import { calmDown, letRest } from './quiet.js';
import { Seeded } from './seeded.js';
import { Stage } from './stage.js';
import { tellStory } from './story.js';
import { figuresOf, judge, type Problem } from './verdict.js';

/** What a run is told to do. */
export interface ChaosOptions {
  seed: string;
  /** How long it is disturbed, real time. */
  durationMs: number;
  killEveryMs: number;
  /** An empty folder. */
  dataDir: string;
  /** Where the compiled programs are (dist/src). */
  programs: string;
  /** Makes tables and catalogue. */
  prepare: (database: DatabaseOptions, now: Date) => Promise<void>;
  progress: (step: Step) => void;
}

/** How far a run is. */
export interface Step {
  phase: 'start' | 'storm' | 'calm' | 'repeat' | 'rest' | 'verdict';
  /** Of the phase, 0 to 1; null where nobody knows. */
  share: number | null;
  /** What still waits, in the phase of rest. */
  left: number | null;
  chronicle: Chronicle | null;
}

/** How a run ended. */
export interface ChaosResult {
  problems: Problem[];
  /** Of the first few problems. */
  stories: string[];
  figures: [name: string, figure: number][];
}

const CUSTOMERS = 12;
const TOKEN_LIFE_SECONDS = 4 * 3_600;
const TELL_EVERY_MS = 500;
/** After the disturbances a customer's program repeats so long, until it gives its request up; nothing disturbs it then. */
const REPEATING_LIMIT_MS = 60_000;
const REPEATED_AT_ONCE = 8;
const MOST_STORIES = 5;
const INVARIANTS_FILE = 'data/invariants.sql';

/** Runs it. The processes are gone when it resolves or throws. `signal` breaks it off. */
export async function runChaos(options: ChaosOptions, signal: AbortSignal): Promise<ChaosResult> {
  const { progress } = options;
  const seeded = new Seeded(`chaos ${options.seed}`);
  progress({ phase: 'start', share: null, left: null, chronicle: null });
  const stage = await Stage.open({
    dataDir: options.dataDir,
    programs: options.programs,
    chance: seeded.child('stage'),
    prepare: options.prepare,
  });
  try {
    return await play(stage, seeded, options, signal);
  } finally {
    await stage.close();
  }
}

async function play(stage: Stage, seeded: Seeded, options: ChaosOptions, signal: AbortSignal): Promise<ChaosResult> {
  const { chronicle } = stage;
  const tell = (phase: Step['phase'], share: number | null, left: number | null = null): void =>
    options.progress({ phase, share, left, chronicle });
  const kept: KeptRequest[] = [];
  const scene: Scene = {
    gateways: stage.gateways,
    chronicle,
    kept,
    token: (userId, scopes) =>
      issueSandboxToken({
        dataDir: options.dataDir,
        userId,
        scopes,
        ttlSeconds: TOKEN_LIFE_SECONDS,
        now: new SystemClock().now(),
      }),
  };
  const shelf = await readShelf(stage);

  const startedAt = performance.now();
  const isOver = (): boolean => signal.aborted || performance.now() - startedAt >= options.durationMs;
  const isHopeless = (): boolean => signal.aborted || performance.now() - startedAt >= options.durationMs + REPEATING_LIMIT_MS;
  const customers = Array.from({ length: CUSTOMERS }, (_, i) =>
    liveOn({ scene, shelf, chance: seeded.child(`customer ${i}`), name: `customer-${i}`, isOver, isHopeless }),
  );
  const living = Promise.all(customers);
  living.catch(() => undefined); // Awaited below; until then its failure is nobody's.
  const telling = setInterval(
    () => tell('storm', Math.min(1, (performance.now() - startedAt) / options.durationMs)),
    TELL_EVERY_MS,
  );
  try {
    await Promise.all([
      keepKilling(stage, seeded.child('kills'), options.killEveryMs, isOver),
      keepTroubling(stage, seeded.child('troubles'), isOver),
      pause(options.durationMs, undefined, { signal }),
    ]);
  } finally {
    clearInterval(telling);
  }
  tell('calm', null);
  await calmDown(stage);
  await living;
  await repeatAll(scene, seeded.child('repeats'), (share) => tell('repeat', share));
  const unrest = await letRest(stage, (left) => tell('rest', null, left));
  await repeatAll(scene, seeded.child('last repeats'), (share) => tell('repeat', share));
  tell('verdict', null);
  const invariants = parseInvariants(await readFile(INVARIANTS_FILE, 'utf8'));
  const problems = await judge(stage, { kept, invariants, unrest });
  const stories: string[] = [];
  for (const problem of problems.slice(0, MOST_STORIES)) stories.push(await tellStory(stage, problem, kept));
  return { problems, stories, figures: await collectFigures(stage, kept) };
}

/** Every key once more, whether it was answered or not: what it led to must still be its answer. */
async function repeatAll(scene: Scene, chance: Seeded, tell: (share: number) => void): Promise<void> {
  const requests = scene.kept.filter(({ verb }) => verb !== 'startPaymentMethodSetup');
  const waiting = [...requests];
  const lane = async (name: string): Promise<void> => {
    for (let request = waiting.shift(); request; request = waiting.shift()) {
      const scopes = request.verb === 'refund' ? ['finance'] : [];
      const client = new Client(scene, request.userId, chance.child(`${name} ${request.key}`), scopes);
      const giveUpAt = performance.now() + REPEATING_LIMIT_MS;
      await client.settle(request, () => performance.now() > giveUpAt);
      tell(1 - waiting.length / requests.length);
    }
  };
  await Promise.all(Array.from({ length: REPEATED_AT_ONCE }, (_, i) => lane(`lane ${i}`)));
}

async function readShelf(stage: Stage): Promise<Shelf> {
  const rows = await stage.database.query<{ id: string; is_tier: boolean }>(
    'select id::text, tier_id is not null as is_tier from price where valid_to is null order by id',
  );
  const [tier, ...tiers] = rows.filter((row) => row.is_tier).map(({ id }) => publicId('price', id));
  const [product, ...products] = rows.filter((row) => !row.is_tier).map(({ id }) => publicId('price', id));
  if (!tier || !product) throw new Error('nothing is for sale');
  return { tierPrices: [tier, ...tiers], productPrices: [product, ...products] };
}

async function collectFigures(stage: Stage, kept: readonly KeptRequest[]): Promise<ChaosResult['figures']> {
  const { chronicle } = stage;
  const product = await stage.database.connected(figuresOf);
  const answers = kept.reduce((sum, request) => sum + request.answers.length, 0);
  return [
    ['operations', kept.length],
    ...chronicle.all('operations: ').map(([name, count]): [string, number] => [`  ${name}`, count]),
    ['requests', chronicle.of('requests')],
    ['answers', answers],
    ['requests without an answer', chronicle.sum('no answer: ')],
    ...chronicle.all('no answer: ').map(([name, count]): [string, number] => [`  ${name}`, count]),
    ['processes killed', chronicle.sum('kills: ')],
    ...chronicle.all('kills: ').map(([name, count]): [string, number] => [`  ${name}`, count]),
    ['stopped beyond the lease', chronicle.sum('stops beyond the lease: ')],
    ['stopped for a moment', chronicle.sum('short stops: ')],
    ['workers with a clock of their own', chronicle.of('clocks off')],
    ['ended by themselves while starting', chronicle.sum('ended by itself: while starting ')],
    ['fast restarts of the database', chronicle.of('database: fast restart')],
    ['sessions of the database cut', chronicle.of('sessions cut')],
    ['storms and cuts of the wires', chronicle.of('wire: storms') + chronicle.of('wire: cut')],
    ['requests lost on the wires', chronicle.sum('wire: request lost ')],
    ['answers lost on the wires', chronicle.sum('wire: answer lost ')],
    ['faults of the provider', chronicle.sum('faults: ')],
    ...chronicle.all('faults: ').map(([name, count]): [string, number] => [`  ${name}`, count]),
    ['hours passed at rest', Math.round(chronicle.of('clock: hours passed at rest'))],
    ...Object.entries(product),
  ];
}
