import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { pgConfig } from '../../src/platform/database-options.js';
import { give } from '../support/gifts.js';
import { startWorld, someUser, withCard, priceId, newKey, someStaff, type World } from '../support/world.js';
import type { PriceId } from '../../src/domain/ids.js';
import type { Actor } from '../../src/usecases/contract.js';

let world: World;
let ana: Actor;
let ben: Actor;
/** Every table that has rows of its own; partitions are reached through their parents. */
let tables: string[];
/** Tables with the owner's column. */
let owned: string[];

/** Tables without row security, and why nobody needs it there. */
const EXEMPT: Record<string, string> = {
  provider_account: 'catalogue: the same for everybody, read only',
  feature: 'catalogue: the same for everybody, read only',
  tier: 'catalogue: the same for everybody, read only',
  tier_feature: 'catalogue: the same for everybody, read only',
  product: 'catalogue: the same for everybody, read only',
  price: 'catalogue: the same for everybody, read only',
  tax_rate: 'catalogue: the same for everybody, read only',
  coupon: 'catalogue: the same for everybody, read only',
  coupon_usage: 'how often a limited coupon was claimed, by everybody together',
  coupon_use: 'directory by a mark of a person, which may belong to several users',
  trial_use: 'directory by a mark of a person, which may belong to several users',
  ledger_account: 'chart of accounts: the same for everybody, read only',
  ledger_balance: 'sums over all customers: holds nobody in particular',
  call_budget: "calls that all workers of a provider account may make: nobody's",
  renewal_hour: 'sums over an hour: holds nobody in particular',
  document_counter: "the last number given: nobody's",
  revenue_day: 'sums over a day: holds nobody in particular',
  renewal_switch: "whether renewals run: nobody's",
  webhook_inbox: "directory by the provider's event id: whose event it is, is not known yet",
  webhook_payload: 'raw bytes of an event, reached by the id of its inbox row',
  provider_ref: "directory from a provider's object id, which cannot be guessed, to our id",
  audit_entry: 'written for every actor about every user; no door reads it back',
  provider_record: "lines of the provider's own books, written by reconciliation",
  recon_finding: 'findings of reconciliation about whole days',
  listing_cursor: "up to when a provider's list of events was read: nobody's",
  migrations: 'which migrations have run; the application roles have no right on it',
};

