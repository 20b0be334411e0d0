import { Command } from 'commander';
import { STRIPE_ACCOUNT_ID } from '../main/assemble.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv } from '../platform/settings.js';
import { readRenewalStatus, setRenewalSwitch } from '../store/renewal-control.store.js';
import type { Runner } from '../store/unit-of-work.js';
import { withConnection } from './with-connection.js';

const program = new Command('renewals').description(
  'Shows, stops and starts again what charges renewals. A change acts within a second, on every worker.',
);

program
  .command('status')
  .description('prints whether renewals run, and how the present hour stands')
  .action(() =>
    withRunner(async (runner) => {
      const status = await readRenewalStatus(runner, STRIPE_ACCOUNT_ID);
      if (!status) return;
      const { isStopped, changedBy, reason, planned, charged, due, unsent } = status;
      console.log(isStopped ? `Renewals are stopped by ${changedBy}: ${reason ?? 'no reason given'}.` : 'Renewals run.');
      console.log(
        `This hour: ${planned} planned, ${charged} charged. Due and not billed: ${due}; billed and not sent: ${unsent}.`,
      );
    }),
  );

program
  .command('stop')
  .description('no renewal is charged until they are started again; what is under way ends')
  .requiredOption('--by <name>', 'who stops them, for whoever looks next')
  .option('--reason <text>', 'why')
  .action((options: { by: string; reason?: string }) => turn(true, options.by, options.reason ?? null));

program
  .command('start')
  .description('lets renewals go on')
  .requiredOption('--by <name>', 'who starts them')
  .action((options: { by: string }) => turn(false, options.by, null));

async function turn(isStopped: boolean, changedBy: string, reason: string | null): Promise<void> {
  await withRunner((runner) => setRenewalSwitch(runner, STRIPE_ACCOUNT_ID, { isStopped, reason, changedBy }));
  console.log(isStopped ? 'Renewals are stopped.' : 'Renewals run.');
}

function withRunner(work: (runner: Runner) => Promise<void>): Promise<void> {
  return withConnection(({ client, now }) =>
    work({ now, run: async (what, params) => (await client.query(what.text, [...params])).rows }),
  );
}

loadDotEnv();
program.parseAsync().catch(fail);
