/** What every process serves: health and metrics. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

/** How long a check of health may take, milliseconds. */
const CHECK_LIMIT_MS = 2_000;

/** Checks by name; one that throws, or does not answer in time, is degraded. A check is `vital` when no traffic can be served without it. */
export type HealthChecks = Readonly<Record<string, { isVital: boolean; check: () => Promise<void> }>>;

/** Health and metrics, of any process. */
export interface OpsRoutes {
  checks: HealthChecks;
  /** On its way out: not ready, but alive. */
  isDraining: () => boolean;
  registry: Registry;
}

/** Adds /healthz, /readyz and /metrics. */
export function addOpsRoutes(app: FastifyInstance, { checks, isDraining, registry }: OpsRoutes): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const degraded = await degradedOf(checks);
    const isReady = !isDraining() && !degraded.some((name) => checks[name]?.isVital);
    const status = isDraining() ? 'draining' : isReady ? (degraded.length > 0 ? 'degraded' : 'ok') : 'unavailable';
    return reply
      .code(isReady ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status, degraded });
  });
  app.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}

async function degradedOf(checks: HealthChecks): Promise<string[]> {
  const names = Object.keys(checks);
  const healthy = await Promise.all(names.map((name) => isHealthy(checks[name]?.check)));
  return names.filter((_name, index) => !healthy[index]);
}

async function isHealthy(check: (() => Promise<void>) | undefined): Promise<boolean> {
  const late = delay(CHECK_LIMIT_MS, false, { ref: false });
  const outcome = Promise.resolve(check?.()).then(
    () => true,
    () => false,
  );
  return Promise.race([outcome, late]);
}
