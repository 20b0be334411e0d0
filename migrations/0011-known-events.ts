import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether a charge's line in the provider's books is here already is asked of every event of a payment. */
const UP = `
create index provider_record_object on provider_record (bucket, object_id) where object_id is not null;
`;

export class KnownEvents1700000000011 implements MigrationInterface {
  name = 'KnownEvents1700000000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
