import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import pg from 'pg';
import { pgConfig } from '../../src/platform/database-options.js';
import { Catalogue } from '../../src/store/catalogue.reads.js';
import { listenForWakes } from '../../src/store/feed.reads.js';
import { Reader } from '../../src/store/reader.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { eventually } from '../support/eventually.js';
import { testDatabase } from '../support/postgres.js';

const FILE = readFileSync('data/catalogue.json', 'utf8');

test('a published catalogue reaches a process that is told of it, and a refused one does not', async () => {
  const database = await testDatabase();
  const connection = pgConfig(database.options);
  const client = new pg.Client(connection);
  await client.connect();
  const publish = (text: string) => publishCatalogue(client, readCatalogue(text), new Date('2026-02-10T12:00:00Z'));
  await publish(FILE);
  const reader = new Reader({ connection, maxConnections: 4, statementTimeoutMs: 5_000, usesNamedStatements: true });
  const catalogue = await Catalogue.load(reader);
  let [connections, reloads] = [0, 0];
  const listening = listenForWakes({
    connection,
    onWake: () => undefined,
    onCatalogue: () => void catalogue.reload().then(() => (reloads += 1)),
    onConnected: () => void (connections += 1),
    report: () => undefined,
    retryMs: 10,
  });
  await eventually(() => expect(connections).toBe(1));

  await expect(publish(FILE.replace('"key": "premium"', '"key": "platinum"'))).rejects.toThrow(/may not become/);
  await publish(FILE.replace(/"name": "Premium[^"]*"/, '"name": "Premium for you"'));
  await eventually(() => expect(catalogue.tierByKey('premium')?.name).toBe('Premium for you'));
  expect(reloads).toBe(1);

  await listening.stop();
  await reader.close();
  await client.end();
  await database.drop();
});
