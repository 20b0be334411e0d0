import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The life of a subscription beyond its first payment: coupons, trials, gifts, consent, notices and credit notes; and a balance of a customer that may
 * be owed as well as owned, as a sum too small to be charged waits there for the next invoice.
 */
const UP = `
create table tax_rate (country char(2), region text not null default '', tax_code text not null default 'digital', valid_from date, rate_ppm int not null check (rate_ppm >= 0),
  primary key (country, region, tax_code, valid_from));          -- the latest valid_from that is not after the day rules; parts per million
create table coupon (id uuid primary key, code text not null unique check (code = upper(code)), percent_off_bps int check (percent_off_bps between 1 and 10000), amounts_off jsonb,   -- {"USD": 500}
  duration_periods smallint check (duration_periods > 0), interval_units text[] not null, redeem_by timestamptz, max_redemptions int check (max_redemptions > 0),
  check ((percent_off_bps is null) <> (amounts_off is null)));   -- null duration = for ever
select place(t, 'reference') from unnest(array['tax_rate', 'coupon']) t;

create table gift_received (bucket smallint not null, user_id text collate "C" not null, gift_id uuid not null, primary key (bucket, user_id, gift_id));   -- the recipient's side of a gift: two users, two rows
create table coupon_redemption (
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, coupon_id uuid not null references coupon, subscription_id uuid not null,
  periods_left smallint check (periods_left >= 0), ended_at timestamptz,   -- null = for ever; released, replaced or used up
  primary key (bucket, id), foreign key (bucket, subscription_id) references subscription);
create unique index coupon_one_per_subscription on coupon_redemption (bucket, subscription_id) where ended_at is null;
create index on coupon_redemption (bucket, user_id, coupon_id);
create table coupon_usage (bucket smallint not null, coupon_id uuid not null check (bucket = id_bucket(coupon_id)), redeemed int not null default 0, max_redemptions int not null,
  check (redeemed between 0 and max_redemptions), primary key (bucket, coupon_id));   -- only for limited coupons: two may claim the last one at the same time
create table trial_use (bucket smallint not null check (bucket = key_bucket(identity)), identity text not null, tier_group text not null, subscription_id uuid not null, primary key (bucket, identity, tier_group));   -- directory: 'user:..', 'card:<fingerprint>', 'mail:<hash>' had its trial (rules V3)
create table consent (bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, subscription_id uuid not null, text_version text not null, ip_hash bytea, primary key (bucket, id));   -- what the user agreed to
create index on consent (bucket, subscription_id);
create table notice (                                          -- sent or not sent decides price rises and the ends of trials (rules C2)
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, subscription_id uuid, kind text not null, due_at timestamptz not null, sent_at timestamptz, message_id text,
  next_action_at timestamptz, primary key (bucket, id));
create unique index notice_once on notice (bucket, subscription_id, kind, due_at);
create index notice_due on notice (bucket, next_action_at) where next_action_at is not null;
create table credit_note (                                     -- corrects a line of an invoice after it was issued (rules P6, P8)
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, invoice_id uuid not null, position smallint not null, number text,
  net bigint not null check (net >= 0), tax bigint not null check (tax >= 0), reason text not null, refund_id uuid, primary key (bucket, id),
  foreign key (bucket, invoice_id, position) references invoice_line);
create index on credit_note (bucket, invoice_id);

alter table customer_credit drop constraint customer_credit_balance_check;     -- below zero: the customer owes it, and pays it with the next invoice (rules M6)
alter table invoice
  add column carried bigint not null default 0 check (carried >= 0),             -- of the total, too small to be charged: waits in the balance as a debit (rules M6)
  add column debit_collected bigint not null default 0 check (debit_collected >= 0),   -- owed from before and collected beside the total (rules P7)
  add constraint invoice_balance_use check (credit_applied + carried <= net + tax);
alter table invoice_line add column coupon_id uuid references coupon, add column credited_tax bigint not null default 0, add constraint invoice_line_credited_tax check (credited_tax between 0 and credited);
create index on invoice (bucket, subscription_id, id);
alter table subscription add column renews_after_gift boolean not null default false;   -- its recipient wants to go on, and pay, when the gift is used up (rules V11)

select place(t, 'bucket') from unnest(array['gift_received', 'coupon_redemption', 'coupon_usage', 'trial_use', 'consent', 'notice', 'credit_note']) t;
grant select on tax_rate, coupon, gift_received, coupon_redemption, coupon_usage, trial_use, consent, notice, credit_note to pay_app, pay_worker, pay_reader;
grant insert, update on gift_received, coupon_redemption, coupon_usage, trial_use, notice to pay_app, pay_worker;
grant update (number) on credit_note to pay_worker;
grant insert on consent, credit_note to pay_app, pay_worker;
do $$
declare t text;
begin
  foreach t in array array['gift_received', 'coupon_redemption', 'consent', 'notice', 'credit_note'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($p$create policy own on %I to pay_app using (user_id = current_setting('app.user_id', true) or current_setting('app.role', true) = 'staff')$p$, t);
    execute format('create policy every on %I to pay_worker, pay_reader using (true)', t);
  end loop;
end $$;
`;

export class Lifecycle1700000000006 implements MigrationInterface {
  name = 'Lifecycle1700000000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
