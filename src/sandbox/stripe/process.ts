import path from 'node:path';
import { OneLineError } from '../../platform/one-line-error.js';
import { runProcess } from '../../platform/run-process.js';
import { startStripeStandIn } from './server.js';

/** Signs webhooks when no other secret is set: known to the gateway's sandbox mode, worthless elsewhere. */
export const SANDBOX_WEBHOOK_SECRET = 'whsec_sandbox_0123456789abcdefghijklmnopqrstuv';

/** What STRIPE_WEBHOOK_URL says when nobody is to be told of events. */
export const NO_WEBHOOKS = 'none';

const DEFAULT_PORT = 4010;
const DEFAULT_GATEWAY_PORT = 4000;

/** Settings of the process, from the environment. */
interface Settings {
  port: number;
  stateDir: string;
  /** null: events are kept and listed, but sent to nobody. */
  webhookUrl: string | null;
  webhookSecret: string;
}

/** Reads the settings. @throws OneLineError that says what is wrong: production, a live key, a port out of range */
export function settingsOf(env: Readonly<Record<string, string | undefined>>): Settings {
  if (env['NODE_ENV'] === 'production') throw new OneLineError('The Stripe stand-in does not start with NODE_ENV=production.');
  const live = Object.entries(env).find(([, value]) => /\b[sr]k_live_/.test(value ?? ''));
  if (live) throw new OneLineError(`The Stripe stand-in does not start beside a live key (${live[0]}).`);
  const gatewayPort = portOf(env, 'PORT', DEFAULT_GATEWAY_PORT);
  return {
    port: portOf(env, 'SANDBOX_STRIPE_PORT', DEFAULT_PORT),
    stateDir: path.join(env['DATA_DIR'] || '.data', 'stripe'),
    webhookUrl:
      env['STRIPE_WEBHOOK_URL'] === NO_WEBHOOKS
        ? null
        : env['STRIPE_WEBHOOK_URL'] || `http://127.0.0.1:${gatewayPort}/webhooks/stripe`,
    webhookSecret: env['STRIPE_WEBHOOK_SECRET'] || SANDBOX_WEBHOOK_SECRET,
  };
}

function portOf(env: Readonly<Record<string, string | undefined>>, name: string, byDefault: number): number {
  const port = Number(env[name] || byDefault);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new OneLineError(`${name} must be a port number, not "${env[name]}".`);
  return port;
}

/**
 * Runs a stand-in as this process: until it is told to stop, or its launcher goes, however it goes. What is wrong at start is one line,
 * and exit 1.
 */
export function runStripeStandIn(env: Readonly<Record<string, string | undefined>>): void {
  runProcess(async (shutdown) => {
    const standIn = await startStripeStandIn(settingsOf(env)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      throw new OneLineError(
        `Port ${env['SANDBOX_STRIPE_PORT'] || DEFAULT_PORT} is taken: set SANDBOX_STRIPE_PORT to another one.`,
      );
    });
    shutdown.add('Stripe stand-in', () => standIn.stop());
    console.log(`Stripe stand-in on ${standIn.url}`);
  });
}
