import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import path from 'node:path';
import { post, startProduct, type Product } from '../support/product.js';

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => product.stop());

/** `npm run clock -- ...` against the running product. */
async function clock(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, ['dist/src/tools/clock.js', ...args], {
    env: product.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return text(child.stdout);
}

interface Moved {
  data?: { advanceSandboxClock: string } | null;
  errors?: { extensions: { code: string } }[];
}

async function advanceByMutation(url: string, by: string, token: string | null): Promise<Moved> {
  const body = JSON.stringify({ query: 'mutation($by: String!) { advanceSandboxClock(by: $by) }', variables: { by } });
  const answer = await post(url, body, token === null ? {} : { authorization: `Bearer ${token}` });
  return JSON.parse(answer.text) as Moved;
}

function codesOf({ errors = [] }: Moved): string[] {
  return errors.map(({ extensions }) => extensions.code);
}

test('time goes from one due instant to the next: two months are two renewals, each in its turn, and told as lines', async () => {
  const ana = await product.person('ana');
  await ana.addCard('pm_card_visa');
  await ana.subscribe();
  const from = product.now();
  const told = (await clock('advance', 'P2M')).trimEnd().split('\n');
  expect(told[0]).toMatch(/^instant +what happened$/);
  const renewals = told.filter((line) => /\b1 renewed, 1 charge succeeded \(8\.00 USD\)/.test(line));
  expect(renewals).toHaveLength(2);
  expect(renewals.toSorted()).toEqual(renewals);
  expect(told.at(-1)).toMatch(/\(stands still\)$/);
  expect(product.now().getTime() - from.getTime()).toBeGreaterThan(58 * 86_400_000);
  const events = await product.query<{ at: Date }>(
    `select at from subscription_event where user_id = $1 and kind = 'renewed' order by at`,
    [ana.userId],
  );
  const periods = await product.query<{ period_start: Date }>(
    `select period_start from invoice where user_id = $1 and period_number > 0 order by period_number`,
    [ana.userId],
  );
  // Each was charged within the minute its period began, not at the end of the way.
  for (const [nth, { at }] of events.entries())
    expect(Math.abs(at.getTime() - (periods[nth]?.period_start.getTime() ?? 0))).toBeLessThan(61_000);
  expect((await product.truth()).charges.filter(({ paid }) => paid)).toHaveLength(3);
  await product.expectSoundBooks();
});

test('the mutation of the sandbox moves the same time, and refuses what leads nowhere', async () => {
  const ana = await product.token('ana');
  const before = product.now();
  const moved = await advanceByMutation(product.url, 'P1D', ana);
  expect(codesOf(moved)).toEqual([]);
  const standsAt = Date.parse(moved.data?.advanceSandboxClock ?? '');
  expect(standsAt - before.getTime()).toBe(86_400_000);
  expect(product.now().getTime()).toBe(standsAt);
  for (const by of ['P0D', '-P1D', 'soon'])
    expect(codesOf(await advanceByMutation(product.url, by, ana))).toEqual(['BAD_USER_INPUT']);
  expect(codesOf(await advanceByMutation(product.url, 'P1D', null))).toEqual(['UNAUTHENTICATED']);
});

test('the mutation is no part of the contract, and outside the sandbox there is none', async () => {
  const files = (await readdir('schema', { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  for (const { parentPath, name } of files)
    expect(await readFile(path.join(parentPath, name), 'utf8')).not.toContain('advanceSandboxClock');
  const real = await startProduct({
    settings: {
      SANDBOX: 'off',
      STRIPE_API_KEY: 'sk_test_1',
      STRIPE_PUBLISHABLE_KEY: 'pk_test_1',
      CURSOR_SECRET: 'c'.repeat(32),
    },
  });
  try {
    expect(codesOf(await advanceByMutation(real.url, 'P1D', await real.token('ana')))).toEqual(['GRAPHQL_VALIDATION_FAILED']);
  } finally {
    await real.stop();
  }
});

test('time stands where work is due that nobody takes up, and one line says what to look at', async () => {
  await product.kill('worker');
  const child = spawn(process.execPath, ['dist/src/tools/clock.js', 'advance', 'P1M'], {
    env: product.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [said, code] = await Promise.all([text(child.stderr), new Promise((resolve) => child.on('close', resolve))]);
  expect(code).toBe(1);
  expect(said).toMatch(/^Time stands at .*, where work is due that nobody takes up \(subscriptions\): is npm start running/);
  await product.start('worker');
  await clock('advance', 'PT1H');
  const renewed = await product.query(`select from subscription_event where kind = 'renewed'`);
  expect(renewed).toHaveLength(3);
  await product.expectSoundBooks();
});
