import Fastify from 'fastify';
import { listenOn } from '../platform/http-listen.js';
import { addOpsRoutes, type OpsRoutes } from './ops-routes.js';

/**
 * Health and metrics of a process that serves nothing else (the worker).
 * @throws OneLineError naming `setting` when the port cannot be had
 */
export async function startOpsServer(
  options: OpsRoutes & { host: string; port: number; setting: string },
): Promise<{ url: string; stop(): Promise<void> }> {
  const app = Fastify({ logger: false });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'Not found' }));
  addOpsRoutes(app, options);
  const { host, port, setting } = options;
  return { url: await listenOn(app, { host, port, setting }), stop: () => app.close() };
}
