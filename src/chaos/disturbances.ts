/** What goes wrong in a run, all of it from the seed: kills at a steady pace, and between them every other trouble. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Seeded } from './seeded.js';
import { type NodePart, NODE_PARTS, type Stage } from './stage.js';

/** Longer than a lease (60 s), by the sandbox's clock. */
const BEYOND_LEASE_MS = { least: 61_000, most: 150_000 };
const TROUBLE_EVERY_MS = { least: 700, most: 2_500 };
const DOWN_MS = { least: 0, most: 1_500 };

const OPERATIONS = [
  'payment_intents.create',
  'payment_intents.create',
  'payment_intents.create',
  'payment_intents.cancel',
  'payment_intents.retrieve',
  'payment_intents.list',
  'refunds.create',
  'refunds.create',
  'refunds.retrieve',
  'refunds.list',
  'setup_intents.create',
  'setup_intents.confirm',
  'customers.create',
  'disputes.retrieve',
  'events.list',
] as const;

/** Kills one process after another, every `everyMs` or so, until the run is over. Each is started again. */
export async function keepKilling(stage: Stage, chance: Seeded, everyMs: number, isOver: () => boolean): Promise<void> {
  const { chronicle } = stage;
  while (!isOver()) {
    await pause(everyMs * (0.8 + 0.4 * chance.fraction()));
    if (isOver()) return;
    const downMs = chance.int(DOWN_MS.least, DOWN_MS.most);
    const victim = pickVictim(stage, chance);
    const killed = victim === 'database' ? stage.database.kill(downMs) : stage.parts[victim].kill(downMs);
    if (killed) chronicle.disturb(`kills: ${victim}`, `SIGKILL of ${victim}, away for ${downMs} ms and its start`);
  }
}

/** Mostly one that is at work, so that on a slow machine too somebody is; now and then one in the middle of its start. */
function pickVictim(stage: Stage, chance: Seeded): 'database' | NodePart {
  const [first, ...others] = (['database', ...NODE_PARTS] as const).filter((name) =>
    name === 'database' ? stage.database.isReady : stage.parts[name].isReady,
  );
  if (first === undefined || chance.chance(0.15)) return chance.pick(['database', ...NODE_PARTS]);
  return chance.pick([first, ...others]);
}

/** Makes every other trouble, one after the other, until the run is over. */
export async function keepTroubling(stage: Stage, chance: Seeded, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await pause(chance.int(TROUBLE_EVERY_MS.least, TROUBLE_EVERY_MS.most));
    if (isOver()) return;
    await chance.weighted(TROUBLES)(stage, chance);
  }
}

type Trouble = (stage: Stage, chance: Seeded) => Promise<void>;

/** A process sleeps longer than its leases last, while the others live on, and wakes up in the middle of what it did. */
const sleepBeyondLease: Trouble = async (stage, chance) => {
  const name = chance.pick(['gateway-1', 'gateway-2', 'worker-1', 'worker-2'] as const);
  const wake = stage.parts[name].freeze();
  if (!wake) return;
  const ms = chance.int(BEYOND_LEASE_MS.least, BEYOND_LEASE_MS.most);
  stage.chronicle.disturb(
    `stops beyond the lease: ${name}`,
    `SIGSTOP of ${name}; the clock goes ${Math.round(ms / 1_000)} s ahead`,
  );
  await pause(chance.int(100, 600));
  await stage.moveClock(ms);
  await pause(chance.int(300, 1_800));
  wake();
  stage.chronicle.disturb('awakenings', `SIGCONT of ${name}`);
};

/** A process stands still for a moment, the provider too. */
const holdBreath: Trouble = async (stage, chance) => {
  const name: NodePart = chance.pick(NODE_PARTS);
  const wake = stage.parts[name].freeze();
  if (!wake) return;
  stage.chronicle.disturb(`short stops: ${name}`, `SIGSTOP of ${name} for a moment`);
  await pause(chance.int(200, 2_000));
  wake();
};

const restartDatabase: Trouble = async (stage) => {
  if (stage.database.restart()) stage.chronicle.disturb('database: fast restart', 'fast shutdown of the database, started again');
};

const cutSessions: Trouble = async (stage, chance) => {
  const share = chance.pick([0.1, 0.5, 1]);
  const cut = await stage.database.cutSessions(() => chance.chance(share));
  stage.chronicle.disturb('database: sessions cut', `${cut} sessions of the database were cut`);
  stage.chronicle.count('sessions cut', cut);
};

const storm: Trouble = async (stage, chance) => {
  const [wire, name] = chance.chance(0.6)
    ? ([stage.providerWire, 'to Stripe'] as const)
    : ([stage.webhookWire, 'from Stripe'] as const);
  wire.weather = { losesRequest: chance.fraction() * 0.3, losesAnswer: chance.fraction() * 0.4 };
  stage.chronicle.disturb('wire: storms', `a storm on the wire ${name}`);
  await pause(chance.int(500, 2_500));
  wire.calm();
};

const cutWires: Trouble = async (stage, chance) => {
  const wire = chance.chance(0.7) ? stage.providerWire : stage.webhookWire;
  wire.cut();
  stage.chronicle.disturb('wire: cut', `every connection ${wire === stage.providerWire ? 'to' : 'from'} Stripe was cut`);
};

const standInFault: Trouble = async (stage, chance) => {
  const operation = chance.pick(OPERATIONS);
  const kind = chance.pick([
    'timeout_before',
    'timeout_after',
    'timeout_after',
    'error_before',
    'error_after',
    'rate_limit',
    'reset',
    'slow',
    'decline',
    'processing',
  ] as const);
  const count = chance.int(1, 3);
  await fault(stage, { operation, kind, count, ...(kind === 'slow' && { ms: chance.int(200, 4_000) }) });
};

const webhookFault: Trouble = async (stage, chance) => {
  const kind = chance.pick(['webhook_lose', 'webhook_lose', 'webhook_duplicate', 'webhook_reorder', 'webhook_delay'] as const);
  const count = chance.int(1, 8);
  await fault(stage, { operation: '*', kind, count, ...(kind === 'webhook_delay' && { ms: chance.int(500, 20_000) }) });
};

async function fault(stage: Stage, wanted: { operation: string; kind: string; count: number; ms?: number }): Promise<void> {
  await stage.control('POST', 'faults', wanted);
  stage.chronicle.disturb(`faults: ${wanted.kind}`, `the next ${wanted.count} of ${wanted.operation}: ${wanted.kind}`);
}

const TROUBLES: readonly [readonly [number, Trouble], ...(readonly [number, Trouble])[]] = [
  [10, standInFault],
  [7, webhookFault],
  [4, sleepBeyondLease],
  [2, holdBreath],
  [1, restartDatabase],
  [3, cutSessions],
  [4, storm],
  [2, cutWires],
];