beforeAll(async () => {
  world = await startWorld();
  const price = (await priceId(world, { tier: 'premium' })) as PriceId;
  const customer = async (name: string): Promise<Actor> => {
    const actor = await withCard(world, someUser(name), 'pm_card_createDispute');
    const answer = await world.commands.subscribe(actor, {
      priceId: price,
      paymentMethodId: null,
      coupon: null,
      useTrial: false,
      expectedAmount: null,
      returnUrl: null,
      idempotencyKey: newKey(),
    });
    expect(answer.refusals).toEqual([]);
    return actor;
  };
  [ana, ben] = [await customer('ana'), await customer('ben')];
  await world.commands.openCustomerAccount(someStaff('support'), ana.userId);
  await world.receiveEvents();
  await world.work('webhooks', 'relay');
  const found = await world.query<{ name: string; is_owned: boolean }>(
    `select c.relname as name, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'user_id') as is_owned
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
  );
  tables = found.map(({ name }) => name);
  owned = found.filter(({ is_owned }) => is_owned).map(({ name }) => name);
});
afterAll(async () => world.stop());

type Role = 'pay_app' | 'pay_worker' | 'pay_reader';

/** Runs `work` in a transaction that is rolled back, as this role and, for pay_app, as this user. */
async function as<T>(role: Role, userId: string | null, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(pgConfig(world.db.options));
  await client.connect();
  try {
    await client.query(`set role ${role}`);
    await client.query('begin');
    if (userId !== null)
      await client.query("select set_config('app.user_id', $1, true), set_config('app.role', 'user', true)", [userId]);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** SQLSTATE of the refusal, or 'done'. */
async function attempt(client: pg.Client, statement: string, params: unknown[] = []): Promise<string> {
  await client.query('savepoint attempt');
  try {
    await client.query(statement, params);
    return 'done';
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error.code ?? 'none';
    throw error;
  } finally {
    await client.query('rollback to savepoint attempt');
  }
}

const REFUSED = '42501'; // insufficient_privilege: no grant, or no policy lets the row through
const APPEND_ONLY = '23001';

const count = async (client: pg.Client, table: string, where = 'true', params: unknown[] = []): Promise<number> =>
  (await client.query<{ n: number }>(`select count(*)::int as n from ${table} where ${where}`, params)).rows[0]?.n ?? -1;

test('every table has forced row security with policies, or stands on the list of those that need none', async () => {
  const unprotected = await world.query<{ relname: string }>(
    `select c.relname from pg_class c where c.relname = any($1) and c.relnamespace = 'public'::regnamespace
     and not (c.relrowsecurity and c.relforcerowsecurity and (select count(*) from pg_policy p where p.polrelid = c.oid) >= 2)`,
    [tables],
  );
  expect(unprotected.map(({ relname }) => relname).sort()).toEqual(
    Object.keys(EXEMPT)
      .filter((name) => tables.includes(name))
      .sort(),
  );
  expect(owned.filter((name) => name in EXEMPT)).toEqual([]);
  expect(Object.keys(EXEMPT).filter((name) => !tables.includes(name))).toEqual([]);
});

test('the scene has rows of both users in the tables that matter', async () => {
  for (const table of [
    'customer',
    'payment_method',
    'subscription',
    'invoice',
    'payment_attempt',
    'transaction',
    'dispute',
    'ledger_movement',
    'feed_entry',
  ]) {
    for (const { userId } of [ana, ben]) {
      const [row] = await world.query<{ n: number }>(`select count(*)::int as n from ${table} where user_id = $1`, [userId]);
      expect([table, row?.n]).toEqual([table, expect.any(Number)]);
      expect(row?.n).toBeGreaterThan(0);
    }
  }
});

test('a user reads the own rows of every table and not one of another user', async () => {
  await as('pay_app', ana.userId, async (client) => {
    for (const table of owned)
      expect([table, await count(client, table, 'user_id is distinct from $1', [ana.userId])]).toEqual([table, 0]);
    expect(await count(client, 'transaction')).toBeGreaterThan(0);
  });
});

test("a user changes none of another user's rows, can not give own rows away, and deletes nothing at all", async () => {
  await as('pay_app', ana.userId, async (client) => {
    for (const table of owned) {
      const updated = await rowsUpdated(client, table, ben.userId);
      expect([table, [0, REFUSED].includes(updated ?? -1)]).toEqual([table, true]);
      expect([table, await attempt(client, `delete from ${table} where user_id = $1`, [ben.userId])]).toEqual([table, REFUSED]);
    }
    expect(await attempt(client, 'update subscription set user_id = $1', [ben.userId])).toBe(REFUSED);
  });
});

test('a user inserts no row in the name of another', async () => {
  const [bens] = await world.query<{ bucket: number }>('select bucket from customer where user_id = $1', [ben.userId]);
  await as('pay_app', ana.userId, async (client) => {
    const give = (table: string, columns: string, values: string): Promise<string> =>
      attempt(client, `insert into ${table} (bucket, user_id, ${columns}) values (${bens?.bucket}, $1, ${values})`, [ben.userId]);
    const id = 'gen_random_uuid()';
    expect(await give('customer_credit', 'currency, balance', "'USD', 100")).toBe(REFUSED);
    expect(await give('provider_customer', 'provider_account_id, object_id', "1, 'cus_1'")).toBe(REFUSED);
    expect(
      await give('feed_entry', 'seq, at, change, subject_id, version', `99, '${world.clock.now().toISOString()}', 'x', ${id}, 1`),
    ).toBe(REFUSED);
    expect(
      await give('idempotency_key', 'operation, key, input_hash, user_errors, expires_at', "'x', 'y', '', '[]', '2100-01-01'"),
    ).toBe(REFUSED);
    expect(
      await give(
        'subscription_event',
        'subscription_id, version, kind, status, cause, at',
        `${id}, 1, 'x', 'x', 'x', '2026-01-01'`,
      ),
    ).toBe(REFUSED);
  });
});

test('with nothing set there is not one row', async () => {
  await as('pay_app', null, async (client) => {
    for (const table of owned) expect([table, await count(client, table)]).toEqual([table, 0]);
  });
});

test('a gift is seen by its giver and by whom it is for; by code by whoever knows its secret, who may only take it', async () => {
  const [toBen, byCode] = [someUser('ben'), ana];
  await withCard(world, ana);
  const price = (await priceId(world, { tier: 'premium' })) as PriceId;
  const byName = await give(world, byCode, price, { recipientId: toBen.userId });
  const { giftId } = await give(world, byCode, price);
  const [secret] = await world.query<{ hash: string }>(
    `select encode(claim_secret_hash, 'hex') as hash from gift where id = $1`,
    [giftId],
  );
  const seen = async (userId: string, hash: string) =>
    as('pay_app', userId, async (client) => {
      await client.query("select set_config('app.gift_secret_hash', $1, true)", [hash]);
      return (await client.query<{ id: string }>('select id from gift order by id')).rows.map(({ id }) => id);
    });
  const both = [byName.giftId, giftId].sort();
  expect(await seen(ana.userId, '')).toEqual(both);
  expect(await seen(toBen.userId, '')).toEqual([byName.giftId]);
  expect(await seen(toBen.userId, secret?.hash ?? '')).toEqual(both);
  expect(await seen(ben.userId, '')).toEqual([]);
  expect(await seen(ben.userId, secret?.hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) ?? '')).toEqual([]);
  await as('pay_app', ben.userId, async (client) => {
    await client.query("select set_config('app.gift_secret_hash', $1, true)", [secret?.hash]);
    const take = (set: string, params: unknown[]) => attempt(client, `update gift set ${set} where id = $1`, [giftId, ...params]);
    expect(await take("status = 'claimed', recipient_id = $2", [ben.userId])).toBe('done');
    expect(await take("status = 'claimed', recipient_id = $2", [toBen.userId])).toBe(REFUSED);
    expect(await take("status = 'canceled'", [])).toBe(REFUSED);
  });
});

test('users who take turns on one connection never see each other, and nothing is left set after a transaction', async () => {
  const pool = new pg.Pool({ ...pgConfig(world.db.options), max: 1, options: '-c role=pay_app' });
  try {
    for (const { userId } of [ana, ben, ana, ben, ben, ana]) {
      const client = await pool.connect();
      await client.query('begin');
      await client.query(`set local app.user_id = '${userId}'; set local app.role = 'user'`);
      const { rows } = await client.query<{ user_id: string }>('select distinct user_id from transaction');
      expect(rows).toEqual([{ user_id: userId }]);
      await client.query(userId === ana.userId ? 'commit' : 'rollback');
      const after = await client.query('select from transaction');
      expect(after.rowCount).toBe(0);
      client.release();
    }
  } finally {
    await pool.end();
  }
});

test('no role of the application reaches a partition other than through its parent', async () => {
  const partitions = await world.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`,
  );
  expect(partitions.length).toBeGreaterThan(10);
  const rights = await world.query<{ grantee: string; name: string }>(
    `select r.grantee, p.name from unnest($1::text[]) as p(name), unnest(array['pay_app', 'pay_worker', 'pay_reader']) as r(grantee)
     where has_table_privilege(r.grantee, p.name, 'select, insert, update, delete, truncate, references, trigger')`,
    [partitions.map(({ name }) => name)],
  );
  expect(rights).toEqual([]);
  for (const role of ['pay_app', 'pay_worker', 'pay_reader'] as const) {
    await as(role, ana.userId, async (client) => {
      expect(await attempt(client, `select from ${partitions[0]?.name}`)).toBe(REFUSED);
    });
  }
});

