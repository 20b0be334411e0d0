/** `npm run supergraph`: our subgraph and the users subgraph behind one router, as clients of the platform see them. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { makeRouter, type Subgraph } from '../graphql/supergraph.js';
import { listenOn } from '../platform/http-listen.js';
import { OneLineError } from '../platform/one-line-error.js';
import { runProcess } from '../platform/run-process.js';
import { loadDotEnv, readSettings } from '../platform/settings.js';

const LOOPBACK = '127.0.0.1';

new Command('supergraph')
  .description(
    'Composes this subgraph with the users stand-in and serves both by a router (SUPERGRAPH_PORT). Start them first: npm start.',
  )
  .parse();

runProcess(async (shutdown) => {
  loadDotEnv();
  const { port, usersPort, supergraphPort, routerSecrets } = readSettings(process.env);
  const usersUrl = `http://${LOOPBACK}:${usersPort}/graphql`;
  const subgraphs: Subgraph[] = [
    {
      name: 'monetization',
      url: `http://${LOOPBACK}:${port}/graphql`,
      sdl: await readFile('schema/schema.graphql', 'utf8'),
      hasLiveUpdates: true,
    },
    { name: 'users', url: usersUrl, sdl: await sdlOf(usersUrl), hasLiveUpdates: false },
  ];
  const router = makeRouter({ subgraphs, secret: routerSecrets[0] ?? null });
  const url = await listenOn(
    {
      listen: ({ host, port: asked }) =>
        new Promise((resolve, reject) => {
          router.server.once('error', reject);
          router.server.listen({ host, port: asked }, () => resolve(`http://${host}:${asked}`));
        }),
    },
    { host: LOOPBACK, port: supergraphPort, setting: 'SUPERGRAPH_PORT' },
  );
  shutdown.add('router', () => router.stop());
  console.log(`The supergraph is served on ${url}/graphql; live updates come as server-sent events.`);
});

/** @throws OneLineError when the subgraph does not answer */
async function sdlOf(url: string): Promise<string> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ _service { sdl } }' }),
    });
    const answer = (await response.json()) as { data?: { _service?: { sdl?: unknown } } };
    const sdl = answer.data?._service?.sdl;
    if (typeof sdl === 'string') return sdl;
  } catch {
    // Told below, together with an answer that holds no SDL.
  }
  throw new OneLineError(`The users subgraph does not answer at ${url}: start it with npm start.`);
}
