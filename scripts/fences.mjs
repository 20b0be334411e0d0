// `npm run fences`: takes each fence of test/crash/fences.ts away in turn, in a copy of the tree, and demands that a test goes red.
// What it finds is written to docs/fences.md. Exit 1 if a fence can be taken away unnoticed.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { transformFileSync } from '@swc/core';
import { Command, InvalidArgumentError } from 'commander';
import { FENCES } from '../test/crash/fences.ts';

const TABLE = 'docs/fences.md';
const COPIED = [
  'src',
  'migrations',
  'test',
  'bench',
  'data',
  'schema',
  'package.json',
  'jest.config.js',
  '.swcrc',
  'tsconfig.json',
  'tsconfig.build.json',
];
/** Who is asked when a fence's own test file notices nothing. */
const EVERYBODY = ['test/crash', 'test/usecases', 'test/store', 'test/domain'];
/** A run that takes longer hangs. */
const LIMIT_MS = 15 * 60_000;
/** A test that is only slow shows nothing: it is given more time than usual. */
const TEST_LIMIT_MS = 180_000;
/** What a test says when it has noticed something; a mistake in the change itself, or a machine that is too busy, says something else. */
const VERDICT = /expect\(|InvariantBroken|duplicate key|violates/;

/** Where the copies are; null before there are any. */
let folder = null;
const running = new Set();

const command = new Command('npm run fences --')
  .description('Takes each fence against double charges away in turn and demands that a test goes red.')
  .option('--only <ids>', 'only these fences, by comma; a name with * stands for several', (text) => text.split(','))
  .option('--jobs <n>', 'how many at a time', wholeNumber, 2)
  .option('--list', 'list the fences and end')
  .addHelpText('after', `\nThe fences stand in test/crash/fences.ts; what was found is written to ${TABLE}.`);
command.parse();
const options = command.opts();

const chosen = options.only ? FENCES.filter(({ id }) => options.only.some((asked) => matches(asked, id))) : [...FENCES];
const unknown = (options.only ?? []).filter((asked) => !FENCES.some(({ id }) => matches(asked, id)));
if (unknown.length > 0) fail(`There is no fence ${unknown.join(', ')}. \`npm run fences -- --list\` names them all.`);
if (options.list) {
  const width = Math.max(...chosen.map(({ id }) => id.length));
  for (const { id, stops } of chosen) console.log(`${id.padEnd(width)}  stops ${stops}`);
  process.exit(0);
}
const misplaced = chosen.flatMap(({ id, edits }) => edits.flatMap((edit) => misplacedIn(id, edit)));
if (misplaced.length > 0) fail(`${misplaced.join('\n')}\nBring test/crash/fences.ts up to date with the code.`);

folder = mkdtempSync(path.join(tmpdir(), 'fences-'));
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    isStopping = true;
    running.forEach(killGroup);
    end();
    process.exit(1);
  });
}

const HEAD = `# Fences

Each of these stops one kind of double charge, lost charge or wrong book. \`npm run fences\` takes them away one at a time, in a copy of the
tree, and demands that a test goes red; this table is what it found (a run of some, with \`--only\`, renews their rows). A fence that can be
taken away unnoticed is a missing test, or is not needed. The list, with the exact change that takes each away:
[test/crash/fences.ts](../test/crash/fences.ts). Why they are there: [money](money.md#why-there-is-no-double-charge).

| fence | stops | stands in | caught by |
| --- | --- | --- | --- |
`;
const startedAt = performance.now();
const trees = Array.from({ length: Math.min(options.jobs, chosen.length) }, (_, at) => copyTree(`tree-${at + 1}`));
try {
  await baseline();
  const results = await takeAwayEach();
  report(results);
} finally {
  end();
}

