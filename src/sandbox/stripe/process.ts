import path from 'node:path';
import { type StripeStandIn, startStripeStandIn } from './server.js';

/** Signs webhooks when no other secret is set: known to the gateway's sandbox mode, worthless elsewhere. */
export const SANDBOX_WEBHOOK_SECRET = 'whsec_sandbox_0123456789abcdefghijklmnopqrstuv';

const DEFAULT_PORT = 4010;
const DEFAULT_GATEWAY_PORT = 4000;

/** Settings of the process, from the environment. */
interface Settings {
  port: number;
  stateDir: string;
  webhookUrl: string;
  webhookSecret: string;
}

/** Reads the settings. @throws Error with one line that says what is wrong: production, a live key, a port out of range */
export function settingsOf(env: Readonly<Record<string, string | undefined>>): Settings {
  if (env['NODE_ENV'] === 'production') throw new Error('The Stripe stand-in does not start with NODE_ENV=production.');
  const live = Object.entries(env).find(([, value]) => /\b[sr]k_live_/.test(value ?? ''));
  if (live) throw new Error(`The Stripe stand-in does not start beside a live key (${live[0]}).`);
  const gatewayPort = portOf(env, 'PORT', DEFAULT_GATEWAY_PORT);
  return {
    port: portOf(env, 'SANDBOX_STRIPE_PORT', DEFAULT_PORT),
    stateDir: path.join(env['DATA_DIR'] || '.data', 'stripe'),
    webhookUrl: env['STRIPE_WEBHOOK_URL'] || `http://127.0.0.1:${gatewayPort}/webhooks/stripe`,
    webhookSecret: env['STRIPE_WEBHOOK_SECRET'] || SANDBOX_WEBHOOK_SECRET,
  };
}

function portOf(env: Readonly<Record<string, string | undefined>>, name: string, byDefault: number): number {
  const port = Number(env[name] || byDefault);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`${name} must be a port number, not "${env[name]}".`);
  return port;
}

/** Runs a stand-in as this process: until SIGTERM or SIGINT, then exit 0. What is wrong at start is one line, and exit 1. */
export async function runStripeStandIn(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  let standIn: StripeStandIn;
  try {
    standIn = await startStripeStandIn(settingsOf(env));
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `${isTaken ? `Port ${env['SANDBOX_STRIPE_PORT'] || DEFAULT_PORT} is taken: set SANDBOX_STRIPE_PORT to another one.` : reason}\n`,
    );
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`Stripe stand-in on ${standIn.url}\n`);
  const stop = (): void => void standIn.stop();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}
