import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Every file under version control or about to be, with its text. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter((name) => /\.(ts|mjs|js)$/.test(name) && existsSync(name))
  .map((name) => ({ name, text: readFileSync(name, 'utf8') }));
const sources = files.filter(({ name }) => name.startsWith('src/') || name.startsWith('migrations/'));

/** Files with the pattern, each with the line. */
function linesWith(pattern: RegExp, among = files): string[] {
  return among.flatMap(({ name, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${name}:${index + 1}: ${line.trim()}`] : [])),
  );
}

test('everything runs on the Node that comes with the project', () => {
  if (process.platform === 'linux') expect(process.versions.node).toMatch(/^24\.21\./);
  else expect(Number.parseInt(process.versions.node, 10)).toBeGreaterThanOrEqual(24);
});

test('nothing is left to do later', () => {
  expect(linesWith(new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'HA' + 'CK'].join('|')})\\b`))).toEqual([]);
});

test('no type is forced by a detour over unknown, and the compiler is never silenced', () => {
  const forced = new RegExp(['as unknown' + ' as', '@ts-' + '(ignore|expect-error|nocheck)'].join('|'));
  expect(linesWith(forced).filter((line) => !line.startsWith('test/house/'))).toEqual([]);
});

test('no file gathers what belongs elsewhere', () => {
  const banned = /^(index|utils?|helpers?|common|shared|misc|manager|processor)$/;
  expect(sources.map(({ name }) => name).filter((name) => banned.test(path.parse(name).name.split('.')[0] ?? ''))).toEqual([]);
});

test('file names are in kebab case', () => {
  expect(
    sources.map(({ name }) => name).filter((name) => !/^[a-z0-9/-]+(\.(entity|resolver|store|reads))?\.ts$/.test(name)),
  ).toEqual([]);
});

test('only the platform, processes, commands, stand-ins and the chaos run ask the machine for the time', () => {
  const timeless = sources.filter(({ name }) => !/^src\/(platform|main|tools|sandbox|chaos)\//.test(name));
  expect(linesWith(/\bnew Date\(\)/, timeless)).toEqual([]);
});

test('only the settings read the environment by name', () => {
  const others = sources.filter(({ name }) =>
    /^src\/(domain|ports|entities|store|usecases|providers|resolvers|subscriptions|graphql|http|worker)\//.test(name),
  );
  expect(linesWith(/\bprocess\.env\b/, others)).toEqual([]);
});

test('only the store writes SQL to the database', () => {
  const others = sources.filter(({ name }) =>
    /^src\/(domain|ports|usecases|providers|resolvers|subscriptions|graphql|http|worker)\//.test(name),
  );
  expect(linesWith(/\.query\(['"`](?!begin|commit|rollback)/, others)).toEqual([]);
});

test('no line of the product is kept for later in a comment that is code', () => {
  expect(linesWith(/^\s*\/\/\s*(const|let|import|return|await|if \()\b.*[;{]\s*$/, sources)).toEqual([]);
});
