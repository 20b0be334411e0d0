import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Workers take turns at a provider's list of events: each of them reading it is the same work again. */
const UP = `
alter table listing_cursor alter column listed_until drop not null;                                    -- null: never read
alter table listing_cursor add column next_listing_at timestamptz not null default '-infinity';       -- until then the turn is somebody's, or the list was just read
`;

export class ListingTurns1700000000013 implements MigrationInterface {
  name = 'ListingTurns1700000000013';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
