/** Prints what a bench found and keeps it as JSON and as a page, with the machine described. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Bench, Figure, Finding } from './bench.js';

const FOLDER = 'bench/results';

/** Prints ratios, figures and bounds as tables. */
export function printResult(bench: Bench, found: Finding): void {
  console.log(`\n${bench.question}\n`);
  for (const figures of [found.ratios, found.figures]) {
    const width = Math.max(...figures.map(({ what }) => what.length));
    for (const figure of figures) console.log(`${figure.what.padEnd(width)}  ${shown(figure).padStart(14)}`);
    console.log('');
  }
  for (const { what, holds } of found.bounds) console.log(`${holds ? 'holds ' : 'BROKEN'}  ${what}`);
}

/** Writes bench/results/<name>.json and .md; npm starts commands in the package's own folder. */
export async function keepResult(bench: Bench, found: Finding, at: Date): Promise<void> {
  const machine = {
    at: at.toISOString(),
    commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
    cpu: `${os.cpus().length} x ${os.cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    hugePagesMiB: await hugePagesMib(),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    loadBefore15Min: os.loadavg()[2] ?? 0,
    loadNow: os.loadavg()[0] ?? 0,
  };
  await mkdir(FOLDER, { recursive: true });
  const file = path.join(FOLDER, bench.name);
  await writeFile(`${file}.json`, `${JSON.stringify({ bench: bench.name, machine, ...found }, null, 2)}\n`);
  await writeFile(`${file}.md`, pageOf(bench, found, machine));
  console.log(`\nKept in ${file}.md and ${file}.json.`);
}

/** What the machine has set aside as huge pages (docs/operations.md, Many customers); 0 where nobody can tell. */
async function hugePagesMib(): Promise<number> {
  const lines = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  return Math.round(Number(/^Hugetlb: +(\d+) kB$/m.exec(lines)?.[1] ?? 0) / 1_024);
}

function pageOf(bench: Bench, found: Finding, machine: Record<string, string | number>): string {
  const rows = (figures: readonly Figure[]): string[] => figures.map((figure) => `| ${figure.what} | ${shown(figure)} |`);
  return [
    `# ${bench.name}`,
    '',
    bench.question,
    '',
    '| ratio | value |',
    '| --- | --- |',
    ...rows(found.ratios),
    '',
    '| figure | value |',
    '| --- | --- |',
    ...rows(found.figures),
    '',
    ...found.bounds.map(({ what, holds }) => `- ${holds ? 'holds' : 'BROKEN'}: ${what}`),
    '',
    Object.entries(machine)
      .map(([name, value]) => `${name} ${typeof value === 'number' ? Number(value.toFixed(2)) : value}`)
      .join(' · '),
    '',
  ].join('\n');
}

function shown({ value, unit }: Figure): string {
  const digits = Number.isInteger(value) ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)}${unit === '/s' ? '/s' : unit && ` ${unit}`}`;
}
