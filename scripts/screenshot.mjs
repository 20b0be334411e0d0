// Takes docs/images/playground.png: the playground with a first payment in it. Needs a running product with a DATA_DIR never used before, and Chromium.
//   node scripts/screenshot.mjs [address of the gateway] [path of chromium]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';

const [address = 'http://127.0.0.1:4000', chromium = 'chromium'] = process.argv.slice(2);
const FILE = 'docs/images/playground.png';
const LIMIT_MS = 60_000;
const profile = mkdtempSync(path.join(tmpdir(), 'screenshot-'));
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];
const browser = spawn(
  chromium,
  [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    ...quiet,
    '--window-size=1400,900',
    `--user-data-dir=${profile}`,
    '--remote-debugging-port=0',
    'about:blank',
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
const limit = setTimeout(() => browser.kill(), LIMIT_MS);
try {
  const page = await openPage();
  await page.open(address);
  await page.until(`localStorage.getItem('graphiql:tabState') !== null`);
  const bought = await page.evaluate(`(${prepare.toString()})()`);
  await page.open(address);
  await page.until(`document.querySelector('.graphiql-tab-button') !== null`);
  await page.evaluate(
    `[...document.querySelectorAll('.graphiql-tab-button')].find((each) => each.textContent === 'Subscribe').click()`,
  );
  await page.evaluate(`[...document.querySelectorAll('button')].find((each) => each.textContent === 'Variables').click()`);
  await page.until(`[...document.querySelectorAll('.view-line')].some((line) => line.textContent.includes('price_0'))`);
  await page.evaluate(`document.querySelector('.graphiql-execute-button').click()`);
  await page.until(`document.querySelector('.graphiql-response')?.textContent.includes('userErrors')`);
  if (!(await page.evaluate(`document.querySelector('.graphiql-response').textContent.includes('SUCCEEDED')`))) {
    throw new Error('Nothing was bought. Has the customer subscribed before? Start with a DATA_DIR that was never used.');
  }
  await pause(500); // the editor colours its text a moment later
  const { data } = await page.send('Page.captureScreenshot', { format: 'png' });
  writeFileSync(FILE, Buffer.from(data, 'base64'));
  console.log(`${FILE}: ${bought}`);
} finally {
  clearTimeout(limit);
  browser.kill();
  if (browser.exitCode === null) await new Promise((resolve) => browser.once('exit', resolve));
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** Runs in the page: adds a card as the playground's customer, chooses a price, and fills in the tab that subscribes. */
async function prepare() {
  const state = JSON.parse(localStorage.getItem('graphiql:tabState'));
  const at = state.tabs.findIndex((tab) => tab.query.includes('subscribe(input'));
  const ask = async (query, variables) => {
    const headers = { 'content-type': 'application/json', ...JSON.parse(state.tabs[at].headers) };
    const answer = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    return (await answer.json()).data;
  };
  const key = () => crypto.randomUUID();
  const { startPaymentMethodSetup: setup } = await ask(
    'mutation ($key: String!) { startPaymentMethodSetup(input: { kind: CARD, idempotencyKey: $key }) { setupId } }',
    { key: key() },
  );
  await ask(
    'mutation ($id: ID!) { completePaymentMethodSetup(input: { setupId: $id, providerToken: "pm_card_visa" }) { userErrors { code } } }',
    { id: setup.setupId },
  );
  const { tiers } = await ask('{ tiers { key prices(currency: "USD") { id } } }');
  const tier = tiers.find((each) => each.key === 'premium') ?? tiers[0];
  state.tabs[at].variables = JSON.stringify(
    { input: { priceId: tier.prices[0].id, idempotencyKey: `subscribe-${key()}` } },
    null,
    2,
  );
  localStorage.setItem('graphiql:tabState', JSON.stringify(state));
  return tier.key;
}

/** The browser's one page, spoken to by the DevTools protocol. */
async function openPage() {
  const port = await new Promise((resolve, reject) => {
    let text = '';
    browser.stderr.on('data', (chunk) => {
      text += chunk;
      const found = /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(text);
      if (found) resolve(Number(found[1]));
    });
    browser.once('error', reject);
    browser.once('exit', () => reject(new Error(`The browser ended: ${text.trim()}`)));
  });
  const pages = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
  const socket = new WebSocket(pages.find(({ type }) => type === 'page').webSocketDebuggerUrl, { maxPayload: 2 ** 28 });
  await new Promise((resolve) => socket.once('open', resolve));
  const waiting = new Map();
  let lastId = 0;
  socket.on('message', (text) => {
    const { id, result, error } = JSON.parse(text);
    if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
    waiting.delete(id);
  });
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      waiting.set(++lastId, { resolve, reject });
      socket.send(JSON.stringify({ id: lastId, method, params }));
    });
  browser.once('exit', () => waiting.forEach(({ reject }) => reject(new Error('The browser ended, or took too long.'))));
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const until = async (expression) => {
    while (!(await evaluate(expression))) await pause(100);
  };
  const open = async (url) => {
    await send('Page.navigate', { url });
    await until(`document.readyState === 'complete' && location.href.startsWith(${JSON.stringify(url)})`);
  };
  await send('Emulation.setDeviceMetricsOverride', { width: 1400, height: 900, deviceScaleFactor: 1, mobile: false });
  return { send, evaluate, until, open };
}
