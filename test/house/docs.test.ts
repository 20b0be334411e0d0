import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DISPUTE_MOVES } from '../../src/domain/dispute/dispute.js';
import { CONSENT_TEXT_VERSION } from '../../src/domain/consent/consent.js';
import { LEAST_RISE_DAYS, NOTICE_DAYS } from '../../src/domain/consent/notices.js';
import { MAX_GRANT_DAYS } from '../../src/domain/entitlement/grant.js';
import { INVOICE_MOVES } from '../../src/domain/invoice/invoice.js';
import { CHART } from '../../src/domain/ledger/chart.js';
import { ALLOWED_MOVEMENTS } from '../../src/domain/ledger/journals.js';
import { ATTEMPT_MOVES, INTENT_MOVES } from '../../src/domain/payment/attempt.js';
import { REFUND_MOVES } from '../../src/domain/refund/refund.js';
import { WITHDRAWAL_DAYS } from '../../src/domain/subscription/cancel.js';
import { CHANGE_PAYABLE_MS, MAX_PAID_CHANGES, QUOTE_HOLDS_MS } from '../../src/domain/subscription/change-tier.js';
import { INCOMPLETE_MS } from '../../src/domain/subscription/due.js';
import { CLAIMABLE_MONTHS, GIFT_MOVES, MAX_GIFT_PERIODS } from '../../src/domain/subscription/gift.js';
import { SLACK_MS, SUBSCRIPTION_MOVES } from '../../src/domain/subscription/subscription.js';
import { UNTOLD_TRIAL_DAYS } from '../../src/domain/subscription/trial.js';
import { cardOfToken, allTokens } from '../../src/sandbox/stripe/cards.js';
import { parseInvariants } from '../../src/store/invariants.js';
import { FENCES } from '../crash/fences.js';

const read = (name: string): string => readFileSync(name, 'utf8');
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter((name) => existsSync(name))
  .toSorted((a, b) => (a < b ? -1 : 1)); // Git names files not added yet first.
