import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The day on which the first schedule of a currency begins is asked for until a day is closed: every schedule was read for it, each time. */
const UP = `
create index revenue_schedule_start on revenue_schedule (currency, starts_on);
`;

export class RevenueStart1700000000015 implements MigrationInterface {
  name = 'RevenueStart1700000000015';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
