import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tables of the main job. Reading rules:
 * - bucket: 12 bits, key_bucket(user id). Every id of a user's object is a UUIDv7 whose 12 rand_a bits are that bucket, so
 *   id -> bucket and user -> bucket need no look-up. Platform objects carry random bits; directories hash their key.
 * - id: made by the application; its first 48 bits are the creation time: order and page by id, there is no created_at.
 * - amount: bigint minor units, > 0 unless said; instants end in _at, dates in _on, periods are [start, end).
 * - No statement calls now(): instants are parameters. No trigger on a distributed table. `fence N` marks what makes a double charge impossible.
 */
const UP = String.raw`
set citus.shard_count = 64;                                    -- read by Citus alone
set citus.multi_shard_modify_mode = 'sequential';
set citus.enable_local_reference_table_foreign_keys = off;     -- lets foreign keys stand inside CREATE TABLE

-- ---------------------------------------------------------------------------------------------------- helpers
create function key_bucket(text) returns smallint language sql immutable parallel safe   -- user id, provider object id, event id, card fingerprint
  return ((get_byte(sha256(convert_to($1, 'UTF8')), 0) << 4) | (get_byte(sha256(convert_to($1, 'UTF8')), 1) >> 4))::smallint;
create function id_bucket(uuid) returns smallint language sql immutable parallel safe    -- the 12 bits after the version digit
  return (((get_byte(uuid_send($1), 6) & 15) << 8) | get_byte(uuid_send($1), 7))::smallint;
create function id_floor(timestamptz) returns uuid language sql immutable parallel safe  -- smallest id of a millisecond: partition and time-filter bounds
  return (lpad(to_hex((extract(epoch from $1) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
create function id_time(uuid) returns timestamptz language sql immutable parallel safe
  return to_timestamp(('x0000' || substr(replace($1::text, '-', ''), 1, 12))::bit(64)::bigint / 1000.0);
create function derive_id(parent uuid, purpose text, at timestamptz) returns uuid language sql immutable parallel safe  -- same parent, purpose, instant: same id; parent's bucket
  return (substr(id_floor(at)::text, 1, 13) || '-7' || substr(parent::text, 16, 3) || '-8' || substr(md5(parent::text || purpose), 1, 3) || '-' || substr(md5(parent::text || purpose), 4, 12))::uuid;

create function place(t regclass, kind text) returns void language plpgsql as $$  -- kind: bucket | reference | local; does nothing without Citus
begin
  if kind = 'local' or not exists (select from pg_extension where extname = 'citus') then return; end if;
  if kind = 'reference' then perform create_reference_table(t);
  elsif t = 'customer'::regclass then perform create_distributed_table(t, 'bucket', colocate_with := 'none');
  else perform create_distributed_table(t, 'bucket', colocate_with := 'customer'); end if;
end$$;
create function add_partitions(t regclass, by_id boolean, first_on date, step interval, n int) returns void language plpgsql as $$
declare a timestamptz; b timestamptz; i int;                    -- past = everything before first_on; bounds are UTC
begin
  for i in 0 .. n loop
    b := (first_on + step * i) at time zone 'UTC'; a := (first_on + step * (i - 1)) at time zone 'UTC';
    execute format('create table if not exists %s partition of %s for values from (%s) to (%L)',
      t::text || case when i = 0 then '_past' else '_' || to_char(a at time zone 'UTC', 'YYYYMMDD') end, t,
      case when i = 0 then 'minvalue' else quote_literal(case when by_id then id_floor(a)::text else a::text end) end,
      case when by_id then id_floor(b)::text else b::text end);
  end loop;
end$$;

-- ---------------------------------------------------------------------------------------------------- catalogue and settings (reference: copied to every node)
create table provider_account (id smallint primary key, provider text not null check (provider in ('stripe', 'paypal', 'plaid')), region text not null, legal_entity text not null, active_since timestamptz not null);  -- a merchant account at a provider
create table feature (key text primary key, name text not null, description text not null, kind text not null check (kind in ('boolean', 'limit')));  -- something a tier or product unlocks
create table tier (id uuid primary key, key text not null unique, tier_group text not null default 'membership', name text not null, description text not null, rank int not null,
  status text not null check (status in ('draft', 'active', 'retired')));                     -- tier_group: one live subscription in each (rules S2)
create table tier_feature (tier_id uuid references tier, feature_key text references feature, limit_value bigint, primary key (tier_id, feature_key));  -- null limit = unlimited
create table product (id uuid primary key, key text not null unique, name text not null, description text not null, unlocks text references feature);  -- bought once
create table price (                                           -- immutable; a new amount is a new row (rules T1)
  id uuid primary key, tier_id uuid references tier, product_id uuid references product,
  interval_unit text check (interval_unit in ('week', 'month', 'year')), interval_count smallint check (interval_count > 0),
  country char(2) not null default 'ZZ',                       -- ZZ = any
  currency char(3) not null, amount bigint not null check (amount >= 0), tax_behavior text not null check (tax_behavior in ('inclusive', 'exclusive')),
  trial_days smallint not null default 0, accepted_kinds text[] not null, valid_from timestamptz not null, valid_to timestamptz,   -- on sale in [from, to)
  check ((tier_id is null) <> (product_id is null)), check ((tier_id is null) = (interval_unit is null) and (interval_unit is null) = (interval_count is null)),
  constraint price_no_overlap exclude using gist (             -- the key as a one-point range of its hash: needs no extension
    int8range(hashtextextended(coalesce(tier_id, product_id)::text || coalesce(interval_unit || interval_count::text, '') || country || currency, 0), null) with =,
    tstzrange(valid_from, valid_to) with &&));
create table ledger_account (id int primary key, code text not null, class text not null check (class in ('asset', 'liability', 'income', 'expense')), currency char(3) not null,
  provider_account_id smallint references provider_account, unique nulls not distinct (code, currency, provider_account_id), unique (id, currency));  -- chart: docs/money.md
select place(t, 'reference') from unnest(array['provider_account', 'feature', 'tier', 'tier_feature', 'product', 'price', 'ledger_account']) t;

-- ---------------------------------------------------------------------------------------------------- customer: first lock of every unit of work
create table customer (
  bucket smallint not null, user_id text collate "C" not null check (user_id ~ '^[A-Za-z0-9_-]{1,64}$'), check (bucket = key_bucket(user_id)),
  feed_seq bigint not null default 0,                          -- last number given in feed_entry; the row is the customer lock (for update first, bump by the number of entries last: i31)
  country char(2), zone text not null default 'UTC',           -- price and tax look-up; copied into the subscription's anchor (B4)
  default_payment_method_id uuid, shows_tier boolean not null default true,   -- isDefault; displayTier
  primary key (bucket, user_id)) with (fillfactor = 80);
select place('customer', 'bucket');
create table provider_customer (bucket smallint not null, user_id text collate "C" not null, provider_account_id smallint not null references provider_account, object_id text not null,
  primary key (bucket, user_id, provider_account_id), foreign key (bucket, user_id) references customer);   -- cus_... of the user there
create table idempotency_key (                                 -- docs/money.md; kept 30 days; user_id = the actor (staff too)
  bucket smallint not null, user_id text collate "C" not null, operation text not null, key text not null, input_hash bytea not null,
  result_type text, result_id uuid, user_errors jsonb,         -- written with the row it names (S1), or the refusal if nothing was begun
  expires_at timestamptz not null, check ((result_id is null) = (result_type is null) and (result_id is null) <> (user_errors is null)), primary key (bucket, user_id, operation, key));
create table payment_method (
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null,
  kind text not null check (kind in ('card', 'paypal', 'bank_account')), status text not null check (status in ('pending_verification', 'active', 'expired', 'failed', 'removed')),
  provider_account_id smallint not null references provider_account, provider_object_id text not null,    -- token; never a number
  fingerprint text, brand text, last4 text, expiry_month smallint, expiry_year smallint, wallet text, funding text, issuing_country char(2),   -- funding: retry slot (D3); fingerprint: limits per card (D1)
  mandate jsonb,                                               -- consent to later charges and its evidence (A1)
  primary key (bucket, id), foreign key (bucket, user_id) references customer, unique (bucket, provider_account_id, provider_object_id));
create index on payment_method (bucket, user_id);
create table payment_method_setup (                            -- adding a method in steps
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, kind text not null, status text not null check (status in ('open', 'succeeded', 'failed', 'expired')),
  provider_account_id smallint not null references provider_account, provider_object_id text, return_url text, next_action jsonb, makes_default boolean not null, payment_method_id uuid, expires_at timestamptz not null,
  primary key (bucket, id), foreign key (bucket, user_id) references customer, foreign key (bucket, payment_method_id) references payment_method);

-- ---------------------------------------------------------------------------------------------------- subscriptions, purchases, gifts
create table gift (                                            -- belongs to the giver
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, recipient_id text collate "C", is_anonymous boolean not null,
  price_id uuid not null references price, periods smallint not null check (periods > 0), periods_used smallint not null default 0 check (periods_used between 0 and periods),   -- refund only the rest (V11)
  status text not null check (status in ('pending_payment', 'claimable', 'claimed', 'expired', 'canceled')), claim_secret_hash bytea not null,   -- claim code = gift id + secret: no look-up table
  subscription_id uuid, claim_by timestamptz not null, next_action_at timestamptz,   -- subscription_id is the recipient's, in another bucket: no key
  primary key (bucket, id), foreign key (bucket, user_id) references customer);
create index on gift (bucket, user_id, id);
create index gift_due on gift (bucket, next_action_at);
create table subscription (
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null,
  payer_id text collate "C", gift_id uuid, prepaid_periods smallint not null default 0,   -- another payer only by gift; periods still paid by it
  tier_group text not null, tier_id uuid not null references tier, price_id uuid not null references price, payment_method_id uuid,
  status text not null check (status in ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'paused', 'canceled', 'unpaid')),
  hold text not null default 'none' check (hold in ('none', 'dispute', 'fraud')),
  anchor_local timestamp not null, zone text not null, epoch int not null default 0, period_number int not null default 0,   -- boundaries come from these alone (B1, B5)
  period_start timestamptz not null, period_end timestamptz not null, entitled_until timestamptz not null,   -- access = now < entitled_until and hold = 'none' (S1)
  trial_ends_at timestamptz, cancel_at_period_end boolean not null default false, pause_at_period_end boolean not null default false, resumes_at timestamptz, pending_price_id uuid references price,
  canceled_at timestamptz, ended_at timestamptz, end_reason text, renewed_by text not null default 'us',   -- renewed_by: one writer (X2)
  version int not null default 0,                              -- the client's expectedVersion; claims do not touch it
  next_action_at timestamptz, lease_until timestamptz, lease_token uuid,   -- the row is its own job: claim statement in docs/money.md; in main only the end of a flagged one, else null
  primary key (bucket, id), foreign key (bucket, user_id) references customer, foreign key (bucket, payment_method_id) references payment_method, check (period_start < period_end)) with (fillfactor = 80);
create unique index subscription_one_live on subscription (bucket, user_id, tier_group) where status in ('incomplete', 'trialing', 'active', 'past_due', 'paused');   -- fence 8
create index on subscription (bucket, user_id, id);
create index subscription_due on subscription (bucket, next_action_at);
create table subscription_event (                              -- every transition (S4); metrics K1, K2; pauses counted by V9
  bucket smallint not null, subscription_id uuid not null, version int not null, user_id text collate "C" not null, kind text not null, status text not null, cause text not null, at timestamptz not null, data jsonb,
  primary key (bucket, subscription_id, version), foreign key (bucket, subscription_id) references subscription);
create table purchase (
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, price_id uuid not null references price, quantity int not null check (quantity > 0),
  status text not null check (status in ('pending_payment', 'completed', 'failed', 'refunded')), primary key (bucket, id), foreign key (bucket, user_id) references customer);
create index on purchase (bucket, user_id, id);
create table entitlement_grant (                               -- purchases that unlock, staff grants; rights of a subscription are computed from its row
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, feature_key text not null references feature, limit_value bigint,
  purchase_id uuid, granted_by text, note text, expires_at timestamptz, revoked_at timestamptz, check ((purchase_id is null) <> (granted_by is null)),
  primary key (bucket, id), foreign key (bucket, user_id) references customer, foreign key (bucket, purchase_id) references purchase);
create index on entitlement_grant (bucket, user_id);

-- ---------------------------------------------------------------------------------------------------- what is owed
create table invoice (
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, kind text not null check (kind in ('period', 'change', 'purchase', 'gift')),
  subscription_id uuid, purchase_id uuid, gift_id uuid, epoch int, period_number int, period_start timestamptz, period_end timestamptz,
  currency char(3) not null, net bigint not null check (net >= 0), tax bigint not null default 0 check (tax >= 0), total bigint generated always as (net + tax) stored,
  credit_applied bigint not null default 0 check (credit_applied between 0 and net + tax),   -- paid from the balance
  status text not null check (status in ('draft', 'open', 'paid', 'void', 'uncollectible')), number text, finalized_at timestamptz, paid_at timestamptz,   -- number: gapless, given soon after OPEN by one job
  next_action_at timestamptz,                                  -- numbering, dunning
  check (num_nonnulls(subscription_id, purchase_id, gift_id) = 1), check ((kind = 'period') = (period_number is not null)),
  check (case kind when 'purchase' then purchase_id is not null when 'gift' then gift_id is not null else subscription_id is not null and epoch is not null and period_start < period_end end),
  primary key (bucket, id), foreign key (bucket, user_id) references customer, foreign key (bucket, subscription_id) references subscription,
  foreign key (bucket, purchase_id) references purchase, foreign key (bucket, gift_id) references gift);
create unique index invoice_one_per_period on invoice (bucket, subscription_id, epoch, period_number) where kind = 'period' and status <> 'void';   -- fence 1
create unique index invoice_one_open_change on invoice (bucket, subscription_id) where kind = 'change' and status in ('draft', 'open');           -- fence 1
create unique index invoice_one_per_purchase on invoice (bucket, purchase_id) where purchase_id is not null and status <> 'void';                 -- fence 1
create unique index invoice_one_per_gift on invoice (bucket, gift_id) where gift_id is not null and status <> 'void';                             -- fence 1
create index on invoice (bucket, user_id, id);
create index invoice_due on invoice (bucket, next_action_at) where next_action_at is not null;
create table invoice_line (
  bucket smallint not null, invoice_id uuid not null, position smallint not null, user_id text collate "C" not null, description text not null, price_id uuid references price,
  amount bigint not null, discount bigint not null default 0 check (discount >= 0), tax bigint not null default 0, tax_rate_ppm int not null default 0,   -- amount is net after discount; < 0 for a proration credit
  credited bigint not null default 0,                          -- given back so far, tax included; never more than the line (P6)
  period_start timestamptz, period_end timestamptz, is_proration boolean not null default false,
  check (credited between 0 and greatest(amount + tax, 0)), primary key (bucket, invoice_id, position), foreign key (bucket, invoice_id) references invoice);
create table customer_credit (bucket smallint not null, user_id text collate "C" not null, currency char(3) not null, balance bigint not null check (balance >= 0), primary key (bucket, user_id, currency), foreign key (bucket, user_id) references customer);   -- locked by L2, L8, L19, L20
create table revenue_schedule (                                -- earned through day d = net * k / n (docs/money.md)
  bucket smallint not null, invoice_id uuid not null, seq smallint not null default 1, user_id text collate "C" not null, currency char(3) not null, net bigint not null check (net > 0),
  starts_on date not null, ends_on date not null check (ends_on > starts_on), stopped_on date, reversed bigint not null default 0 check (reversed between 0 and net),
  primary key (bucket, invoice_id, seq), foreign key (bucket, invoice_id) references invoice);

-- ---------------------------------------------------------------------------------------------------- collecting
create table payment_intent (                                  -- one decision to collect an invoice
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, invoice_id uuid not null, amount bigint not null check (amount > 0), currency char(3) not null,
  status text not null check (status in ('created', 'in_flight', 'requires_action', 'processing', 'retry_wait', 'succeeded', 'failed', 'canceled')),
  cancel_requested_at timestamptz, version int not null default 0, primary key (bucket, id), foreign key (bucket, invoice_id) references invoice);
create unique index payment_intent_one_live on payment_intent (bucket, invoice_id) where status not in ('failed', 'canceled');   -- fence 2
create table payment_attempt (                                 -- one external operation; its id is the id of its transaction row
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, payment_intent_id uuid not null, number smallint not null,
  provider_account_id smallint not null references provider_account, payment_method_id uuid, amount bigint not null check (amount > 0), currency char(3) not null,
  cause text not null check (cause in ('user', 'renewal', 'retry', 'staff')), is_off_session boolean not null,
  idempotency_key text not null, return_url text, request_fingerprint bytea not null,   -- key: att:{env}:{id}; with return_url the request can be rebuilt; fingerprint of the exact request
  status text not null check (status in ('created', 'sent', 'unknown', 'requires_action', 'processing', 'succeeded', 'declined', 'canceled', 'not_executed', 'late_failed')),
  provider_object_id text, provider_charge_id text, next_action jsonb,        -- pi_.. shared by all attempts of an intent; ch_.. of this one; next_action (type, secret, url, expiry): null unless requires_action
  decline_class text, decline_code text, advice_code text, network_decline_code text, network_advice_code text,   -- raw, never swapped (rules 10)
  sent_at timestamptz, call_deadline_at timestamptz, key_valid_until timestamptz, probes smallint not null default 0,
  next_action_at timestamptz, lease_until timestamptz, version int not null default 0,   -- created: send it (safety net); open: probe it
  check ((status in ('created', 'sent', 'unknown', 'requires_action', 'processing')) = (next_action_at is not null)),
  check (status in ('created', 'canceled') or (sent_at is not null and call_deadline_at is not null and key_valid_until is not null)),
  primary key (bucket, id), unique (bucket, payment_intent_id, number), foreign key (bucket, payment_intent_id) references payment_intent,
  foreign key (bucket, payment_method_id) references payment_method) with (fillfactor = 80);
create unique index payment_attempt_one_open on payment_attempt (bucket, payment_intent_id) where status in ('created', 'sent', 'unknown', 'requires_action', 'processing', 'succeeded');   -- fence 3
create unique index payment_attempt_key on payment_attempt (bucket, idempotency_key);                                                                             -- fence 4
create unique index payment_attempt_charge on payment_attempt (bucket, provider_account_id, provider_charge_id) where provider_charge_id is not null;             -- fence 5; across users: provider_ref
create index payment_attempt_due on payment_attempt (bucket, next_action_at) where next_action_at is not null;
create table refund (                                          -- its id is the id of its transaction row
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, payment_attempt_id uuid not null, amount bigint not null check (amount > 0), currency char(3) not null,
  reason text not null check (reason in ('requested', 'duplicate', 'fraudulent', 'service_failure', 'legal')), note text, requested_by text not null, to_balance boolean not null default false,
  status text not null check (status in ('created', 'sent', 'unknown', 'pending', 'succeeded', 'failed', 'canceled')), idempotency_key text not null, provider_object_id text,
  sent_at timestamptz, call_deadline_at timestamptz, key_valid_until timestamptz, probes smallint not null default 0, next_action_at timestamptz, lease_until timestamptz, version int not null default 0,
  check (next_action_at is not null or status not in ('created', 'sent', 'unknown')), primary key (bucket, id), unique (bucket, idempotency_key),   -- fence 4
  foreign key (bucket, payment_attempt_id) references payment_attempt);
create unique index refund_object on refund (bucket, provider_object_id) where provider_object_id is not null;   -- fence 5
create index on refund (bucket, payment_attempt_id);
create index refund_due on refund (bucket, next_action_at) where next_action_at is not null;
create table dispute (                                         -- its id is the id of its transaction row (the withdrawal)
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, payment_attempt_id uuid not null, provider_account_id smallint not null references provider_account,
  provider_object_id text not null, amount bigint not null check (amount > 0), currency char(3) not null, reason text, evidence_due_at timestamptz,
  status text not null check (status in ('inquiry', 'open', 'under_review', 'won', 'lost', 'closed')), is_withdrawn boolean not null default false, reversal_id uuid,   -- reversal_id: transaction row of the money coming back
  version int not null default 0, primary key (bucket, id), unique (bucket, provider_account_id, provider_object_id), foreign key (bucket, payment_attempt_id) references payment_attempt);   -- fence 5
create index on dispute (bucket, payment_attempt_id);
create table transaction (                                     -- one line of the user's money history; charge, refund and dispute lines share the id of their attempt, refund, dispute
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C" not null, kind text not null check (kind in ('charge', 'refund', 'dispute', 'dispute_reversal')),
  status text not null check (status in ('pending', 'requires_action', 'processing', 'succeeded', 'failed', 'canceled', 'unknown')), amount bigint not null check (amount > 0), currency char(3) not null,
  provider_account_id smallint not null, payment_method_id uuid, subscription_id uuid, purchase_id uuid, invoice_id uuid, original_id uuid, statement_descriptor text, settled_at timestamptz, version int not null default 0,
  check ((kind = 'charge') = (original_id is null)), primary key (bucket, id)) partition by range (id);   -- fence 5: a second row for one attempt, refund or dispute meets the primary key
create index on transaction (bucket, user_id, id);
create index on transaction (bucket, invoice_id);
create table transaction_event (                               -- immutable: every status it had, and why; 'succeeded' then 'failed' is a returned debit or refund
  bucket smallint not null, transaction_id uuid not null, version int not null, user_id text collate "C" not null, status text not null, at timestamptz not null,
  cause text not null check (cause in ('user', 'renewal', 'retry', 'provider_event', 'staff', 'reconciliation', 'timeout')), primary key (bucket, transaction_id, version)) partition by range (transaction_id);

-- ---------------------------------------------------------------------------------------------------- ledger: one row per movement, balanced by construction
create table ledger_movement (                                 -- journal = rows of one (source_id, event); debit and credit the same amount in the same currency
  bucket smallint not null, source_id uuid not null check (bucket = id_bucket(source_id)), event text not null, leg text not null,   -- the fact that caused it, the rule of docs/money.md, the part ('' if one)
  debit_account_id int not null, credit_account_id int not null, currency char(3) not null, amount bigint not null check (amount > 0),
  user_id text collate "C", invoice_id uuid,                   -- the customer dimension; null for platform events
  effective_at timestamptz not null, posted_at timestamptz not null,   -- business time; uow.now, for roll-up and seal
  check (debit_account_id <> credit_account_id), primary key (bucket, source_id, event, leg),                                          -- fence 6
  foreign key (debit_account_id, currency) references ledger_account (id, currency), foreign key (credit_account_id, currency) references ledger_account (id, currency)) partition by range (source_id);
create index on ledger_movement (debit_account_id, effective_at);
create index on ledger_movement (credit_account_id, effective_at);
create index on ledger_movement (bucket, invoice_id) where invoice_id is not null;
create index on ledger_movement using brin (posted_at);
create table ledger_balance (account_id int primary key, rolled_up_to timestamptz not null, balance numeric not null);   -- sum of movements posted before rolled_up_to; add the tail
select place('ledger_balance', 'local');

-- ---------------------------------------------------------------------------------------------------- live feed, bus, webhooks, directories, audit
create table feed_entry (                                      -- per-user order without gaps; seq from customer.feed_seq; kept 7 days
  bucket smallint not null, user_id text collate "C" not null, seq bigint not null, at timestamptz not null, change text not null, subject_id uuid not null, version int not null,   -- change: MonetizationChangeType in lower case; main writes payment_status alone (subject: transaction)
  status text, previous_status text, primary key (bucket, user_id, seq, at)) partition by range (at);
create table outbox_event (                                    -- what the bus must still carry; same unit of work as the change; kept 3 days
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), user_id text collate "C", seq bigint, type text not null, data jsonb not null, published_at timestamptz, primary key (bucket, id)) partition by range (id);
create index outbox_event_waiting on outbox_event (id) where published_at is null;
create table webhook_inbox (                                   -- directory: every event once; kept 90 days
  bucket smallint not null check (bucket = key_bucket(event_id)), event_id text collate "C" not null, provider_account_id smallint not null references provider_account, id uuid not null,   -- id: whe_ of the API, same bucket
  type text not null, object_id text, source text not null check (source in ('push', 'listing')), provider_created_at timestamptz not null,
  status text not null check (status in ('new', 'done', 'ignored', 'parked')), attempts smallint not null default 0, next_action_at timestamptz, lease_until timestamptz, check (bucket = id_bucket(id)),
  primary key (bucket, event_id, provider_account_id), unique (bucket, id)) with (fillfactor = 80);
create index webhook_inbox_due on webhook_inbox (bucket, next_action_at) where next_action_at is not null;
create table webhook_payload (bucket smallint not null, id uuid not null, body bytea not null, primary key (bucket, id)) partition by range (id);   -- raw bytes as signed; kept 30 days
create table provider_ref (bucket smallint not null check (bucket = key_bucket(object_id)), object_id text collate "C" not null, provider_account_id smallint not null, kind text not null, id uuid not null,
  primary key (bucket, object_id, provider_account_id));       -- directory: provider's id -> ours, written with the row it points to; fence 5 across users
create table audit_entry (                                     -- who did what to whom; insert and select only; sealed into a chain in phase trust
  bucket smallint not null, id uuid not null, actor text not null, acting_for text collate "C", action text not null, object_id text not null, before_hash bytea, after_hash bytea, reason text, request_id text not null, primary key (bucket, id)) partition by range (id);

-- ---------------------------------------------------------------------------------------------------- phase reconciliation
create table provider_record (                                 -- a line of the provider's own books; id derived from the user's bucket where metadata names him, else random
  bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), provider_account_id smallint not null references provider_account, native_id text not null, native_type text not null, kind text not null,
  object_id text, parent_object_id text, our_ref uuid, payout_object_id text, gross bigint not null, fee bigint not null default 0, net bigint not null, currency char(3) not null, occurred_at timestamptz not null, day date not null,
  status text not null, digest bytea not null, revision smallint not null default 0, last_run_id uuid, matched_type text, matched_id uuid, matched_by text,   -- at most one subject per record
  check (net = gross - fee), primary key (bucket, id), unique (bucket, provider_account_id, native_id, native_type));
create index on provider_record (provider_account_id, day);
create table recon_finding (bucket smallint not null, id uuid not null check (bucket = id_bucket(id)), provider_account_id smallint not null references provider_account, day date not null, kind text not null, severity smallint not null, currency char(3), ours bigint, theirs bigint, delta bigint not null default 0,
  record_id uuid, subject_type text, subject_id uuid, status text not null check (status in ('waiting', 'open', 'investigating', 'healing', 'resolved', 'accepted')), first_run_id uuid, last_run_id uuid, resolved_by text, resolved_at timestamptz, note text,
  primary key (bucket, id));                                   -- id = derive_id(account, kind + subject, day): the fingerprint; a re-run meets the same row

select place(t, 'bucket') from unnest(array['provider_customer', 'idempotency_key', 'payment_method', 'payment_method_setup', 'gift', 'subscription', 'subscription_event', 'purchase',
  'entitlement_grant', 'invoice', 'invoice_line', 'customer_credit', 'revenue_schedule', 'payment_intent', 'payment_attempt', 'refund', 'dispute',
  'transaction', 'transaction_event', 'ledger_movement', 'feed_entry', 'outbox_event', 'webhook_inbox', 'webhook_payload', 'provider_ref', 'audit_entry', 'provider_record', 'recon_finding']) with ordinality u(t, n) order by n;


-- ---------------------------------------------------------------------------------------------------- roles, row security, append-only
do $$ begin create role pay_app login; exception when duplicate_object or unique_violation then null; end $$;      -- gateway: one user's rows, or staff; login: Citus nodes connect as the role
do $$ begin create role pay_worker login; exception when duplicate_object or unique_violation then null; end $$;   -- worker, relay, reconciliation: all rows
do $$ begin create role pay_reader login; exception when duplicate_object or unique_violation then null; end $$;   -- batched reads through named statements: all rows, select only
grant pay_app, pay_worker, pay_reader to current_user;           -- one DATABASE_URL: its user migrates; every pool does 'set role' when it connects
grant usage on schema public to pay_app, pay_worker, pay_reader;
grant select on all tables in schema public to pay_reader;
grant select, insert, update on all tables in schema public to pay_app, pay_worker;
revoke insert, update on provider_account, feature, tier, tier_feature, product, price, ledger_account from pay_app, pay_worker;   -- the catalogue and the chart are changed by a command, as the owner
revoke insert, update on migrations from pay_app, pay_worker;    -- TypeORM's record of what has run
grant delete on idempotency_key, webhook_inbox, provider_ref to pay_worker;
do $$                                                          -- append-only by grants
declare t text;
begin
  foreach t in array array['ledger_movement', 'transaction_event', 'subscription_event', 'audit_entry', 'price'] loop
    execute format('revoke update on %I from pay_app, pay_worker', t);
  end loop;
  for t in select c.relname from pg_class c join pg_inherits i on i.inhrelid = c.oid where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace loop
    execute format('revoke all on %I from pay_app, pay_worker, pay_reader', t);            -- partitions only through their parent, where the policy is
  end loop;
  for t in select table_name from information_schema.columns c where table_schema = 'public' and column_name = 'user_id'
           and exists (select from pg_class p where p.relname = c.table_name and p.relkind in ('r', 'p') and not p.relispartition and p.relnamespace = 'public'::regnamespace) loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($p$create policy own on %I to pay_app using (user_id = current_setting('app.user_id', true) or current_setting('app.role', true) = 'staff')$p$, t);
    execute format('create policy every on %I to pay_worker, pay_reader using (true)', t);
  end loop;
  if not exists (select from pg_extension where extname = 'citus') then        -- plain PostgreSQL: not even the owner; costs inserts nothing
    create function append_only() returns trigger language plpgsql as $f$ begin raise exception '% is append-only', tg_table_name using errcode = '23001'; end $f$;
    foreach t in array array['ledger_movement', 'transaction_event', 'subscription_event', 'audit_entry'] loop
      execute format('create trigger append_only before update or delete on %I for each row execute function append_only()', t);
      execute format('create trigger append_only_truncate before truncate on %I execute function append_only()', t);
    end loop;
  end if;
end $$;

-- signed lines, for balances and invariants: debit > 0, credit < 0
create view ledger_entry with (security_invoker = true) as        -- else a plain owner, bound by FORCE, would see nothing through it
  select bucket, source_id, event, leg, debit_account_id as account_id, currency, amount, user_id, invoice_id, effective_at, posted_at from ledger_movement
  union all select bucket, source_id, event, leg, credit_account_id, currency, -amount, user_id, invoice_id, effective_at, posted_at from ledger_movement;
grant select on ledger_entry to pay_worker;
`;

export class Main1700000000001 implements MigrationInterface {
  name = 'Main1700000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query("set local lock_timeout = '5s'");
    await runner.query(UP);
  }

  async down(): Promise<void> {
    throw new Error('Migrations only go forward: correct a released one by a new one.');
  }
}
