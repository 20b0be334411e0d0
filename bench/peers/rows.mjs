// What all peers share: the database, and how a row is shown. Ids, cursors and money are the contract's, so answers can be compared byte for byte.
import pg from 'pg';
import { idTimeMs, publicId } from '../../dist/src/domain/ids.js';
import { Cursors } from '../../dist/src/resolvers/cursor.js';
import { keyBucket } from '../../dist/src/platform/json.js';

export const bucketOf = keyBucket;
export const connection = JSON.parse(process.env.PEER_DATABASE);
export const port = Number(process.env.PEER_PORT);
const cursors = new Cursors(process.env.PEER_CURSOR_SECRET);

const int8 = (text) => Number(text);
export const types = { getTypeParser: (oid, format) => (oid === 20 ? int8 : pg.types.getTypeParser(oid, format)) };
export const makePool = () => new pg.Pool({ ...connection, max: 10, types });

export const SDL = `
  type Query { viewer: User }
  type User @key(fields: "id") { id: ID! currentSubscription: UserSubscription displayTier: Tier transactions(first: Int): TransactionConnection }
  type UserSubscription { id: ID! status: String! tier: Tier! }
  type Tier { id: ID! key: String! name: String! rank: Int! }
  type Money { amountMinor: Float! currency: String! decimal: String! }
  type Transaction { id: ID! kind: String! status: String! amount: Money! provider: String! statementDescriptor: String createdAt: String! settledAt: String }
  type TransactionEdge { cursor: String! node: Transaction! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type TransactionConnection { edges: [TransactionEdge!]! pageInfo: PageInfo! }
`;

export const presentSubscription = (row) => ({
  id: publicId('sub', row.id),
  status: row.status.toUpperCase(),
  tierId: row.tierId,
});
export const presentTier = (row) => row && { id: publicId('tier', row.id), key: row.key, name: row.name, rank: row.rank };

const presentTransaction = (row) => ({
  id: publicId('txn', row.id),
  kind: row.kind.toUpperCase(),
  status: row.status.toUpperCase(),
  amount: { amountMinor: Number(row.amount), currency: row.currency, decimal: (Number(row.amount) / 100).toFixed(2) },
  provider: 'STRIPE',
  statementDescriptor: row.statementDescriptor,
  createdAt: new Date(idTimeMs(row.id)).toISOString(),
  settledAt: row.settledAt?.toISOString() ?? null,
});

/** Up to one row more than asked for. Cursors are made where they are selected. */
export function page(userId, rows, first) {
  const list = JSON.stringify(['transactions', userId, null]);
  const kept = rows.slice(0, first);
  const last = kept.at(-1);
  return {
    edges: kept.map((row) => ({
      get cursor() {
        return cursors.seal(list, row.id);
      },
      node: presentTransaction(row),
    })),
    pageInfo: {
      hasNextPage: rows.length > first,
      get endCursor() {
        return last ? cursors.seal(list, last.id) : null;
      },
    },
  };
}
