import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

/** How old the oldest of everything is that waits for the worker or for a person. Seconds; 0 when nothing waits. */
export interface Backlog {
  unknownSeconds: number;
  overdueSeconds: number;
  inboxSeconds: number;
  outboxSeconds: number;
  /** Open findings by severity: 1 pages, 2 the same business day, 3 within three days. */
  findings: { severity: number; count: number }[];
}

const OLDEST = statement<[Date], { unknown: Date | null; overdue: Date | null; inbox: Date | null; outbox: Date | null }>(
  'backlog_oldest',
  `select
     (select min(sent_at) from (select min(sent_at) sent_at from payment_attempt where next_action_at is not null and status in ('sent', 'unknown')
       union all select min(sent_at) from refund where next_action_at is not null and status in ('sent', 'unknown')) s) as unknown,
     (select min(next_action_at) from (select min(next_action_at) next_action_at from payment_attempt where next_action_at <= $1
       union all select min(next_action_at) from refund where next_action_at <= $1) d) as overdue,
     (select min(id_time(id)) from webhook_inbox where next_action_at is not null and status = 'new') as inbox,
     (select min(id_time(id)) from outbox_event where published_at is null) as outbox`,
);
const FINDINGS = statement<[], { severity: number; count: number }>(
  'backlog_findings',
  "select severity, count(*)::int as count from recon_finding where status not in ('resolved', 'accepted') group by severity order by severity",
);

/** Looks at what waits, by the unit's instant. */
export async function readBacklog(uow: UnitOfWork): Promise<Backlog> {
  const [oldest] = await uow.run(OLDEST, [uow.now]);
  const age = (at: Date | null | undefined): number => (at ? Math.max(0, (uow.now.getTime() - at.getTime()) / 1000) : 0);
  return {
    unknownSeconds: age(oldest?.unknown),
    overdueSeconds: age(oldest?.overdue),
    inboxSeconds: age(oldest?.inbox),
    outboxSeconds: age(oldest?.outbox),
    findings: await uow.run(FINDINGS, []),
  };
}
