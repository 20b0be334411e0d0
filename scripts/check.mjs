// `npm run check`: everything that CI asks, one line for each check; details only of what failed.
// --report FILE also writes jest's own account of the tests there (for .ci/run).
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A check that takes longer hangs. The tests have most to do. */
const LIMIT_MS = 15 * 60_000;
const TAIL_LINES = 200;
const SCHEMA = 'schema/schema.graphql';
const DOCUMENTS = 'schema/persisted-documents.json';

const folder = mkdtempSync(path.join(tmpdir(), 'check-'));
const flag = process.argv.indexOf('--report');
const report = flag < 0 ? path.join(folder, 'jest.json') : path.resolve(process.argv[flag + 1] ?? '');
process.env.PATH = `${path.resolve('node_modules/.bin')}${path.delimiter}${process.env.PATH}`;
const bin = (name, ...args) => ({ command: path.resolve('node_modules/.bin', name), args });
// The Node that comes with the project, whichever one this is.
const ownNode = path.resolve('node_modules/.bin/node');
const node = (...args) => ({ command: existsSync(ownNode) ? ownNode : process.execPath, args });

// In the order of what they cost; the later ones use what the earlier ones made.
const checks = [
  { name: 'format', run: () => output(bin('oxfmt', '--check', '.')) },
  { name: 'build', run: () => output(bin('tsc', '-p', 'tsconfig.build.json')) },
  { name: 'schema', run: () => unchanged(SCHEMA, node('dist/src/tools/print-schema.js')) },
  // The tests' types stand on the documents that are generated here.
  { name: 'codegen', run: () => output(bin('graphql-codegen', '--config', 'codegen.yml', '--silent')) },
  { name: 'trusted', run: () => unchanged(DOCUMENTS, node('scripts/keep-documents.mjs')) },
  { name: 'types', run: () => output(bin('tsc', '-p', 'tsconfig.json', '--noEmit')) },
  { name: 'lint', run: () => output(bin('oxlint', '--type-aware')) },
  { name: 'unused', run: () => output(bin('knip', '--no-progress')) },
  { name: 'tests', run: tests },
];

let current = null;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    killGroup(current);
    process.exit(1);
  });
}

let failed = 0;
for (const { name, run } of checks) {
  const startedAt = performance.now();
  const { isGood, text, note = '' } = await run();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  console.log(`${isGood ? 'ok    ' : 'FAILED'} ${name.padEnd(8)} ${seconds} s  ${note}`.trimEnd());
  if (isGood) continue;
  failed++;
  console.log(text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n'));
}
rmSync(folder, { recursive: true, force: true });
console.log(failed === 0 ? 'All checks passed.' : `${failed} of ${checks.length} checks failed.`);
process.exit(failed === 0 ? 0 : 1);

/** Runs a program to its end. In a process group of its own, so that one that hangs goes with all that it started. */
function output({ command, args }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    current = child;
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.stderr.on('data', (chunk) => (text += chunk));
    const limit = setTimeout(() => {
      text += `\nStopped after ${LIMIT_MS / 60_000} minutes.\n`;
      killGroup(child);
    }, LIMIT_MS);
    child.on('error', (error) => (text += String(error)));
    child.on('close', (code) => {
      clearTimeout(limit);
      resolve({ isGood: code === 0, text });
    });
  });
}

function killGroup(child) {
  if (child?.pid && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL');
}

/** What is under version control is what the command makes; the new one stays in place for the difference to be reviewed. */
async function unchanged(file, command) {
  const before = read(file);
  const made = await output(command);
  if (!made.isGood) return made;
  const isGood = before !== null && before === read(file);
  return { isGood, text: isGood ? '' : `${file} was out of date and has been made anew: review the difference and commit it.` };
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

async function tests() {
  const jest = [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${report}`,
  ];
  const { isGood, text } = await output(node(...jest));
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(readFileSync(report, 'utf8'));
    const broken = numRuntimeErrorTestSuites > 0 ? `, ${numRuntimeErrorTestSuites} files did not run` : '';
    return { isGood, text, note: `${numPassedTests} passed, ${numFailedTests} failed${broken}` };
  } catch {
    return { isGood: false, text };
  }
}
