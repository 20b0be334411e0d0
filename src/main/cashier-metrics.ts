import { Counter, type Registry } from 'prom-client';
import { InvariantBroken } from '../domain/invariant.js';
import type { CashierEvents } from '../usecases/cashier.js';

/** The cashier's events as counters; docs/operations.md says what each means and when it matters. */
export function cashierMetrics(registry: Registry): CashierEvents {
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const calls = counter('provider_calls_total', 'Calls to the provider, by operation and class of the answer.', [
    'operation',
    'answer',
  ]);
  const findings = counter('findings_opened_total', 'Findings opened: things that do not fit and that somebody must settle.', [
    'kind',
    'severity',
  ]);
  const changes = counter('payment_status_changes_total', 'Status changes of charges, refunds and disputes.', ['what', 'status']);
  const webhooks = counter('webhook_events_total', 'Events of the provider by what became of them.', ['outcome']);
  const missed = counter('webhook_missed_total', 'Events that never arrived and were found in the provider’s own list.');
  return {
    providerCalled: (operation, answer) => calls.inc({ operation, answer }),
    findingOpened: (kind, severity) => findings.inc({ kind, severity: String(severity) }),
    statusChanged: (what, status) => changes.inc({ what, status }),
    webhook: (outcome) => {
      webhooks.inc({ outcome });
      if (outcome === 'missed') missed.inc();
    },
  };
}

/** Counts errors that are bugs of ours: a rule that the code itself guarantees was broken. Any above zero pages. */
export function faultCounter(registry: Registry): (error: unknown) => void {
  const broken = new Counter({
    name: 'invariant_broken_total',
    help: 'Rules of the code that were broken: bugs.',
    registers: [registry],
  });
  const count = (error: unknown): void => {
    if (error instanceof InvariantBroken) broken.inc();
    // What failed in one turn is thrown together.
    if (error instanceof AggregateError) error.errors.forEach(count);
  };
  return count;
}
