import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A gift is of two users, whose rows lie apart: the gift is its giver's, and its recipient has a row that says what it gave. Who claims a gift sees
 * that one row of somebody else: as its recipient, or by its secret.
 */
const UP = `
alter table gift_received
  add column id uuid not null,                                 -- in the recipient's bucket: orders what was claimed, and is the source of what is posted for the recipient
  add column periods smallint not null check (periods > 0),
  add column claimed_at timestamptz,                           -- null: given by name, not claimed yet
  add column subscription_id uuid,                             -- null when claimed: its value went to the balance
  add column revoked smallint not null default 0 check (revoked between 0 and periods),   -- periods that were taken back
  add constraint gift_received_id check (bucket = id_bucket(id)),
  add constraint gift_received_claim check (subscription_id is null or claimed_at is not null);
create index on gift_received (bucket, subscription_id) where subscription_id is not null;
create index on invoice (bucket, gift_id) where gift_id is not null;
create policy claim on gift to pay_app
  using (recipient_id = current_setting('app.user_id', true) or claim_secret_hash = decode(current_setting('app.gift_secret_hash', true), 'hex'))
  with check (recipient_id = current_setting('app.user_id', true));
`;

export class Gifts1700000000009 implements MigrationInterface {
  name = 'Gifts1700000000009';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
