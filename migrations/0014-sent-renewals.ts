import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Renewals under way, by themselves: who looks for those whose worker is gone walked through every attempt that ever succeeded. */
const UP = `
create index payment_attempt_flying on payment_attempt (next_action_at, bucket) where status = 'sent' and cause = 'renewal';
`;

export class SentRenewals1700000000014 implements MigrationInterface {
  name = 'SentRenewals1700000000014';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
