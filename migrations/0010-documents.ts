import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Documents and revenue: numbers without a gap for invoices and credit notes, counted by legal entity; credit notes of refunds that never happened; the
 * days whose revenue is recognised; and transactions of all users in the order of time.
 */
const UP = `
create table document_counter (legal_entity text, kind text check (kind in ('invoice', 'credit_note')), last bigint not null check (last >= 0), primary key (legal_entity, kind));   -- its row lock is the turn of whoever numbers (rules P8)
select place('document_counter', 'local');
alter table invoice add column legal_entity text, add constraint invoice_numbered_by check ((number is null) = (legal_entity is null));   -- whose counter the number is from
alter table credit_note add column legal_entity text, add column canceled_at timestamptz,            -- its refund was never carried out: it will not be issued
  add constraint credit_note_numbered_by check ((number is null) = (legal_entity is null)),
  add constraint credit_note_is_one check (number is null or canceled_at is null);
create index invoice_unnumbered on invoice (finalized_at, id) where number is null and status <> 'draft';
create index credit_note_unnumbered on credit_note (id) where number is null and canceled_at is null;
create index on credit_note (bucket, refund_id) where refund_id is not null;

create table revenue_day (bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), day date not null, currency char(3) not null, amount bigint not null, primary key (bucket, id));   -- source of revenue_recognized; its id follows from currency and day: one of each
create index on revenue_day (currency, day);
select place('revenue_day', 'bucket');
create index revenue_schedule_running on revenue_schedule (currency, ends_on) where stopped_on is null;
create index revenue_schedule_stopped on revenue_schedule (currency, stopped_on) where stopped_on is not null;

create index transaction_by_time on transaction (id);

grant select, insert, update on document_counter to pay_worker;
grant select, insert on revenue_day to pay_worker;
grant select on document_counter, revenue_day to pay_reader;
grant update (legal_entity, canceled_at) on credit_note to pay_worker;
grant update (canceled_at) on credit_note to pay_app;
`;

export class Documents1700000000010 implements MigrationInterface {
  name = 'Documents1700000000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
