/** `npm run bench -- <name>`: runs one bench and keeps what it found, with the machine it ran on. */
import { Command, InvalidArgumentError } from 'commander';
import { fail } from '../src/platform/run-process.js';
import { attacks } from './attacks.js';
import type { Bench } from './bench.js';
import { fuzz } from './fuzz.js';
import { live } from './live.js';
import { overload } from './overload.js';
import { reads } from './reads.js';
import { keepResult, printResult } from './result.js';
import { renewalsKilled } from './renewals-killed.js';
import { renewalsFloor } from './renewals-floor.js';
import { renewals } from './renewals.js';
import { storm } from './storm.js';

const BENCHES: readonly Bench[] = [reads, live, renewals, renewalsFloor, renewalsKilled, storm, overload, attacks, fuzz];

const program = new Command('bench').description('Runs one bench, prints its ratios and keeps them in bench/results/.');
for (const bench of BENCHES) {
  const { of, usual } = bench.size;
  const { also = [] } = bench;
  const command = program
    .command(bench.name)
    .description(bench.question)
    .option(`--${of} <count>`, `how many ${of}; the result of any other number is printed and not kept`, parseCount, usual);
  for (const one of also) command.option(`--${one.of} <count>`, `how many ${one.of}; the same`, parseCount, one.usual);
  command.action(async (options: Record<string, number>) => {
    const size = options[of] ?? usual;
    const further = also.map((one) => options[camelCase(one.of)] ?? one.usual);
    const found = await bench.run(size, (line) => console.error(line), further);
    printResult(bench, found);
    if (size === usual && also.every((one, at) => further[at] === one.usual)) await keepResult(bench, found, new Date());
    if (found.bounds.some(({ holds }) => !holds)) process.exitCode = 1;
  });
}

/** As commander names the option. */
function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('A whole number above 0, please.');
  return count;
}

program.parseAsync().catch(fail);
