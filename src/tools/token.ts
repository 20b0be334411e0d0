/** `npm run -s token -- --user ana --scope support,finance --ttl 1h` prints one token of the sandbox's issuer and nothing else. */
import { Command, InvalidArgumentError } from 'commander';
import { OneLineError } from '../platform/one-line-error.js';
import { fail } from '../platform/run-process.js';
import { issueSandboxToken } from '../platform/sandbox-issuer.js';
import { loadDotEnv, readSettings, SANDBOX_ISSUER } from '../platform/settings.js';

const SECONDS = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
  ['d', 86_400],
]);

interface Options {
  user: string;
  scope: string[];
  country?: string;
  zone?: string;
  ttl: number;
}

/** Seconds of a duration such as 90s, 15m, 1h or 1d. */
function parseTtl(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = SECONDS.get(unit ?? '');
  if (!count || !seconds) throw new InvalidArgumentError('Say 90s, 15m, 1h or 1d.');
  return Number(count) * seconds;
}

const program = new Command('token')
  .description("Prints one token of the sandbox's issuer and nothing else. It is believed by a gateway with the same DATA_DIR.")
  .requiredOption('--user <id>', 'user id: 1 to 64 of A-Z, a-z, 0-9, "-" and "_"; the sandbox believes any')
  .option(
    '--scope <list>',
    'scopes with commas between: support, finance, ops, risk, audit, privacy, entitlements, or full names',
    (text) => text.split(',').filter(Boolean),
    [],
  )
  .option('--country <code>', 'where the user lives, which decides tax: ISO 3166-1 alpha-2, e.g. DE')
  .option('--zone <name>', 'the zone in which periods of the user begin: IANA, e.g. Europe/Berlin')
  .option('--ttl <duration>', 'life of the token, at most 24h: 90s, 15m, 1h, 1d', parseTtl, 3_600)
  .action(async ({ user, scope, country, zone, ttl }: Options) => {
    const { auth, dataDir } = readSettings(process.env);
    if (auth.issuer !== SANDBOX_ISSUER) {
      throw new OneLineError(
        `Tokens come from ${auth.issuer} (AUTH_ISSUER); this command makes only those of the sandbox's own issuer.`,
      );
    }
    const lives = { ...(country !== undefined && { country }), ...(zone !== undefined && { zone }) };
    console.log(await issueSandboxToken({ dataDir, userId: user, scopes: scope, ...lives, ttlSeconds: ttl, now: new Date() }));
  });

loadDotEnv();
program.parseAsync().catch(fail);
