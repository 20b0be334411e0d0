import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Stripe } from 'stripe';
import { SANDBOX_WEBHOOK_SECRET, settingsOf } from '../../../src/sandbox/stripe/process.js';
import { pay, savedCard } from './stand-in.js';

/** The process as it runs: compiled by the build that comes before the tests. */
const MAIN = path.resolve('dist/src/sandbox/stripe/main.js');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'stripe-process-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** Starts the process; resolves with its port once it listens. */
async function start(env: Record<string, string> = {}): Promise<{ child: ChildProcess; stripe: Stripe; port: string }> {
  const child = spawn(process.execPath, [MAIN], {
    env: { DATA_DIR: directory, SANDBOX_STRIPE_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  const port = /:(\d+)\s*$/.exec(line.toString())?.[1] ?? '';
  return { child, port, stripe: new Stripe('sk_test_x', { host: '127.0.0.1', port, protocol: 'http', telemetry: false }) };
}

/** Starts the process where it must refuse; resolves with what it says and its exit code. */
async function refused(env: Record<string, string>): Promise<{ said: string; code: number | null }> {
  const child = spawn(process.execPath, [MAIN], {
    env: { DATA_DIR: directory, SANDBOX_STRIPE_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { said, code };
}

test('a killed process loses nothing that was answered, and SIGTERM ends it cleanly', async () => {
  const first = await start();
  const intent = await pay(first.stripe, await savedCard(first.stripe, 'pm_card_visa'));
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = await start();
  expect((await second.stripe.paymentIntents.retrieve(intent.id)).status).toBe('succeeded');
  second.child.kill('SIGTERM');
  expect(await once(second.child, 'exit')).toEqual([0, null]);
});

test('it does not start in production, beside a live key, or on a taken port', async () => {
  expect(await refused({ NODE_ENV: 'production' })).toMatchObject({
    code: 1,
    said: expect.stringMatching(/^[^\n]*production[^\n]*\n$/),
  });
  const live = await refused({ STRIPE_API_KEY: ['sk', 'live', 'x'].join('_') });
  expect(live).toMatchObject({ code: 1, said: expect.stringMatching(/^[^\n]*live key \(STRIPE_API_KEY\)[^\n]*\n$/) });
  const running = await start({ DATA_DIR: path.join(directory, 'other') });
  const taken = await refused({ SANDBOX_STRIPE_PORT: running.port });
  expect(taken).toMatchObject({ code: 1, said: `Port ${running.port} is taken: set SANDBOX_STRIPE_PORT to another one.\n` });
  running.child.kill('SIGTERM');
  await once(running.child, 'exit');
});

test('settings not given have their defaults', () => {
  expect(settingsOf({})).toEqual({
    port: 4010,
    stateDir: path.join('.data', 'stripe'),
    webhookUrl: 'http://127.0.0.1:4000/webhooks/stripe',
    webhookSecret: SANDBOX_WEBHOOK_SECRET,
  });
  expect(settingsOf({ PORT: '5000', DATA_DIR: '/tmp/x' })).toMatchObject({
    webhookUrl: 'http://127.0.0.1:5000/webhooks/stripe',
    stateDir: '/tmp/x/stripe',
  });
  expect(() => settingsOf({ SANDBOX_STRIPE_PORT: 'x' })).toThrow('SANDBOX_STRIPE_PORT');
});
