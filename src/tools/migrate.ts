/** `npm run -s migrate` brings the database up to date; safe to run twice and by several at once. */
import { Command } from 'commander';
import { instantOf, readSandboxTime } from '../platform/clock.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv, readSettings } from '../platform/settings.js';
import { migrate } from '../store/migrate.js';
import { withDatabase } from './with-database.js';

const program = new Command('migrate')
  .description(
    'Runs the migrations that are missing and makes the partitions of the present and ahead. Safe to run twice and by several at once.',
  )
  .action(async () => {
    const settings = readSettings(process.env);
    const now = settings.isSandbox ? instantOf(readSandboxTime(settings.dataDir)) : new Date();
    await withDatabase(settings, async (options) => {
      console.log(`Migrating database ${options.database} on ${options.host}.`);
      const { migrations, partitions } = await migrate(options, now);
      for (const name of migrations) console.log(`Ran migration ${name}.`);
      if (partitions.length > 0) console.log(`Made ${partitions.length} partitions for ${now.toISOString()} and ahead.`);
      console.log('The database is up to date.');
    });
  });

loadDotEnv();
program.parseAsync().catch(fail);
