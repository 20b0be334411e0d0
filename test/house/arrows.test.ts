import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What each layer may import besides itself; everything not named is an arrow against the flow. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  ports: ['domain'],
  entities: ['domain'],
  store: ['entities', 'domain', 'ports', 'platform'],
  usecases: ['domain', 'ports', 'store', 'platform'],
  providers: ['ports', 'domain', 'platform'],
  resolvers: ['usecases', 'store', 'domain', 'ports', 'platform'],
  subscriptions: ['store', 'resolvers', 'domain', 'ports', 'platform'],
  graphql: ['resolvers', 'subscriptions', 'usecases', 'domain', 'ports', 'platform'],
  http: ['usecases', 'ports', 'platform'],
  worker: ['usecases', 'ports', 'platform'],
  platform: [],
  main: [
    'domain',
    'ports',
    'entities',
    'store',
    'usecases',
    'providers',
    'resolvers',
    'subscriptions',
    'graphql',
    'http',
    'worker',
    'platform',
  ],
  sandbox: ['platform'],
  chaos: ['store', 'domain', 'platform'],
  simulate: ['chaos', 'worker', 'usecases', 'store', 'domain', 'ports', 'platform'],
  tools: ['main', 'graphql', 'chaos', 'simulate', 'usecases', 'store', 'domain', 'ports', 'platform'],
};
const LAYERS = Object.keys(MAY_IMPORT);
/** Layers whose time and chance come in from outside. */
const TIMELESS = LAYERS.filter((layer) => !['platform', 'main', 'sandbox', 'chaos', 'tools'].includes(layer));

interface Finding {
  code: string;
  filename: string;
}

/** Lints one file for each name and answers which rules were broken in which file. */
function lint(files: Map<string, string>): Set<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'arrows-'));
  try {
    copyFileSync('.oxlintrc.json', path.join(folder, '.oxlintrc.json'));
    for (const [name, text] of files) {
      mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
      writeFileSync(path.join(folder, name), text);
    }
    const run = spawnSync(path.resolve('node_modules/.bin/oxlint'), ['--format', 'json', '.'], { cwd: folder, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(run.stdout) as { diagnostics: Finding[] };
    return new Set(diagnostics.map(({ code, filename }) => `${filename}: ${/\(([^)]*)\)/.exec(code)?.[1] ?? code}`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('each forbidden arrow between two layers is reported, from a file at the top and from one below; no allowed one is', () => {
  const files = new Map<string, string>();
  const expected = new Set<string>();
  for (const from of LAYERS) {
    for (const to of LAYERS.filter((layer) => layer !== from)) {
      for (const [place, up] of [
        [`src/${from}/to-${to}.ts`, '../'],
        [`src/${from}/below/to-${to}.ts`, '../../'],
      ] as const) {
        files.set(place, `import { thing } from '${up}${to}/thing.js';\n\nthing();\n`);
        if (!MAY_IMPORT[from]?.includes(to)) expected.add(`${place}: no-restricted-imports`);
      }
    }
  }
  expect([...lint(files)].toSorted()).toEqual([...expected].toSorted());
});

test.each([
  ['src/domain/a.ts', 'node:crypto'],
  ['src/domain/a.ts', 'zod'],
  ['src/ports/a.ts', 'pg'],
  ['src/entities/a.ts', 'pg'],
  ['src/store/a.ts', 'stripe'],
  ['src/usecases/a.ts', 'stripe'],
  ['src/usecases/a.ts', 'typeorm'],
  ['src/resolvers/a.ts', 'pg'],
  ['src/http/a.ts', 'pg'],
  ['src/worker/a.ts', 'stripe'],
])('%s may not use the package %s', (file, name) => {
  expect([...lint(new Map([[file, `import { thing } from '${name}';\n\nthing();\n`]]))]).toEqual([
    `${file}: no-restricted-imports`,
  ]);
});

test('the clock and chance of the machine are reported in every layer that gets them from outside, and nowhere else', () => {
  const found = lint(
    new Map(LAYERS.map((layer) => [`src/${layer}/time.ts`, 'export const a = () => Date.now() + Math.random();\n'])),
  );
  expect([...found].toSorted()).toEqual(TIMELESS.map((layer) => `src/${layer}/time.ts: no-restricted-properties`).toSorted());
});

test('a cycle, any, a non-null assertion, a silenced error and a note to self are reported', () => {
  const found = lint(
    new Map([
      ['src/platform/a.ts', "import { b } from './b.js';\n\nexport const a = (): unknown => b;\n"],
      ['src/platform/b.ts', "import { a } from './a.js';\n\nexport const b = (): unknown => a;\n"],
      ['src/platform/c.ts', 'export const c = (x: any): unknown => x;\n'],
      ['src/platform/d.ts', 'export const d = (x: string | null): string => x!;\n'],
      ['src/platform/e.ts', '// @ts-ignore\nexport const e = 1;\n'],
      ['src/platform/f.ts', `// ${'TO'}DO later\nexport const f = 1;\n`],
    ]),
  );
  for (const expected of [
    'src/platform/a.ts: no-cycle',
    'src/platform/c.ts: no-explicit-any',
    'src/platform/d.ts: no-non-null-assertion',
    'src/platform/e.ts: ban-ts-comment',
    'src/platform/f.ts: no-warning-comments',
  ]) {
    expect([...found]).toContain(expected);
  }
});
