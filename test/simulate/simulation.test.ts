import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Called, ChargeRequest, PaymentFact } from '../../src/ports/provider.js';
import { Databases } from '../../src/simulate/databases.js';
import { SimulatedProvider } from '../../src/simulate/provider.js';
import { runInParts } from '../../src/simulate/parts.js';
import { runSimulation, type RunOptions, type RunResult } from '../../src/simulate/run.js';
import { shrink, type Story } from '../../src/simulate/shrink.js';
import { lineOf, tableOf } from '../../src/simulate/tell.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const STARTS_AT = new Date('2027-01-01T00:00:00Z');
const PEOPLE = Array.from({ length: 10 }, (_, number) => number);

let server: TestDatabase;
let databases: Databases;
const runs = new Map<string, RunResult>();

beforeAll(async () => {
  server = await testDatabase();
  databases = await Databases.open(server.options, STARTS_AT);
});
afterAll(async () => {
  await databases.close();
  await server.drop();
});

async function run(over: Partial<RunOptions>): Promise<RunResult> {
  const database = await databases.make();
  try {
    return await runSimulation({
      database: database.options,
      seed: '1',
      lives: PEOPLE,
      months: 14,
      startsAt: STARTS_AT,
      faults: 'some',
      ...over,
    });
  } finally {
    await database.drop();
  }
}

test.each([
  { seed: '1', months: 14, faults: 'some' as const },
  { seed: '2', months: 7, faults: 'many' as const },
])('every cent of $months months of ten people is explained, with $faults faults', async ({ seed, months, faults }) => {
  const result = await run({ seed, months, faults });
  runs.set(seed, result);
  expect(result.problems).toEqual([]);
  const figures = new Map(result.figures);
  expect(figures.get('periods paid')).toBeGreaterThan(months);
  expect(figures.get('invoices with tax')).toBeGreaterThan(0);
  expect(figures.get('calls that went wrong')).toBeGreaterThan(0);
});

test('the recurring revenue of each month is that of the last one and what moved, in every currency', () => {
  const months = runs.get('1')?.months ?? [];
  expect(months.filter(({ currency }) => currency === 'USD')).toHaveLength(14);
  for (const { start, end, moves } of months)
    expect(start + moves.new + moves.expansion + moves.reactivation - moves.contraction - moves.churn).toBe(end);
  expect(months.some(({ moves }) => moves.churn > 0n)).toBe(true);
});

test('the same seed tells the same story, and another one another', async () => {
  const few = { lives: PEOPLE.slice(0, 8), months: 2, faults: 'many' as const };
  const [first, again, other] = [await run(few), await run(few), await run({ ...few, seed: '2' })];
  expect(again.digest).toBe(first.digest);
  expect(again.told.map(lineOf)).toEqual(first.told.map(lineOf));
  expect(other.digest).not.toBe(first.digest);
});

test('a person lives the same life whoever else is there', async () => {
  const story = { months: 2, faults: 'many' as const };
  const among = await run({ ...story, lives: PEOPLE.slice(0, 8) });
  const alone = await run({ ...story, lives: [7] });
  expect(alone.told).toEqual(among.told.filter(({ life }) => life === 7));
  // And so does everybody in two parts, whose figures and months are added up.
  const all = { seed: '1', startsAt: STARTS_AT, lives: PEOPLE.slice(0, 8), ...story };
  const steps: number[] = [];
  const apart = await runInParts(databases, all, 2, ({ share }) => void steps.push(share));
  expect(apart.told).toEqual(among.told);
  expect(apart.problems).toEqual([]);
  expect(apart.months).toEqual(among.months);
  // Each part has instants of its own, closes its own days in the ledger, and tells what went wrong at the provider in its own order.
  const ofParts = new Set(['instants', 'movements in the ledger']);
  const countsOf = ({ figures }: RunResult): [string, number][] =>
    figures.filter(([name]) => !ofParts.has(name) && !name.startsWith('  '));
  expect(new Map(countsOf(apart))).toEqual(new Map(countsOf(among)));
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
});

/** A provider that charges whoever pays in euros once more. */
class Greedy extends SimulatedProvider {
  override async charge(request: ChargeRequest): Promise<Called<PaymentFact>> {
    const answer = await super.charge(request);
    if (request.currency !== 'EUR') return answer;
    await super.charge({ ...request, idempotencyKey: `${request.idempotencyKey}-again` });
    return answer;
  }
}

test('a provider that charges twice is found out, and the story shrinks to one person and a few acts', async () => {
  const story: Story = {
    seed: '1',
    lives: PEOPLE.slice(6, 9),
    months: 1,
    startsAt: STARTS_AT,
    faults: 'none',
    provider: (options) => new Greedy(options),
  };
  const found = await run(story);
  const kinds = found.problems.map(({ kind }) => kind);
  expect(kinds).toContain('lost_charge');
  const told: string[] = [];
  const shortest = await shrink(databases, story, found.problems, (line) => void told.push(line));
  expect(shortest.lives).toHaveLength(1);
  expect(shortest.told.length).toBeLessThan(4);
  expect(shortest.problems[0]?.kind).toBe('lost_charge');
  expect(told.length).toBeGreaterThan(0);
});

test('a table tells figures, and the recurring revenue of each month as a plot', () => {
  const result = runs.get('1');
  const text = result ? tableOf(result, 12.34) : '';
  expect(text).toMatch(/^people +10$/m);
  expect(text).toMatch(/^seconds +12\.3$/m);
  expect(text).toMatch(/^2028-02 .*#+$/m);
});
