/**
 * `npm run clock -- advance P1M | set <instant> | run | show | real`: the sandbox's clock, one for gateway, worker and stand-in.
 * The order matters: first the database gets room for the instant, then the provider lives in it, then we do. Seen from us the
 * provider is then never behind.
 */
import { Command, InvalidArgumentError } from 'commander';
import { Temporal } from 'temporal-polyfill';
import { instantOf, readSandboxTime, writeSandboxTime, type SandboxTime } from '../platform/clock.js';
import { OneLineError } from '../platform/one-line-error.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv, readSettings, type Settings } from '../platform/settings.js';
import { setStandInClock } from '../platform/stand-in-clock.js';
import { migrate } from '../store/migrate.js';
import { withDatabase } from './with-database.js';

/** Partitions and public ids hold instants up to here with room to spare. */
const LATEST = new Date('2200-01-01T00:00:00Z');

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

const program = new Command('clock').description(
  'Shows or moves the clock of gateway, worker and stand-in together (sandbox only).',
);
program
  .command('advance')
  .description('moves the clock ahead and lets it stand there')
  .argument('<duration>', 'ISO 8601, e.g. P1M, P3D, PT1H; months are calendar months in UTC', parseDuration)
  .action(async (duration: Temporal.Duration) => {
    const settings = sandboxSettings();
    const from = instantOf(readSandboxTime(settings.dataDir));
    const to = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO('UTC').add(duration);
    await letGo(settings, { standsAt: new Date(to.epochMilliseconds) });
  });
program
  .command('set')
  .description('lets the clock stand at an instant')
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
