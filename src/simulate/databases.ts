/** Databases of runs: copies of one that is migrated and has the catalogue, on a server of their own that is thrown away with its folder. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { Catalogue } from '../domain/catalogue/catalogue.js';
import { DIGITAL } from '../domain/tax/tax.js';
import { pgConfig, type DatabaseOptions } from '../platform/database-options.js';
import { migrate } from '../store/migrate.js';
import { publishCatalogue, readCatalogue } from '../usecases/publish-catalogue.js';

/** A database for one run. */
export interface RunDatabase {
  options: DatabaseOptions;
  drop(): Promise<void>;
}

const CATALOGUE_FILE = 'data/catalogue.json';

/** What people who live there are taxed by; the shipped catalogue has no rates. Some change in the first year of a run that begins with a year. */
const ratesFrom = (startsAt: Date): Catalogue['taxRates'] => {
  const year = startsAt.getUTCFullYear();
  const rate = (country: string, validFrom: string, ratePpm: number): Catalogue['taxRates'][number] => ({
    country,
    region: null,
    taxCode: DIGITAL,
    validFrom,
    ratePpm,
  });
  return [
    rate('DE', '2020-01-01', 190_000),
    rate('DE', `${year}-07-01`, 160_000),
    rate('GB', '2020-01-01', 0),
    rate('GB', `${year}-04-06`, 200_000),
    rate('IN', '2020-01-01', 180_000),
  ];
};

/** Makes databases. */
export class Databases {
  readonly #admin: DatabaseOptions;
  readonly #template: string;

  private constructor(admin: DatabaseOptions, template: string) {
    this.#admin = admin;
    this.#template = template;
  }

  /** @param admin a database of the server, as a user who may make others */
  static async open(admin: DatabaseOptions, startsAt: Date): Promise<Databases> {
    const template = `simulation_${randomBytes(4).toString('hex')}`;
    await asAdmin(admin, (client) => client.query(`create database ${template}`));
    const options = { ...admin, database: template };
    await migrate(options, startsAt);
    const client = new pg.Client(pgConfig(options));
    await client.connect();
    try {
      const catalogue = readCatalogue(await readFile(CATALOGUE_FILE, 'utf8'));
      await publishCatalogue(client, { ...catalogue, taxRates: ratesFrom(startsAt) }, startsAt);
    } finally {
      await client.end();
    }
    return new Databases(admin, template);
  }

  /** A fresh one. */
  async make(): Promise<RunDatabase> {
    const database = `run_${randomBytes(6).toString('hex')}`;
    await asAdmin(this.#admin, async (client) => {
      await client.query(`create database ${database} template ${this.#template} strategy file_copy`);
      // Planning over partitions costs more than running: one plan for each statement and session is enough here.
      await client.query(`alter database ${database} set plan_cache_mode = force_generic_plan`);
      await client.query(`alter database ${database} set jit = off`);
    });
    return {
      options: { ...this.#admin, database },
      drop: () => asAdmin(this.#admin, (client) => client.query(`drop database ${database} with (force)`)),
    };
  }

  async close(): Promise<void> {
    await asAdmin(this.#admin, (client) => client.query(`drop database ${this.#template} with (force)`));
  }
}

async function asAdmin(options: DatabaseOptions, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(pgConfig(options));
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
