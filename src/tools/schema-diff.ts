import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { findSchemaChanges, findUnallowed, readSdl, type AllowedBreak } from '../graphql/schema-changes.js';
import { fail } from '../platform/run-process.js';

const PRESENT = 'schema/schema.graphql';
const RELEASED = 'schema/released.graphql';
const ALLOWED = 'schema/allowed-breaks.json';

const program = new Command('schema:diff')
  .description(
    'Tells what has changed in the contract since the last release, and ends with 1 when that breaks clients unallowed.',
  )
  .option('--release', 'takes the present contract for the released one, and empties the list of allowed breaks')
  .action(async ({ release }: { release?: true }) => {
    const [released, present] = [await readFile(RELEASED, 'utf8'), await readFile(PRESENT, 'utf8')];
    const changes = findSchemaChanges(readSdl(released), readSdl(present));
    const width = Math.max(0, ...changes.map(({ kind }) => kind.length));
    for (const { kind, change, isBreaking } of changes) {
      console.log(`${isBreaking ? 'breaks' : 'adds  '}  ${kind.padEnd(width)}  ${change}`);
    }
    if (changes.length === 0) console.log('Nothing that a client could notice has changed, but for additions.');
    // The file's form is checked by the test of the change rules.
    const unallowed = findUnallowed(changes, JSON.parse(await readFile(ALLOWED, 'utf8')) as AllowedBreak[]);
    for (const line of unallowed) console.log(line);
    if (unallowed.length > 0) {
      console.log(`Keep the old form beside the new one, or write into ${ALLOWED} what breaks, when that was decided, and why.`);
      process.exitCode = 1;
    } else if (release) {
      await copyFile(PRESENT, RELEASED);
      await writeFile(ALLOWED, '[]\n');
      console.log(`${RELEASED} is the present contract now.`);
    }
  });

program.parseAsync().catch(fail);
