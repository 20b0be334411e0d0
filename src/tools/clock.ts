/**
 * `npm run clock -- advance P1M | set <instant> | run | show | real`: the sandbox's clock, one for gateway, worker and stand-in. `advance` goes from one
 * due instant to the next and waits until what is due is done (src/main/sandbox-time.ts); `set` jumps.
 */
import { Command, InvalidArgumentError } from 'commander';
import { Temporal } from 'temporal-polyfill';
import { decimalText } from '../domain/money/currency.js';
import { LATEST, moveSandboxTime, type TimeStep } from '../main/sandbox-time.js';
import { instantOf, readSandboxTime, writeSandboxTime, type SandboxTime } from '../platform/clock.js';
import { OneLineError } from '../platform/one-line-error.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv, readSettings, type Settings } from '../platform/settings.js';
import { setStandInClock } from '../platform/stand-in-clock.js';
import { migrate } from '../store/migrate.js';
import { withDatabase } from './with-database.js';

function parseDuration(text: string): Temporal.Duration {
  try {
    const duration = Temporal.Duration.from(text);
    if (duration.sign > 0) return duration;
  } catch {
    // Told below, together with durations that lead nowhere.
  }
  throw new InvalidArgumentError('Say an ISO 8601 duration, e.g. P1M (a month), P3D (three days), PT1H (an hour).');
}

function parseInstant(text: string): Date {
  try {
    return new Date(Temporal.Instant.from(text).epochMilliseconds);
  } catch {
    throw new InvalidArgumentError('Say an instant with its offset, e.g. 2027-03-01T00:00:00Z.');
  }
}

function sandboxSettings(): Settings {
  const settings = readSettings(process.env);
  if (!settings.isSandbox) throw new OneLineError('The clock can be moved only while SANDBOX is on.');
  return settings;
}

function show({ dataDir }: Settings): void {
  const time = readSandboxTime(dataDir);
  console.log(`${instantOf(time).toISOString()} (${howItGoes(time)})`);
}

function howItGoes(time: SandboxTime): string {
  if ('standsAt' in time) return 'stands still';
  if (time.aheadMs === 0) return 'runs with the machine';
  const distance = Temporal.Duration.from({ milliseconds: Math.abs(time.aheadMs) }).round({ largestUnit: 'day' });
  return `runs ${distance.toString()} ${time.aheadMs > 0 ? 'ahead of' : 'behind'} the machine`;
}

async function letGo(settings: Settings, time: SandboxTime): Promise<void> {
  const now = instantOf(time);
  if (now > LATEST) throw new OneLineError(`The clock goes up to ${LATEST.toISOString()}.`);
  await withDatabase(settings, (options) => migrate(options, now));
  const wasTold = await setStandInClock(settings.sandboxStripePort, time);
  writeSandboxTime(settings.dataDir, time);
  if (!wasTold) console.error('No stand-in runs; the next npm start tells it.');
  show(settings);
}

async function travel(settings: Settings, to: Date): Promise<void> {
  const from = instantOf(readSandboxTime(settings.dataDir));
  let hasSteps = false;
  const onStep = (step: TimeStep): void => {
    tellProgress(from, to, step.at);
    if (step.happened.length === 0) return;
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
    if (!hasSteps) console.log(`${'instant'.padEnd(INSTANT_WIDTH)}  what happened`);
    hasSteps = true;
    console.log(lineOf(step));
  };
  await withDatabase(settings, async (database) => {
    await migrate(database, from);
    await moveSandboxTime({ settings, database, to, onStep });
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
  show(settings);
}

const INSTANT_WIDTH = '2027-01-31 08:00:00'.length;
const BAR_WIDTH = 24;

/** On a terminal alone: elsewhere the lines of what happened are enough. */
function tellProgress(from: Date, to: Date, at: Date): void {
  if (!process.stderr.isTTY) return;
  const full = Math.round(((at.getTime() - from.getTime()) / (to.getTime() - from.getTime())) * BAR_WIDTH);
  process.stderr.write(`\r\x1b[2K[${'='.repeat(full)}${' '.repeat(BAR_WIDTH - full)}] ${at.toISOString()}`);
}

function lineOf({ at, happened }: TimeStep): string {
  const parts = happened.map(({ what, count, currency, amountMinor }) => {
    const amount =
      currency === null || amountMinor === null ? '' : ` (${decimalText({ minor: amountMinor, currency })} ${currency})`;
    return `${count} ${what}${amount}`;
  });
  return `${at.toISOString().slice(0, 19).replace('T', ' ')}  ${parts.join(', ')}`;
}

const program = new Command('clock').description(
  'Shows or moves the clock of gateway, worker and stand-in together (sandbox only).',
);
program
  .command('advance')
  .description(
    'moves the clock ahead, from one instant at which something is due to the next, and lets it stand at the end; each line is an instant and what happened',
  )
  .argument('<duration>', 'ISO 8601, e.g. P1M, P3D, PT1H; months are calendar months in UTC', parseDuration)
  .action(async (duration: Temporal.Duration) => {
    const settings = sandboxSettings();
    const from = instantOf(readSandboxTime(settings.dataDir));
    const to = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO('UTC').add(duration);
    await travel(settings, new Date(to.epochMilliseconds));
  });
program
  .command('set')
  .description('lets the clock stand at an instant, in one jump')
  .argument('<instant>', 'e.g. 2027-03-01T00:00:00Z', parseInstant)
  .action(async (instant: Date) => letGo(sandboxSettings(), { standsAt: instant }));
program
  .command('run')
  .description('lets the clock run on from where it is')
  .action(async () => {
    const settings = sandboxSettings();
    await letGo(settings, { aheadMs: instantOf(readSandboxTime(settings.dataDir)).getTime() - Date.now() });
  });
program
  .command('show')
  .description('prints the present instant of the sandbox')
  .action(() => show(sandboxSettings()));
program
  .command('real')
  .description('lets the clock run with the machine again')
  .action(async () => letGo(sandboxSettings(), { aheadMs: 0 }));

loadDotEnv();
program.parseAsync().catch(fail);
