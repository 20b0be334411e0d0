import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Who sends a renewal, so that what a killed worker had claimed is free at once; and renewals that wait to be sent apart from what is looked at, so
 * that a backlog of a million of them is not walked through by whoever looks for something else. Events are taken in the order of their time.
 */
const UP = `
alter table payment_attempt add column claimed_by int;          -- presence of the worker that sends it: an advisory lock; null: its lease alone says until when it is held
drop index payment_attempt_due;
create index payment_attempt_due on payment_attempt (bucket, next_action_at) where next_action_at is not null and (status <> 'created' or cause <> 'renewal');
create index payment_attempt_unsent on payment_attempt (bucket, next_action_at) where status = 'created' and cause = 'renewal';
drop index webhook_inbox_due;
create index webhook_inbox_due on webhook_inbox (next_action_at, bucket) where next_action_at is not null;
`;

export class Claims1700000000012 implements MigrationInterface {
  name = 'Claims1700000000012';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
