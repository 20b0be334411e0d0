/** A run for people's eyes: progress, a table of figures, and the recurring revenue by month as a plot of characters. */
import { decimalText } from '../domain/money/currency.js';
import type { Told } from './life.js';
import type { RevenueMonth } from './revenue.js';
import type { RunResult, Step } from './run.js';

const BAR_WIDTH = 24;
const PLOT_WIDTH = 40;
const LINE_EVERY_MS = 5_000;

/** A line of a life. */
export function lineOf({ at, life, act, text }: Told): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')}  life ${life}, act ${act}: ${text}`;
}

/** A bar on a terminal; a line of numbers now and then otherwise. @throws Error once the signal is given, which ends the run */
export function progressTeller(signal: AbortSignal): (step: Step) => void {
  const startedAt = performance.now();
  let lastAtMs = 0;
  return ({ share, now, acts, events }) => {
    signal.throwIfAborted();
    const percent = `${Math.round(share * 100)} %`;
    const day = now.toISOString().slice(0, 10);
    const seconds = Math.round((performance.now() - startedAt) / 1_000);
    if (process.stderr.isTTY) {
      const full = Math.round(share * BAR_WIDTH);
      const bar = `[${'='.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`;
      const end = share >= 1 ? '\n' : '';
      process.stderr.write(`\r\x1b[2K${bar} ${percent}  ${day}  ${acts} acts, ${events} events, ${seconds} s${end}`);
    } else if (performance.now() - lastAtMs >= LINE_EVERY_MS) {
      console.error(`${String(seconds).padStart(5)} s  ${percent.padStart(5)}  ${day}: ${acts} acts, ${events} events`);
      lastAtMs = performance.now();
    }
  };
}

/** Figures and revenue of a run. */
export function tableOf({ figures, months, seconds }: Pick<RunResult, 'figures' | 'months' | 'seconds'>, total: number): string {
  const rows = figures.map(([name, figure]): [string, string] => [name, String(figure)]);
  rows.push(['seconds', total.toFixed(1)], ...seconds.map(([part, spent]): [string, string] => [`  ${part}`, spent.toFixed(1)]));
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, figure]) => `${name.padEnd(width)}  ${figure.padStart(10)}`);
  const byCurrency = Map.groupBy(months, ({ currency }) => currency);
  for (const [currency, own] of byCurrency) lines.push('', ...revenueTable(currency, own));
  return lines.join('\n');
}

const MOVES = ['new', 'expansion', 'reactivation', 'contraction', 'churn'] as const;

/** A month's revenue is a twelfth of a year's; what moved is told likewise. */
function revenueTable(currency: string, months: readonly RevenueMonth[]): string[] {
  const highest = months.reduce((most, { end }) => (end > most ? end : most), 1n);
  const monthly = (annual: bigint): string => decimalText({ minor: annual / 12n, currency });
  const head = ['month', ...MOVES, `MRR ${currency}`];
  const cells = months.map(({ endsAt, moves, end }) => [
    new Date(endsAt.getTime() - 1).toISOString().slice(0, 7),
    ...MOVES.map((move) =>
      moves[move] === 0n ? '' : `${move === 'churn' || move === 'contraction' ? '-' : '+'}${monthly(moves[move])}`,
    ),
    monthly(end),
  ]);
  const widths = head.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('  ');
  return [
    line(head),
    ...months.map(({ end }, at) =>
      `${line(cells[at] ?? [])}  ${'#'.repeat(Number((end * BigInt(PLOT_WIDTH)) / highest))}`.trimEnd(),
    ),
  ];
}
