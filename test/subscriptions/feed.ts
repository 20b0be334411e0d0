import type pg from 'pg';
import { makeId } from '../../src/domain/ids.js';
import { bucketOfUser } from '../../src/store/viewer.js';

/** Writes feeds as a committed change would: the customer's counter and the entry in one transaction. */
export class FeedWriter {
  #transactions = 0;

  constructor(private readonly pool: pg.Pool) {}

  /** The id of a transaction that no row stands behind. */
  transactionId(userId: string): string {
    this.#transactions += 1;
    const random = new Uint8Array(8).fill(this.#transactions);
    return makeId('txn', bucketOfUser(userId), Date.now(), random);
  }

  /** Adds one change and answers its place. */
  async add(userId: string, change: { subjectId?: string; at?: Date; status?: string } = {}): Promise<bigint> {
    const client = await this.pool.connect();
    try {
      await client.query('begin');
      await client.query('insert into customer (bucket, user_id) values ($1, $2) on conflict do nothing', [
        bucketOfUser(userId),
        userId,
      ]);
      const counted = await client.query<{ feed_seq: bigint }>(
        'update customer set feed_seq = feed_seq + 1 where bucket = $1 and user_id = $2 returning feed_seq',
        [bucketOfUser(userId), userId],
      );
      const sequence = counted.rows[0]?.feed_seq ?? 0n;
      await client.query(
        `insert into feed_entry (bucket, user_id, seq, at, change, subject_id, version, status, previous_status)
         values ($1, $2, $3, $4, 'payment_status', $5, 1, $6, 'pending')`,
        [
          bucketOfUser(userId),
          userId,
          sequence,
          change.at ?? new Date(),
          change.subjectId ?? this.transactionId(userId),
          change.status ?? 'succeeded',
        ],
      );
      await client.query('commit');
      return sequence;
    } finally {
      client.release();
    }
  }

  /** Adds so many changes. */
  async addMany(userId: string, count: number): Promise<void> {
    for (let added = 0; added < count; added += 1) await this.add(userId);
  }
}
