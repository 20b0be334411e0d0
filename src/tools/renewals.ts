import { Command } from 'commander';
import { STRIPE_ACCOUNT_ID } from '../main/assemble.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv } from '../platform/settings.js';
import { withConnection } from './with-connection.js';

const program = new Command('renewals').description(
  'Shows, stops and starts again what charges renewals. A change acts within a second, on every worker.',
);

program
  .command('status')
  .description('prints whether renewals run, and how the present hour stands')
  .action(() =>
    withConnection(async ({ client, now }) => {
      const { rows } = await client.query<Status>(STATUS, [STRIPE_ACCOUNT_ID, now]);
      const [status] = rows;
      if (!status) return;
      console.log(
        status.is_stopped
          ? `Renewals are stopped by ${status.changed_by}: ${status.reason ?? 'no reason given'}.`
          : 'Renewals run.',
      );
      console.log(
        `This hour: ${status.planned ?? 0} planned, ${status.charged ?? 0} charged. Due and not billed: ${status.due}; billed and not sent: ${status.unsent}.`,
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

interface Status {
  is_stopped: boolean;
  reason: string | null;
  changed_by: string | null;
  planned: number | null;
  charged: number | null;
  due: number;
  unsent: number;
}

const STATUS = `
  select coalesce(s.is_stopped, false) as is_stopped, s.reason, s.changed_by, h.planned, h.charged,
    (select count(*)::int from subscription where next_action_at <= $2 and status = 'active' and not cancel_at_period_end) as due,
    (select count(*)::int from payment_attempt where next_action_at <= $2 and status = 'created' and cause = 'renewal') as unsent
  from (select) one
  left join renewal_switch s on s.provider_account_id = $1
  left join renewal_hour h on h.provider_account_id = $1 and h.hour = date_trunc('hour', $2::timestamptz)`;

async function turn(isStopped: boolean, by: string, reason: string | null): Promise<void> {
  await withConnection(async ({ client, now }) => {
    await client.query(
      `insert into renewal_switch (provider_account_id, is_stopped, reason, changed_by, changed_at) values ($1, $2, $3, $4, $5)
       on conflict (provider_account_id) do update set is_stopped = excluded.is_stopped, reason = excluded.reason,
         changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
      [STRIPE_ACCOUNT_ID, isStopped, reason, by, now],
    );
    console.log(isStopped ? 'Renewals are stopped.' : 'Renewals run.');
  });
}

loadDotEnv();
program.parseAsync().catch(fail);
