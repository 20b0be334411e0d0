import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A note of what an old tier had left may be given before the new one is paid, where it is more than the new line in net or in tax. A change that is then not
 * paid takes the note back; it keeps its number, as a void invoice does.
 */
const UP = `
alter table credit_note add column voided_at timestamptz;       -- taken back: the change that it was given for was not paid
grant update (voided_at) on credit_note to pay_app, pay_worker;
`;

export class TierChanges1700000000008 implements MigrationInterface {
  name = 'TierChanges1700000000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
