/** Everything that runs in a chaos run, each part in a process of its own: PostgreSQL, the Stripe stand-in, two gateways, two workers. */
import { mkdirSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { instantOf, readSandboxTime, SandboxClock, writeSandboxTime } from '../platform/clock.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { socketDatabaseUrl } from '../platform/database-options.js';
import { embeddedPostgresAddress } from '../platform/embedded-postgres.js';
import { prepareSandboxIssuer } from '../platform/sandbox-issuer.js';
import { setStandInClock } from '../platform/stand-in-clock.js';
import type { ProviderTruth } from './compare-books.js';
import { Chronicle } from './chronicle.js';
import { Database } from './database.js';
import { Part } from './part.js';
import type { Seeded } from './seeded.js';
import { Wire } from './wire.js';

/** How far the clock of a worker may be off, milliseconds. */
const CLOCK_OFFSET_MS = 20_000;
const CONTROL_LIMIT_MS = 5_000;
/** As long as the stand-in may be away, killed and slow to start, a control request is made again. */
const CONTROL_TRIES = 120;
const CONTROL_AGAIN_MS = 250;
const READY_LIMIT_MS = 90_000;

/** Parts that a run kills and stops. */
export type NodePart = 'stripe' | 'gateway-1' | 'gateway-2' | 'worker-1' | 'worker-2';
export const NODE_PARTS = ['stripe', 'gateway-1', 'gateway-2', 'worker-1', 'worker-2'] as const satisfies readonly NodePart[];

/** What the stand-in tells about itself, beside money. */
export interface StandInTruth extends ProviderTruth {
  webhooks: readonly { event: string; eventType: string; status: string }[];
}

/** Whether a worker that starts gets a clock of its own. */
interface WorkerClocks {
  areOff: boolean;
}

/** A running stage. */
export class Stage {
  readonly chronicle: Chronicle;
  readonly clock: SandboxClock;
  readonly database: Database;
  readonly parts: Readonly<Record<NodePart, Part>>;
  readonly gateways: readonly [string, string];
  /** Between the product and the stand-in. */
  readonly providerWire: Wire;
  /** Between the stand-in and the gateways: webhooks. */
  readonly webhookWire: Wire;
  readonly standInUrl: string;
  readonly #dataDir: string;
  readonly #stripePort: number;
  readonly #clocks: WorkerClocks;

  private constructor(
    given: Pick<Stage, 'chronicle' | 'clock' | 'database' | 'parts' | 'gateways' | 'providerWire' | 'webhookWire'> & {
      dataDir: string;
      stripePort: number;
      clocks: WorkerClocks;
    },
  ) {
    this.chronicle = given.chronicle;
    this.clock = given.clock;
    this.database = given.database;
    this.parts = given.parts;
    this.gateways = given.gateways;
    this.providerWire = given.providerWire;
    this.webhookWire = given.webhookWire;
    this.standInUrl = `http://127.0.0.1:${given.stripePort}`;
    this.#dataDir = given.dataDir;
    this.#stripePort = given.stripePort;
    this.#clocks = given.clocks;
  }

  /**
   * Starts everything in an empty folder and waits until it is ready.
   * @param options.programs where the compiled programs are (dist/src)
   * @param options.prepare makes tables and catalogue in the database
   */
  static async open(options: {
    dataDir: string;
    programs: string;
    chance: Seeded;
    prepare: (database: DatabaseOptions, now: Date) => Promise<void>;
  }): Promise<Stage> {
    const { dataDir, programs, chance } = options;
    const logs = path.join(dataDir, 'logs');
    mkdirSync(logs, { recursive: true });
    prepareSandboxIssuer(dataDir);
    const clock = new SandboxClock(dataDir);
    const chronicle = new Chronicle(clock);
    const database = new Database(dataDir, path.join(logs, 'database.log'), (line) =>
      chronicle.disturb('database: start failed', `the database did not start: ${line}`),
    );
    const [one, two, three, four, stripePort] = await freePorts(5);
    const gatewayPorts = [one, two] as const;
    const ports: Record<NodePart, number> = {
      stripe: stripePort,
      'gateway-1': one,
      'gateway-2': two,
      'worker-1': three,
      'worker-2': four,
    };
    const providerWire = new Wire({
      name: 'to Stripe',
      target: () => stripePort,
      chance: chance.child('provider wire'),
      chronicle,
    });
    const whichGateway = chance.child('webhooks');
    const webhookWire = new Wire({
      name: 'from Stripe',
      target: () => whichGateway.pick(gatewayPorts),
      chance: chance.child('webhook wire'),
      chronicle,
    });
    const [providerPort, webhookPort] = [await providerWire.listen(), await webhookWire.listen()];
    const env: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      NODE_ENV: 'test',
      SANDBOX: 'on',
      DATA_DIR: dataDir,
      DATABASE_URL: socketDatabaseUrl(embeddedPostgresAddress(dataDir), database.options.database),
      SANDBOX_STRIPE_PORT: String(stripePort),
      STRIPE_API_BASE: `http://127.0.0.1:${providerPort}`,
      STRIPE_WEBHOOK_URL: `http://127.0.0.1:${webhookPort}/webhooks/stripe`,
      LOG_LEVEL: 'warn',
      // They are started often: what V8 made of the sources is kept.
      NODE_COMPILE_CACHE: path.join(dataDir, 'compiled'),
    };
    const clocks: WorkerClocks = { areOff: true };
    const part = (name: NodePart, file: string, readyPort: number, readyPath: string): Part => {
      const clockChance = chance.child(`clock of ${name}`);
      return new Part({
        name,
        file: path.join(programs, file),
        logFile: path.join(logs, `${name}.log`),
        readyUrl: `http://127.0.0.1:${readyPort}${readyPath}`,
        env: () => {
          const isOff = name.startsWith('worker') && clocks.areOff;
          const offsetMs = isOff ? clockChance.int(-CLOCK_OFFSET_MS, CLOCK_OFFSET_MS) : 0;
          if (isOff) chronicle.disturb('clocks off', `${name} starts with a clock ${offsetMs} ms ahead`);
          return { ...env, PORT: String(ports[name]), SANDBOX_CLOCK_OFFSET_MS: String(offsetMs) };
        },
        onEnd: (how, wasReady) =>
          chronicle.disturb(
            `ended by itself: ${wasReady ? 'at work' : 'while starting'} ${name}`,
            `${name} ended by itself (${how})`,
          ),
        ...(name === 'stripe' && { onReady: async () => void (await setStandInClock(stripePort, readSandboxTime(dataDir))) }),
      });
    };
    const parts: Record<NodePart, Part> = {
      stripe: part('stripe', 'sandbox/stripe/main.js', stripePort, '/sandbox/clock'),
      'gateway-1': part('gateway-1', 'main/gateway.js', one, '/readyz'),
      'gateway-2': part('gateway-2', 'main/gateway.js', two, '/readyz'),
      'worker-1': part('worker-1', 'main/worker.js', three + 1_000, '/readyz'),
      'worker-2': part('worker-2', 'main/worker.js', four + 1_000, '/readyz'),
    };
    const gateways = [`http://127.0.0.1:${one}`, `http://127.0.0.1:${two}`] as const;
    const stage = new Stage({
      chronicle,
      clock,
      database,
      parts,
      gateways,
      providerWire,
      webhookWire,
      dataDir,
      stripePort,
      clocks,
    });
    try {
      await database.start();
      await options.prepare(database.options, clock.now());
      for (const name of NODE_PARTS) parts[name].start();
      await stage.untilReady();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** Waits until every process does its work. */
  async untilReady(): Promise<void> {
    for (let waitedMs = 0; !this.database.isReady; waitedMs += CONTROL_AGAIN_MS) {
      if (waitedMs > READY_LIMIT_MS) throw new Error('the database did not come back');
      await pause(CONTROL_AGAIN_MS);
    }
    for (const name of NODE_PARTS) await this.parts[name].untilReady(READY_LIMIT_MS);
  }

  /** Workers that start from now on have the sandbox's own time. */
  alignClocks(): void {
    this.#clocks.areOff = false;
  }

  /** Moves everybody's clock ahead; it runs on from there. The provider first, so that it is never behind us. */
  async moveClock(ms: number): Promise<void> {
    const time = readSandboxTime(this.#dataDir);
    const aheadMs = ('aheadMs' in time ? time.aheadMs : instantOf(time).getTime() - Date.now()) + ms;
    for (let i = 0; !(await setStandInClock(this.#stripePort, { aheadMs }).catch(() => false)); i++) {
      if (i > CONTROL_TRIES) throw new Error('the stand-in did not come back');
      await pause(CONTROL_AGAIN_MS);
    }
    writeSandboxTime(this.#dataDir, { aheadMs });
  }

  /** Asks or tells the stand-in under /sandbox/, again while it is away. */
  async control(method: 'GET' | 'POST' | 'DELETE', route: string, body?: object): Promise<unknown> {
    for (let i = 0; ; i++) {
      try {
        const answer = await fetch(`${this.standInUrl}/sandbox/${route}`, {
          method,
          ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(CONTROL_LIMIT_MS),
        });
        if (answer.status === 400) throw new Error(`${method} /sandbox/${route}: ${await answer.text()}`);
        if (answer.ok) return await answer.json();
      } catch (error) {
        if (i >= CONTROL_TRIES || (error instanceof Error && error.message.includes('/sandbox/'))) throw error;
      }
      await pause(CONTROL_AGAIN_MS);
    }
  }

  async truth(): Promise<StandInTruth> {
    // The stand-in's own shapes.
    return (await this.control('GET', 'truth')) as StandInTruth;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.providerWire.cut();
    await Promise.all(NODE_PARTS.map((name) => this.parts[name].stop()));
    await this.database.stop();
    await this.providerWire.close();
    await this.webhookWire.close();
  }
}

/** Free ports of this machine, whose next thousandths (the workers') are free too. */
async function freePorts(count: 5): Promise<[number, number, number, number, number]> {
  const found: number[] = [];
  const held: net.Server[] = [];
  while (found.length < count) {
    const first = await listening(0);
    const address = first.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const second = port + 1_000 <= 65_535 ? await listening(port + 1_000).catch(() => null) : null;
    held.push(first, ...(second ? [second] : []));
    if (second) found.push(port);
  }
  for (const server of held) await new Promise((resolve) => server.close(resolve));
  const [one = 0, two = 0, three = 0, four = 0, five = 0] = found;
  return [one, two, three, four, five];
}

function listening(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
