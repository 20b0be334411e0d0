import { Command, Option } from 'commander';
import { runStripeStandIn } from '../sandbox/stripe/process.js';

/** `npm run sandbox -- stripe`: one stand-in alone, in the foreground, until Ctrl-C. */
const program = new Command('sandbox').description('Runs one stand-in of a provider alone, on this machine only.');

program
  .command('stripe')
  .description('Stands in for Stripe: its API, webhooks and 3-D Secure page, and control routes under /sandbox.')
  .addOption(new Option('--port <number>', 'port to listen on').env('SANDBOX_STRIPE_PORT').default('4010'))
  .addOption(new Option('--data-dir <path>', 'its state is kept in the folder stripe in there').env('DATA_DIR').default('.data'))
  .addOption(
    new Option('--webhook-url <url>', 'where its webhooks go; none: nowhere (default: the gateway on this machine)').env(
      'STRIPE_WEBHOOK_URL',
    ),
  )
  .addOption(
    new Option('--webhook-secret <secret>', 'what they are signed with (default: the sandbox secret)').env(
      'STRIPE_WEBHOOK_SECRET',
    ),
  )
  .action((options: { port: string; dataDir: string; webhookUrl?: string; webhookSecret?: string }) => {
    runStripeStandIn({
      ...process.env,
      SANDBOX_STRIPE_PORT: options.port,
      DATA_DIR: options.dataDir,
      STRIPE_WEBHOOK_URL: options.webhookUrl,
      STRIPE_WEBHOOK_SECRET: options.webhookSecret,
    });
  });

program.parse();
