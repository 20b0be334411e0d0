import { runProcess } from '../../platform/run-process.js';
import { readSettings } from '../../platform/settings.js';
import { startPostsStandIn } from './server.js';

runProcess(async (shutdown) => {
  const standIn = await startPostsStandIn({ port: readSettings(process.env).postsPort });
  shutdown.add('posts stand-in', () => standIn.stop());
  console.log(`The posts stand-in is listening on ${standIn.url}/graphql`);
});
