import { expect } from '@jest/globals';
import { runInvariants } from '../../src/store/invariants.js';
import type { World } from './world.js';

/** Every invariant of the books holds now, by the world's clock. */
export async function expectSoundBooks(world: World): Promise<void> {
  const client = await world.db.ownerPool.connect();
  try {
    const report = await runInvariants(client, world.clock.now());
    expect(report.violations).toEqual([]);
  } finally {
    client.release();
  }
}
