/** Four workers renew what is due, and one of them is killed every five seconds: is each charged once? */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { WITH_SOURCE_MAPS } from '../src/platform/supervised.js';
import { NO_WEBHOOKS } from '../src/sandbox/stripe/process.js';
import { checkInvariants, parseInvariants } from '../src/store/invariants.js';
import type { Bench } from './bench.js';
import { compareDue, prepareDue, stopRenewals, untilRenewed } from './renewals.js';
import { freePorts, startProduct } from './running-product.js';

const WORKERS = 4;
const KILL_EVERY_MS = 5_000;
/** Of each worker: four share this machine's processors, and each new connection is cold for as long as it takes to plan everything once. */
const CONNECTIONS = 3;
/** The stand-in keeps each payment in memory: a million want more than Node takes by itself. */
const STAND_IN_MIB = 18_000;

/** The bench. */
export const renewalsKilled: Bench = {
  name: 'renewals-killed',
  size: { of: 'subscriptions', usual: 1_000_000 },
  question: `${WORKERS} workers renew what is due and one of them is killed every ${KILL_EVERY_MS / 1_000} s: is each charged once? No webhook arrives: what the provider did is known from its answers, and where these were lost, found out.`,
  run: async (count, tell) => {
    tell('Starting the product.');
    const product = await startProduct({
      ROLES: 'gateway',
      STRIPE_WEBHOOK_URL: NO_WEBHOOKS,
      NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=${STAND_IN_MIB}`.trim(),
    });
    const workers: ChildProcess[] = [];
    let isOver = false;
    const startWorker = async (nth: number): Promise<void> => {
      const [port] = await freePorts();
      if (isOver) return;
      const env = {
        ...product.env,
        PORT: String(port),
        DATABASE_POOL: String(CONNECTIONS),
        NODE_COMPILE_CACHE: path.join(product.env['DATA_DIR'] ?? '', 'compiled'),
      };
      workers[nth] = spawn(process.execPath, [...WITH_SOURCE_MAPS, 'dist/src/main/worker.js'], {
        env,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
    };
    try {
      await prepareDue(product, count, tell);
      await stopRenewals(product.pool, false);
      tell('Letting workers go.');
      const startedAt = performance.now();
      for (let nth = 0; nth < WORKERS; nth++) await startWorker(nth);
      let kills = 0;
      const killing = setInterval(() => {
        const nth = kills++ % WORKERS;
        workers[nth]?.kill('SIGKILL');
        void startWorker(nth);
      }, KILL_EVERY_MS);
      try {
        await untilRenewed(product.pool, count, tell);
      } finally {
        clearInterval(killing);
      }
      const seconds = (performance.now() - startedAt) / 1_000;
      tell('Checking the books.');
      const client = await product.pool.connect();
      let broken = 0;
      try {
        await client.query('begin transaction isolation level repeatable read read only');
        const results = await checkInvariants(client, parseInvariants(await readFile('data/invariants.sql', 'utf8')), new Date());
        for (const one of results) {
          if (one.kind === 'checked' && one.violations > 0) tell(`${one.name}: ${one.violations}`);
          broken += one.kind === 'checked' ? one.violations : 0;
        }
        await client.query('rollback');
      } finally {
        client.release();
      }
      return {
        ratios: [],
        figures: [
          { what: 'renewals', value: count / seconds, unit: '/s' },
          { what: 'workers killed', value: kills, unit: '' },
        ],
        bounds: [...(await compareDue(product, count)), { what: 'no invariant is broken', holds: broken === 0 }],
      };
    } finally {
      isOver = true;
      for (const worker of workers) worker.kill('SIGKILL');
      await product.stop();
    }
  },
};