/** All tests that will be asked must be green while nothing is taken away. */
async function baseline() {
  const files = [...new Set(chosen.map(({ killer }) => killer))];
  say(`with every fence: ${files.length} test files`);
  const { isGreen, output, failures } = await runTests(trees[0], files, []);
  if (isGreen) return;
  console.error(output.trimEnd().split('\n').slice(-60).join('\n'));
  fail(`With every fence in place ${failures.length} tests are red: nothing can be learned by taking one away.`);
}

async function takeAwayEach() {
  const waiting = chosen.map((fence, at) => ({ fence, at }));
  const results = [];
  const work = async (tree) => {
    for (let next = waiting.shift(); next && !isStopping; next = waiting.shift()) {
      const began = performance.now();
      const result = await takeAway(tree, next.fence);
      results[next.at] = result;
      const done = results.filter(Boolean).length;
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      const left = results.filter((one) => one && one.kind !== 'caught').length;
      progress(
        done,
        left,
        `${result.kind.padEnd(9)} ${next.fence.id}  ${result.file ?? ''} ${result.title ?? ''} (${seconds} s)`,
      );
    }
  };
  await Promise.all(trees.map(work));
  return results;
}

/** Takes one fence away in a tree, asks, and puts it back. */
async function takeAway(tree, fence) {
  const files = [...new Set(fence.edits.map(({ file }) => file))];
  const originals = new Map(files.map((file) => [file, readFileSync(path.join(tree, file), 'utf8')]));
  try {
    for (const { file, find, replace } of fence.edits) {
      const text = readFileSync(path.join(tree, file), 'utf8');
      write(
        tree,
        file,
        text.replace(find, () => replace),
      );
    }
    const own = await runTests(tree, [fence.killer], ['--runInBand']);
    const all = own.isGreen ? await runTests(tree, EVERYBODY, ['--maxWorkers=1']) : own;
    if (all.isGreen) return { fence, kind: 'UNNOTICED' };
    const first = all.failures.find(({ message }) => VERDICT.test(message));
    // Red without a verdict: the change itself does not run, and shows nothing.
    if (!first) return { fence, kind: 'BROKEN', output: all.failures[0]?.message ?? all.output };
    return { fence, kind: 'caught', file: first.file, title: first.title };
  } finally {
    for (const [file, text] of originals) write(tree, file, text);
  }
}

/** Writes a source of a tree, and what is made of it. What a change does to the types is of no interest here. */
function write(tree, file, text) {
  const source = path.join(tree, file);
  writeFileSync(source, text);
  const { code } = transformFileSync(source, { cwd: tree, swcrc: true, configFile: path.join(tree, '.swcrc') });
  writeFileSync(path.join(tree, 'dist', file.replace(/\.ts$/, '.js')), code);
}

/** Runs test files in a tree with jest; failed tests in the order of files and of the tests in them. */
async function runTests(tree, files, more) {
  const account = path.join(tree, 'jest.json');
  rmSync(account, { force: true });
  const jest = [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${account}`,
  ];
  const own = [`--cacheDirectory=${path.join(tree, '.jest')}`, `--testTimeout=${TEST_LIMIT_MS}`];
  const output = await run(tree, process.execPath, [...jest, ...own, ...more, ...files]);
  if (!existsSync(account)) return { isGreen: false, output, failures: [] };
  const { success, testResults } = JSON.parse(readFileSync(account, 'utf8'));
  const failures = testResults.flatMap(({ name, message, assertionResults }) => {
    const file = path.relative(tree, name).split(path.sep).join('/');
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    if (assertionResults.length === 0) return message ? [{ file, title: '', message }] : [];
    return failed.map(({ title, failureMessages }) => ({ file, title, message: failureMessages.join('\n') }));
  });
  return { isGreen: success, output, failures };
}

/** Runs a program to its end, in a process group of its own, so that one that hangs goes with all that it started. */
function run(cwd, program, args) {
  return new Promise((resolve) => {
    const env = {
      ...process.env,
      TEST_DIST_IS_BUILT: '1',
      PATH: `${path.resolve('node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
    };
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    running.add(child);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const limit = setTimeout(() => killGroup(child), LIMIT_MS);
    child.on('error', (error) => (output += String(error)));
    child.on('close', () => {
      clearTimeout(limit);
      running.delete(child);
      resolve(output);
    });
  });
}

