import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A coupon is claimed once by a person, as a trial is had once: by every mark that tells the person apart, whichever user it comes with. */
const UP = `
create table coupon_use (bucket smallint not null check (bucket = key_bucket(identity)), identity text not null, coupon_id uuid not null, subscription_id uuid not null, primary key (bucket, identity, coupon_id));   -- directory: 'user:..', 'card:<fingerprint>' has had the coupon (rules V10)
select place('coupon_use', 'bucket');
alter table coupon_redemption add column identities text[] not null default '{}';   -- the marks it was claimed with: given back when the first payment is not made
grant select on coupon_use to pay_app, pay_worker, pay_reader;
grant insert, delete on coupon_use to pay_app, pay_worker;
`;

export class Coupons1700000000007 implements MigrationInterface {
  name = 'Coupons1700000000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
