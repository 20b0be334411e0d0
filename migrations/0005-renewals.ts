import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What renews is its own job: an active subscription is looked at when its period ends. How many calls renewals may make is one row for all workers
 * of an account; how many were planned for an hour, and whether renewals run at all, are rows too, so that one statement stops every worker.
 */
const UP = `
update subscription set next_action_at = period_end where status = 'active' and not cancel_at_period_end and next_action_at is null;

create table call_budget (
  provider_account_id smallint primary key references provider_account, tokens double precision not null, refilled_at timestamptz not null,
  slowed_until timestamptz);
create table renewal_switch (
  provider_account_id smallint primary key references provider_account, is_stopped boolean not null, reason text, changed_by text not null,
  changed_at timestamptz not null);
create table renewal_hour (
  provider_account_id smallint not null references provider_account, hour timestamptz not null, planned int not null, charged int not null default 0,
  primary key (provider_account_id, hour));
select place(t, 'reference') from unnest(array['call_budget', 'renewal_switch', 'renewal_hour']) t;
grant select, insert, update on call_budget, renewal_switch, renewal_hour to pay_worker;
grant select on call_budget, renewal_switch, renewal_hour to pay_reader;
`;

export class Renewals1700000000005 implements MigrationInterface {
  name = 'Renewals1700000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