test('the reading role sees every row and writes none', async () => {
  await as('pay_reader', null, async (client) => {
    expect(await count(client, 'customer', 'user_id = any($1)', [[ana.userId, ben.userId]])).toBe(2);
    for (const table of tables) {
      const column = (
        await client.query<{ attname: string }>('select attname from pg_attribute where attrelid = $1::regclass and attnum = 1', [
          table,
        ])
      ).rows[0]?.attname;
      expect([table, await attempt(client, `update ${table} set ${column} = ${column}`)]).toEqual([table, REFUSED]);
      expect([table, await attempt(client, `delete from ${table}`)]).toEqual([table, REFUSED]);
      expect([table, await attempt(client, `insert into ${table} default values`)]).toEqual([table, REFUSED]);
      expect([table, await attempt(client, `truncate ${table}`)]).toEqual([table, REFUSED]);
    }
  });
});

test.each(['ledger_movement', 'transaction_event', 'subscription_event', 'audit_entry'])(
  '%s is changed and emptied by nobody, the owner of the tables included',
  async (table) => {
    for (const role of ['pay_app', 'pay_worker', 'pay_reader'] as const) {
      await as(role, ana.userId, async (client) => {
        for (const statement of [`update ${table} set bucket = bucket`, `delete from ${table}`, `truncate ${table}`]) {
          expect([role, statement, await attempt(client, statement)]).toEqual([role, statement, REFUSED]);
        }
      });
    }
    const owner = new pg.Client(pgConfig(world.db.options));
    await owner.connect();
    await owner.query('begin');
    for (const statement of [`update ${table} set bucket = bucket`, `delete from ${table}`, `truncate ${table}`]) {
      expect([statement, await attempt(owner, statement)]).toEqual([statement, APPEND_ONLY]);
    }
    await owner.end();
  },
);

test('what has been migrated is the business of the owner alone', async () => {
  const [rights] = await world.query(
    `select array_agg(r.grantee || ' may ' || p.privilege) as given from unnest(array['pay_app', 'pay_worker', 'pay_reader']) as r(grantee),
     unnest(array['insert', 'update', 'delete', 'truncate']) as p(privilege) where has_table_privilege(r.grantee, 'migrations', p.privilege)`,
  );
  expect(rights).toEqual({ given: null });
});

test('prices and the rest of the catalogue are changed by no role of the application', async () => {
  for (const role of ['pay_app', 'pay_worker', 'pay_reader'] as const) {
    await as(role, ana.userId, async (client) => {
      for (const table of ['provider_account', 'feature', 'tier', 'tier_feature', 'product', 'price', 'ledger_account']) {
        for (const statement of [`insert into ${table} default values`, `delete from ${table}`]) {
          expect([role, statement, await attempt(client, statement)]).toEqual([role, statement, REFUSED]);
        }
      }
      expect(await attempt(client, 'update price set amount = 1')).toBe(REFUSED);
    });
  }
});

/** How many rows of another user an update reaches; the code of a refusal instead. */
async function rowsUpdated(client: pg.ClientBase, table: string, userId: string): Promise<number | string | null> {
  await client.query('savepoint attempt');
  try {
    return (await client.query(`update ${table} set bucket = bucket where user_id = $1`, [userId])).rowCount;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return error.code ?? null;
  } finally {
    await client.query('rollback to savepoint attempt');
  }
}
