import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Up to when a provider's own list of events has been read, so that a worker that was away goes on where it ended. */
const UP = `
create table listing_cursor (provider_account_id smallint primary key references provider_account, listed_until timestamptz not null);
select place('listing_cursor', 'local');
grant select, insert, update on listing_cursor to pay_worker;
`;

export class ListingCursor1700000000003 implements MigrationInterface {
  name = 'ListingCursor1700000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
