/** `npm run supergraph`: our subgraph, the users and the posts behind one router, as clients of the platform see them. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { CALLBACK_PATH, LIVE_MODES, makeRouter, type LiveMode, type Subgraph } from '../graphql/supergraph.js';
import { listenOn } from '../platform/http-listen.js';
import { OneLineError } from '../platform/one-line-error.js';
import { runProcess } from '../platform/run-process.js';
import { loadDotEnv, readSettings } from '../platform/settings.js';
import { startChild, Supervised, WITH_SOURCE_MAPS } from '../platform/supervised.js';

const LOOPBACK = '127.0.0.1';
/** A stand-in that does not answer by then is not going to. */
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;

const program = new Command('supergraph')
  .description(
    'Composes this subgraph with the stand-ins of users and posts and serves all by a router (SUPERGRAPH_PORT). Start the first two with npm start; the posts are started here (POSTS_PORT).',
  )
  .addOption(
    new Option('--live <mode>', 'how live updates come from the subgraph to the router').choices(LIVE_MODES).default('ws'),
  )
  .parse();
const { live: liveMode } = program.opts<{ live: LiveMode }>();

runProcess(async (shutdown) => {
  loadDotEnv();
  const { port, usersPort, postsPort, supergraphPort, routerSecrets } = readSettings(process.env);
  const [usersUrl, postsUrl] = [usersPort, postsPort].map((each) => `http://${LOOPBACK}:${each}/graphql`) as [string, string];
  const usersSdl = await sdlOf(usersUrl);
  const posts = new Supervised({
    name: 'posts stand-in',
    start: async () => startChild(path.join(import.meta.dirname, '../sandbox/posts/main.js'), process.env, WITH_SOURCE_MAPS),
    tell: (line) => console.error(line),
  });
  shutdown.add('posts stand-in', () => posts.stop());
  await posts.start(async () => void (await untilSdlOf(postsUrl)));
  const subgraphs: Subgraph[] = [
    {
      name: 'monetization',
      url: `http://${LOOPBACK}:${port}/graphql`,
      sdl: await readFile('schema/schema.graphql', 'utf8'),
      hasLiveUpdates: true,
    },
    { name: 'users', url: usersUrl, sdl: usersSdl, hasLiveUpdates: false },
    { name: 'posts', url: postsUrl, sdl: await sdlOf(postsUrl), hasLiveUpdates: false },
  ];
  const ownUrl = `http://${LOOPBACK}:${supergraphPort}`;
  const router = makeRouter({ subgraphs, secret: routerSecrets[0] ?? null, liveMode, url: ownUrl });
  const url = await listenOn(
    {
      listen: ({ host, port: asked }) =>
        new Promise((resolve, reject) => {
          router.server.once('error', reject);
          router.server.listen({ host, port: asked }, () => resolve(ownUrl));
        }),
    },
    { host: LOOPBACK, port: supergraphPort, setting: 'SUPERGRAPH_PORT' },
  );
  shutdown.add('router', () => router.stop());
  console.log(`The supergraph is served on ${url}/graphql; live updates come as server-sent events.`);
  if (liveMode === 'http-callback') {
    console.log(`The gateway delivers them when it runs with SUBSCRIPTION_CALLBACK_ALLOWLIST=${url}${CALLBACK_PATH}`);
  }
});

/** @throws OneLineError when it has not answered within the limit */
async function untilSdlOf(url: string): Promise<string> {
  const giveUpAt = performance.now() + READY_LIMIT_MS;
  for (;;) {
    try {
      return await sdlOf(url);
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      await pause(POLL_MS);
    }
  }
}

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
  throw new OneLineError(`The subgraph does not answer at ${url}: start the users stand-in with npm start.`);
}