function killGroup(child) {
  if (child.pid && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
}

/** A copy of what the tests need; the packages are shared. */
function copyTree(name) {
  const tree = path.join(folder, name);
  for (const entry of COPIED) cpSync(entry, path.join(tree, entry), { recursive: true });
  symlinkSync(path.resolve('node_modules'), path.join(tree, 'node_modules'));
  const built = spawnSync(path.resolve('node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: tree, encoding: 'utf8' });
  if (built.status !== 0) fail(`The tree does not build:\n${built.stdout}${built.stderr}`);
  return tree;
}

function report(results) {
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  const bad = results.filter(({ kind }) => kind !== 'caught');
  for (const { fence, kind, output } of bad) {
    console.error(`\n${kind} ${fence.id}: stops ${fence.stops}`);
    for (const { file } of fence.edits) console.error(`  ${file}`);
    if (output) console.error(output.trimEnd().split('\n').slice(0, 20).join('\n'));
  }
  console.log(`${results.length - bad.length} of ${results.length} fences caught in ${minutes} min.`);
  if (bad.length > 0) {
    console.error(
      'A fence that can be taken away unnoticed is a missing test, or is not needed: write the one or remove the other.',
    );
    process.exitCode = 1;
  }
  writeTable(results);
}

/** The table of all fences: those of this run as it found them, the others as they stand there. */
function writeTable(results) {
  const before = existsSync(TABLE) ? readFileSync(TABLE, 'utf8').split('\n') : [];
  const rows = FENCES.flatMap(({ id }) => {
    const found = results.find(({ fence }) => fence.id === id);
    if (found) return found.kind === 'caught' ? [rowOf(found)] : [];
    return before.filter((line) => line.startsWith(`| \`${id}\` `));
  });
  writeFileSync(TABLE, `${HEAD}${rows.join('\n')}\n`);
  spawnSync(path.resolve('node_modules/.bin/oxfmt'), [TABLE]);
  console.log(`${TABLE} has ${rows.length} of ${FENCES.length} fences.`);
}

function rowOf({ fence: { id, stops, edits }, file, title }) {
  const files = [...new Set(edits.map((edit) => edit.file))].map((name) => `[${path.basename(name)}](../${name})`);
  return `| ${[`\`${id}\``, stops, files.join(', '), `\`${file}\`: ${title}`].map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
}

function misplacedIn(id, { file, find, replace }) {
  const count = existsSync(file) ? readFileSync(file, 'utf8').split(find).length - 1 : 0;
  if (count === 1 && find !== replace) return [];
  return [`${id}: its text stands ${count} times in ${file}, not once:\n    ${find.split('\n').join('\n    ')}`];
}

function matches(asked, id) {
  return asked.endsWith('*') ? id.startsWith(asked.slice(0, -1)) : asked === id;
}

function wholeNumber(text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('A whole number above 0, e.g. 2.');
  return number;
}

/** A bar on a terminal; elsewhere one line for each fence. */
function progress(done, bad, line) {
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  if (!process.stdout.isTTY) {
    console.log(`${String(done).padStart(3)}/${chosen.length}  ${bad} not caught  ${minutes} min  ${line}`);
    return;
  }
  const filled = Math.round((30 * done) / chosen.length);
  process.stdout.write(
    `\r\x1b[K${line}\n[${'#'.repeat(filled)}${'.'.repeat(30 - filled)}] ${done}/${chosen.length}, ${bad} not caught, ${minutes} min`,
  );
  if (done === chosen.length) process.stdout.write('\n');
}

function say(text) {
  console.log(text);
}

function fail(text) {
  console.error(text);
  end();
  process.exit(1);
}

function end() {
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
}
