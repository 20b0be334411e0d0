import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startChild, Supervised } from '../../src/platform/supervised.js';
import { eventually } from '../support/eventually.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'supervised-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program that notes its process id, and on SIGTERM or when its parent goes notes why it ends. */
function program(name: string): { file: string; pids: () => number[]; end: () => string | null } {
  const [file, pids, end] = ['mjs', 'pids', 'end'].map((extension) => path.join(folder, `${name}.${extension}`)) as [
    string,
    string,
    string,
  ];
  writeFileSync(
    file,
    `import { appendFileSync } from 'node:fs';
     const end = (why) => { appendFileSync(${JSON.stringify(end)}, why); process.exit(0); };
     process.on('SIGTERM', () => end('SIGTERM'));
     process.on('disconnect', () => end('disconnect'));
     appendFileSync(${JSON.stringify(pids)}, process.pid + '\\n');`,
  );
  return {
    file,
    pids: () => (existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n').map(Number) : []),
    end: () => (existsSync(end) ? readFileSync(end, 'utf8') : null),
  };
}

test('a child that is killed is started again, with one line about it, until it is stopped', async () => {
  const { file, pids, end } = program('killed');
  const lines: string[] = [];
  const child = new Supervised({
    name: 'child',
    start: async () => startChild(file, process.env),
    tell: (line) => lines.push(line),
  });
  await child.start();
  const first = await eventually(() => {
    const [pid] = pids();
    if (!pid) throw new Error('it has not started yet');
    return pid;
  });
  process.kill(first, 'SIGKILL');
  await eventually(() => expect(pids()).toHaveLength(2));
  expect(lines).toEqual(['child ended (signal SIGKILL); starting it again in 1 s.']);
  await child.stop();
  expect(end()).toBe('SIGTERM');
  expect(pids()).toHaveLength(2);
});

test('what fails again and again is started with growing pauses, and a stop does not wait for the next one', async () => {
  const lines: string[] = [];
  let starts = 0;
  const start = async () => {
    starts++;
    if (starts > 1) throw new Error('the port is taken');
    return { ended: Promise.resolve('exit code 1'), stop: async () => undefined };
  };
  const child = new Supervised({ name: 'child', start, tell: (line) => lines.push(line) });
  await child.start();
  await eventually(() => expect(lines).toHaveLength(3));
  expect(lines).toEqual([
    'child ended (exit code 1); starting it again in 1 s.',
    'child: the port is taken',
    'child ended (it did not start); starting it again in 2 s.',
  ]);
  await child.stop();
  expect(starts).toBe(2);
});

test('a child ends when its parent is killed', async () => {
  const { file, pids, end } = program('orphan');
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { startChild } = await import('./dist/src/platform/supervised.js'); startChild(${JSON.stringify(file)}, process.env);`,
    ],
    { stdio: 'ignore' },
  );
  await eventually(() => expect(pids()).toHaveLength(1));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await eventually(() => expect(end()).toBe('disconnect'));
});
