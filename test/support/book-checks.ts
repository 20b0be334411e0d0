import { readFile } from 'node:fs/promises';
import { expect } from '@jest/globals';
import { compareBooks, readBooks } from '../../src/chaos/compare-books.js';
import { checkInvariants, parseInvariants } from '../../src/store/invariants.js';
import type { World } from './world.js';

/** Every invariant of the books holds now, by the world's clock, once the worker has carried, numbered and recognised what waits. */
export async function expectSoundBooks(world: Pick<World, 'db' | 'clock' | 'work'>): Promise<void> {
  await world.work('relay', 'documents', 'revenue');
  const invariants = parseInvariants(await readFile('data/invariants.sql', 'utf8'));
  const client = await world.db.ownerPool.connect();
  try {
    await client.query('begin');
    const results = await checkInvariants(client, invariants, world.clock.now());
    expect(results.filter((one) => one.kind === 'checked' && one.violations > 0)).toEqual([]);
  } finally {
    await client.query('rollback');
    client.release();
  }
}

/** Transactions, ledger and feed say just what the provider really did; nothing is open any more. */
export async function expectBooksOfProvider(world: Pick<World, 'db' | 'truth'>): Promise<void> {
  const truth = await world.truth();
  const client = await world.db.ownerPool.connect();
  try {
    expect(compareBooks(truth, await readBooks(client))).toEqual([]);
  } finally {
    client.release();
  }
}
