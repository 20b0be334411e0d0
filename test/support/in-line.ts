import { eventually } from './eventually.js';
import type { World } from './world.js';

const WAITING = `select count(*)::int as n from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like '%from customer %'`;

/**
 * Lets requests about one user meet: each waits for the user's lock before the next one begins, and then they go in that order.
 * @returns their answers, in the same order
 */
export async function inLine<Answer>(world: World, userId: string, asks: readonly (() => Promise<Answer>)[]): Promise<Answer[]> {
  const holder = await world.db.ownerPool.connect();
  try {
    await holder.query('begin');
    await holder.query('select from customer where user_id = $1 for update', [userId]);
    const answers: Promise<Answer>[] = [];
    for (const ask of asks) {
      answers.push(ask());
      await eventually(async () => {
        const [waiting] = await world.query<{ n: number }>(WAITING);
        if (waiting?.n !== answers.length) throw new Error(`${waiting?.n} of ${answers.length} wait`);
      });
    }
    await holder.query('commit');
    return await Promise.all(answers);
  } finally {
    holder.release();
  }
}
