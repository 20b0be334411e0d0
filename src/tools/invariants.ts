import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { fail } from '../platform/run-process.js';
import { loadDotEnv } from '../platform/settings.js';
import { checkInvariants, parseInvariants, type InvariantResult } from '../store/invariants.js';
import { withConnection } from './with-connection.js';

/** The queries; npm starts commands in the package's own folder. */
const FILE = 'data/invariants.sql';

const program = new Command('invariants')
  .description('Runs the invariants over the database and prints a table of violations. Exits with 1 on any.')
  .action(async () => {
    const invariants = parseInvariants(await readFile(FILE, 'utf8'));
    const results = await withConnection(async ({ client, now }) => {
      await client.query('begin isolation level repeatable read read only');
      return await checkInvariants(client, invariants, now);
    });
    print(results, new Map(invariants.map(({ name, sentence }) => [name, sentence])));
    if (results.some((result) => result.kind === 'checked' && result.violations > 0)) process.exitCode = 1;
  });

function print(results: readonly InvariantResult[], sentences: ReadonlyMap<string, string>): void {
  const checked = results.filter((result) => result.kind === 'checked');
  const width = Math.max(...results.map((result) => result.name.length));
  console.log(`${'invariant'.padEnd(width)}  violations`);
  for (const { name, violations, examples } of checked) {
    console.log(`${name.padEnd(width)}  ${String(violations).padStart(10)}`);
    if (violations > 0) console.log([sentences.get(name), ...examples].map((line) => `    ${line}`).join('\n'));
  }
  const skipped = results.filter((result) => result.kind === 'no_table').map((result) => result.name);
  if (skipped.length > 0) console.log(`Not checked, their tables are not in this release: ${skipped.join(', ')}.`);
}

loadDotEnv();
program.parseAsync().catch(fail);
