import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When a complete listing first did not show an operation: absence is concluded only from a second one, ten minutes later. */
const UP = `
alter table payment_attempt add column absent_since timestamptz;
alter table refund add column absent_since timestamptz;
`;

export class Absence1700000000002 implements MigrationInterface {
  name = 'Absence1700000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