const documents = tracked.filter((name) => name.endsWith('.md')).map((name) => ({ name, text: read(name) }));
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** Body of the section under a heading, up to the next heading of whatever level. */
function sectionOf(file: string, heading: string): string {
  const [, after] = read(file).split(new RegExp(`^#+ ${heading}$`, 'm'));
  if (after === undefined) throw new Error(`${file} has no section "${heading}".`);
  return after.split(/^#+ /m)[0] ?? '';
}

/** Cells of the rows of the tables in a text, without heads and rulers. */
function rowsOf(text: string): string[][] {
  const lines = text.split('\n');
  return lines
    .filter((line, at) => line.startsWith('|') && !/^\|[-| ]+\|$/.test(line) && !/^\|[-| ]+\|$/.test(lines[at + 1] ?? ''))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** Texts between backticks. */
function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/** The id that a heading has on a page. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

test.each([
  ['Attempt', ATTEMPT_MOVES],
  ['Payment intent', INTENT_MOVES],
  ['Refund', REFUND_MOVES],
  ['Dispute', DISPUTE_MOVES],
  ['Subscription', SUBSCRIPTION_MOVES],
] as const)(
  'the states and moves in "%s" are those of the code',
  (heading, moves: Readonly<Record<string, readonly string[]>>) => {
    const told = rowsOf(sectionOf('docs/money.md', heading)).map(([from = '', to = '']) => [codesIn(from)[0], codesIn(to)]);
    expect(Object.fromEntries(told)).toEqual(moves);
  },
);

test.each([
  ['Invoice', INVOICE_MOVES],
  ['Gift', GIFT_MOVES],
] as const)(
  'the states and moves of "%s" in the life of a subscription are those of the code',
  (heading, moves: Readonly<Record<string, readonly string[]>>) => {
    const rows = rowsOf(sectionOf('docs/lifecycle.md', heading)).filter(([from = '']) => codesIn(from).length > 0);
    expect(Object.fromEntries(rows.map(([from = '', to = '']) => [codesIn(from)[0], codesIn(to)]))).toEqual(moves);
  },
);

test('the figures in the life of a subscription are those of the code', () => {
  const told = rowsOf(sectionOf('docs/lifecycle.md', 'Figures')).map(([name = '', value]) => [codesIn(name)[0], Number(value)]);
  expect(Object.fromEntries(told)).toEqual({
    MAX_PAID_CHANGES,
    QUOTE_HOLDS_MS,
    CHANGE_PAYABLE_MS,
    INCOMPLETE_MS,
    SLACK_MS,
    UNTOLD_TRIAL_DAYS,
    WITHDRAWAL_DAYS,
    MAX_GIFT_PERIODS,
    CLAIMABLE_MONTHS,
    MAX_GRANT_DAYS,
    LEAST_RISE_DAYS,
  });
});

test('the version of the words that users agree to is that of the code', () => {
  expect(sectionOf('docs/lifecycle.md', 'Consent')).toContain(`> ${CONSENT_TEXT_VERSION}: `);
});

test('the days of notice in the life of a subscription are those of the code', () => {
  const told = rowsOf(sectionOf('docs/lifecycle.md', 'Notices')).map(([, days = '']) => days);
  const before = (days: readonly number[]): string => `${days.join(' and ')} days before`;
  for (const days of Object.values(NOTICE_DAYS)) expect(told.some((text) => text.startsWith(before(days)))).toBe(true);
});

test('the chart of accounts in the documents is that of the code', () => {
  const told = rowsOf(sectionOf('docs/money.md', 'Chart of accounts')).map(([code = '', number, accountClass, kept]) => [
    codesIn(code)[0],
    { number: Number(number), class: accountClass, isPerProvider: kept === 'yes' },
  ]);
  expect(Object.fromEntries(told)).toEqual(CHART);
});

test('the postings in the documents are those of the code, in its order', () => {
  const told = rowsOf(sectionOf('docs/money.md', 'Postings')).map((cells) => cells.map((cell) => codesIn(cell)[0]));
  const allowed = Object.entries(ALLOWED_MOVEMENTS).flatMap(([event, pairs]) => pairs.map((pair) => [event, ...pair]));
  expect(told).toEqual(allowed);
});

test('the invariants in the documents are those that are run, with their sentences', () => {
  const told = rowsOf(sectionOf('docs/money.md', 'Invariants')).map(([name = '', sentence]) => [codesIn(name)[0], sentence]);
  expect(told).toEqual(parseInvariants(read('data/invariants.sql')).map(({ name, sentence }) => [name, sentence]));
});

test('every fence in the documents is an index of the tables, and no fence is left out', () => {
  const lines = read('migrations/0001-main.ts').split('\n');
  const told = rowsOf(sectionOf('docs/money.md', 'Why there is no double charge')).flatMap(([fence, , heldBy = '']) =>
    codesIn(heldBy)
      .filter((name) => /^(invoice|payment|refund|subscription)_/.test(name))
      .map((name) => `fence ${fence}: ${name}`),
  );
  const made = lines.flatMap((line) => {
    const [, name] = /^create unique index (\w+)/.exec(line) ?? [];
    const [fence] = /fence \d/.exec(line) ?? [];
    return name && fence ? [`${fence}: ${name}`] : [];
  });
  expect(told.toSorted()).toEqual(made.toSorted());
});

test('every fence stands in the code exactly as its removal expects it, and in the table with what it stops and a test that notices', () => {
  const misplaced = FENCES.flatMap(({ id, edits }) =>
    edits
      .filter(({ file, find, replace }) => read(file).split(find).length !== 2 || find === replace)
      .map(({ file, find }) => ({ id, file, find })),
  );
  expect(misplaced).toEqual([]);
  const told = rowsOf(read('docs/fences.md')).map(([id = '', stops]) => [codesIn(id)[0], stops]);
  expect(told).toEqual(FENCES.map(({ id, stops }) => [id, stops]));
  const noticing = rowsOf(read('docs/fences.md')).map(([, , , caughtBy = '']) => codesIn(caughtBy)[0] ?? '');
  expect(noticing.filter((file) => !existsSync(file))).toEqual([]);
});

test('every setting that the code reads is documented, and no other', () => {
  const tables = documents.find(({ name }) => name === 'docs/settings.md')?.text ?? '';
  const told = rowsOf(tables).flatMap(([name = '']) => codesIn(name));
  const names = [...read('src/platform/settings.ts').matchAll(/'([A-Z]{3,}(?:_[A-Z]+)*)'/g)].map(([, name = '']) => name);
  expect(told.toSorted()).toEqual([...new Set(names)].toSorted());
});

test('every metric that the code registers is documented, and no other', () => {
  const sources = tracked.filter((name) => /^src\/.*\.ts$/.test(name)).map(read);
  const registered = sources
    .filter((text) => text.includes("from 'prom-client'"))
    .flatMap((text) => [...text.matchAll(/(?:\bname: |\b(?:counter|gauge|histogram)\()'([a-z]+(?:_[a-z]+)+)'/g)])
    .map(([, name]) => name);
  const told = rowsOf(sectionOf('docs/operations.md', 'Metrics')).flatMap(([name = '']) => codesIn(name));
  expect(new Set(told)).toEqual(new Set(registered));
});

test('every test card of the documents exists, and every one that exists is documented', () => {
  const told = documents.flatMap(({ text }) => [...text.matchAll(/\bpm_card_\w+/g)].map(([token]) => token));
  expect(told.filter((token) => cardOfToken(token) === null)).toEqual([]);
  const named = new Set(told.map((token) => cardOfToken(token)?.name));
  const isOfCountry = (token: string): boolean => /^pm_card_[a-z]{2}$/.test(token);
  expect(allTokens().filter((token) => !isOfCountry(token) && !named.has(cardOfToken(token)?.name))).toEqual([]);
});

test('every link within the documents leads somewhere', () => {
  const broken = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? name : path.join(path.dirname(name), file);
        if (!existsSync(target)) return true;
        if (anchor === undefined) return false;
        return !Array.from(read(target).matchAll(/^#+ (.+)$/gm), ([, heading = '']) => anchorOf(heading)).includes(anchor);
      })
      .map((link) => `${name}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('every command of the documents exists', () => {
  const unknown = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/npm run (?:-s )?([a-z][a-z:-]*)/g)]
      .map(([, command = '']) => command)
      .filter((command) => !scripts[command])
      .map((command) => `${name}: ${command}`),
  );
  expect(unknown).toEqual([]);
});

test('every command there is stands in the README', () => {
  const told = rowsOf(sectionOf('README.md', 'Commands')).map(
    ([command = '']) => /npm (?:run )?(?:-s )?([a-z:]+)/.exec(command)?.[1],
  );
  const own = Object.keys(scripts).filter((name) => !/^(pre|post)/.test(name));
  expect(new Set(told)).toEqual(new Set(own));
});

test('every test and source that the documents name exists', () => {
  const named = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/(?<![\w/-])(?:src|test|migrations|schema|scripts|data)\/[\w./-]*\w/g)].map(([file]) => ({ name, file })),
  );
  expect(named.filter(({ file }) => !existsSync(file)).map(({ name, file }) => `${name}: ${file}`)).toEqual([]);
});

test('every decision says what spoke for it, what against it, and what holds it', () => {
  const decisions = documents.filter(({ name }) => name.startsWith('docs/adr/'));
  for (const { name, text } of decisions) {
    const parts = [...text.matchAll(/^## (.+)$/gm)].map(([, part]) => part);
    expect({ name, parts }).toEqual({ name, parts: ['Context', 'Decision', 'Consequences', 'Alternatives', 'Held by'] });
  }
  const numbers = decisions.map(({ name }) => Number(path.basename(name).slice(0, 4)));
  expect(numbers).toEqual(numbers.map((_, at) => at + 1));
});
