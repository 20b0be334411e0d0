import { Gauge, type Registry } from 'prom-client';
import { readBacklog } from '../store/backlog.store.js';
import { inTx } from '../store/unit-of-work.js';
import { type Cashier, SYSTEM } from '../usecases/cashier.js';

/** What waits, read from the database at each scrape of the worker; docs/operations.md says what to do about each. */
export function backlogMetrics(registry: Registry, cashier: Cashier): void {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const overdue = gauge('work_overdue_oldest_seconds', 'Age of the oldest payment or refund that is due and was not looked at.');
  const inbox = gauge('webhook_inbox_oldest_seconds', 'Age of the oldest stored event that was not applied.');
  const outbox = gauge('outbox_oldest_seconds', 'Age of the oldest change that was not carried to the gateways.');
  const findings = gauge('findings_open', 'Findings that nobody has settled.', ['severity']);
  // prom-client calls `collect` of one gauge; one look fills them all.
  new Gauge({
    name: 'payment_attempts_unknown_oldest_seconds',
    help: 'Time since the oldest charge or refund was sent whose outcome is not known.',
    registers: [registry],
    async collect() {
      const backlog = await inTx(cashier.tx, SYSTEM, readBacklog);
      this.set(backlog.unknownSeconds);
      overdue.set(backlog.overdueSeconds);
      inbox.set(backlog.inboxSeconds);
      outbox.set(backlog.outboxSeconds);
      findings.reset();
      for (const { severity, count } of backlog.findings) findings.set({ severity: String(severity) }, count);
    },
  });
}
