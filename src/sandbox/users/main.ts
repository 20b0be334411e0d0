import { SystemClock } from '../../platform/clock.js';
import { runProcess } from '../../platform/run-process.js';
import { readSettings } from '../../platform/settings.js';
import { TokenVerifier } from '../../platform/tokens.js';
import { startUsersStandIn } from './server.js';

runProcess(async (shutdown) => {
  const { auth, usersPort } = readSettings(process.env);
  const standIn = await startUsersStandIn({ port: usersPort, tokens: new TokenVerifier(auth, new SystemClock()) });
  shutdown.add('users stand-in', () => standIn.stop());
  console.log(`The users stand-in is listening on ${standIn.url}/graphql`);
});
