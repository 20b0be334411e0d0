import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What was concluded never to have happened is looked for again on three days, so an ended attempt may have a next look. A finding may be
 * work: money that nothing explains is given back by the worker, the row being its own job.
 */
const UP = `
do $$
declare c text;
begin
  select conname into strict c from pg_constraint where conrelid = 'payment_attempt'::regclass and contype = 'c'
    and pg_get_constraintdef(oid) like '%(next_action_at IS NOT NULL)%';
  execute format('alter table payment_attempt drop constraint %I', c);
end $$;
alter table payment_attempt add constraint payment_attempt_next_look check (
  case when status in ('created', 'sent', 'unknown', 'requires_action', 'processing') then next_action_at is not null
       else next_action_at is null or status in ('not_executed', 'canceled') end);

alter table recon_finding add column next_action_at timestamptz, add column lease_until timestamptz, add column tries smallint not null default 0;
create index recon_finding_due on recon_finding (bucket, next_action_at) where next_action_at is not null;
`;

export class LateAppearances1700000000004 implements MigrationInterface {
  name = 'LateAppearances1700000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
