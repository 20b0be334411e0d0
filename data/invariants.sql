-- Invariants of the books: every query returns violations; no row is health. Run by "npm run -s invariants", in UTC and as the role
-- pay_worker, which sees all rows. A query begins with "-- name: <name> -- <sentence>" and ends with ";". The runner puts the
-- present instant of its clock, quoted, for :'now', and names the queries whose tables this release has not.

-- name: i01_known_movement -- Every movement is one of the posting rules: event, debit and credit account belong together.
with rule (event, debit, credit) as (values
  ('invoice_finalized','customer_receivable','deferred_revenue'), ('invoice_finalized','customer_receivable','revenue'), ('invoice_finalized','customer_receivable','tax_payable'),
  ('credit_applied','customer_credit','customer_receivable'), ('credit_applied','customer_receivable','customer_credit'),
  ('payment_succeeded','provider_clearing','customer_receivable'), ('payment_succeeded','pending_receipts','customer_receivable'), ('payment_succeeded','fx_clearing','customer_receivable'),
  ('receipt_pending','provider_clearing','pending_receipts'), ('receipt_failed','pending_receipts','provider_clearing'),
  ('provider_fee','provider_fees','provider_clearing'), ('provider_fee','provider_clearing','provider_fees'),
  ('revenue_recognized','deferred_revenue','revenue'), ('revenue_recognized','revenue','deferred_revenue'),
  ('refund_requested','deferred_revenue','refunds_payable'), ('refund_requested','refunds','refunds_payable'), ('refund_requested','tax_payable','refunds_payable'),
  ('refund_settled','refunds_payable','provider_clearing'), ('refund_failed','provider_clearing','refunds_payable'), ('refund_failed','refunds_payable','customer_credit'),
  ('refund_to_balance','refunds_payable','customer_credit'),
  ('dispute_withdrawn','disputes_held','provider_clearing'), ('dispute_withdrawn','dispute_fees','provider_clearing'), ('dispute_reinstated','provider_clearing','disputes_held'), ('dispute_reinstated','provider_clearing','dispute_fees'),
  ('dispute_lost','deferred_revenue','disputes_held'), ('dispute_lost','chargeback_loss','disputes_held'), ('dispute_lost','tax_payable','disputes_held'),
  ('async_failure','customer_receivable','provider_clearing'),
  ('payout_created','payout_in_transit','provider_clearing'), ('payout_banked','bank','payout_in_transit'), ('payout_failed','provider_clearing','payout_in_transit'), ('payout_failed','provider_clearing','bank'),
  ('reserve_held','provider_reserve','provider_clearing'), ('reserve_released','provider_clearing','provider_reserve'),
  ('invoice_voided','deferred_revenue','customer_receivable'), ('invoice_voided','revenue','customer_receivable'), ('invoice_voided','tax_payable','customer_receivable'),
  ('written_off','deferred_revenue','customer_receivable'), ('written_off','bad_debt','customer_receivable'), ('written_off','tax_payable','customer_receivable'),
  ('proration_credit','deferred_revenue','customer_credit'), ('proration_credit','refunds','customer_credit'), ('proration_credit','tax_payable','customer_credit'), ('goodwill_credit','refunds','customer_credit'),
  ('gift_credited','deferred_revenue','customer_credit'), ('gift_credited','tax_payable','customer_credit'),
  ('orphan_receipt','provider_clearing','suspense'), ('orphan_refunded','suspense','provider_clearing'), ('orphan_assigned','suspense','customer_receivable'), ('unexplained_debit','suspense','provider_clearing'),
  ('fx_settlement','provider_clearing','fx_clearing'), ('fx_revaluation','fx_clearing','fx_gain_loss'), ('fx_revaluation','fx_gain_loss','fx_clearing'),
  ('tax_remitted','tax_payable','bank'), ('topup','provider_clearing','bank'))
select m.source_id, m.event, m.leg from ledger_movement m join ledger_account d on d.id = m.debit_account_id join ledger_account c on c.id = m.credit_account_id
  left join rule r on r.event = m.event and (r.debit, r.credit) in ((d.code, c.code), (case when m.leg like 'undo:%' then c.code end, d.code)) where r.event is null;

-- name: i02_trial_balance -- The rolled-up balances of a currency sum to zero.
select a.currency from ledger_balance b join ledger_account a on a.id = b.account_id group by 1 having sum(b.balance) <> 0;

-- name: i03_rollup_exact -- A rolled-up balance equals the movements it covers.
select b.account_id from ledger_balance b left join (select e.account_id, sum(e.amount) v from ledger_entry e join ledger_balance r on r.account_id = e.account_id and e.posted_at < r.rolled_up_to group by 1) e on e.account_id = b.account_id where b.balance <> coalesce(e.v, 0);

-- name: i04_undo_mirrors -- A movement that undoes another is its exact mirror.
select u.source_id, u.event, u.leg from ledger_movement u left join ledger_movement o on o.bucket = u.bucket and o.source_id = u.source_id and o.event = u.event and 'undo:' || o.leg = u.leg
  and (o.debit_account_id, o.credit_account_id, o.amount) = (u.credit_account_id, u.debit_account_id, u.amount) where u.leg like 'undo:%' and o.source_id is null;

-- name: i05_one_live_intent -- An invoice has at most one intent that is not failed or canceled.
select bucket, invoice_id from payment_intent where status not in ('failed', 'canceled') group by 1, 2 having count(*) > 1;

-- name: i06_one_open_attempt -- An intent has at most one attempt that could have taken or could still take money.
select bucket, payment_intent_id from payment_attempt where status in ('created', 'sent', 'unknown', 'requires_action', 'processing', 'succeeded') group by 1, 2 having count(*) > 1;

-- name: i07_charged_once -- An invoice has at most one succeeded charge.
select bucket, invoice_id from transaction where kind = 'charge' and status = 'succeeded' group by 1, 2 having count(*) > 1;

-- name: i08_provider_charged_once -- The provider holds at most one succeeded charge per intent that is not refunded in full.
with back as (select provider_account_id, parent_object_id, sum(-gross) v from provider_record where kind in ('refund', 'refund_failure') group by 1, 2)
select r.provider_account_id, r.our_ref from provider_record r left join back f on f.provider_account_id = r.provider_account_id and f.parent_object_id = r.object_id
  where r.kind = 'charge' and r.status = 'succeeded' and r.our_ref is not null and coalesce(f.v, 0) < r.gross group by 1, 2 having count(*) > 1;

-- name: i09_attempt_equals_intent -- Attempt, its transaction and its intent agree in amount, currency and owner.
select a.bucket, a.id from payment_attempt a join payment_intent i on i.bucket = a.bucket and i.id = a.payment_intent_id left join transaction t on t.bucket = a.bucket and t.id = a.id
  where (a.amount, a.currency, a.user_id) <> (i.amount, i.currency, i.user_id) or (t.amount, t.currency, t.user_id, t.invoice_id) is distinct from (i.amount, i.currency, i.user_id, i.invoice_id);

-- name: i10_transaction_mirrors -- A transaction's status is that of its attempt, refund or dispute, and none is without its transaction.
select s.bucket, s.id from (
    select bucket, id, 'charge' kind, case status when 'created' then 'pending' when 'sent' then 'pending' when 'declined' then 'failed' when 'late_failed' then 'failed' when 'not_executed' then 'failed' else status end status from payment_attempt
    union all select bucket, id, 'refund', case status when 'created' then 'pending' when 'sent' then 'pending' when 'pending' then 'processing' else status end from refund
    union all select bucket, id, 'dispute', 'succeeded' from dispute where is_withdrawn
    union all select bucket, reversal_id, 'dispute_reversal', 'succeeded' from dispute where reversal_id is not null) s
  full join transaction t on t.bucket = s.bucket and t.id = s.id where (s.kind, s.status) is distinct from (t.kind, t.status);

-- name: i11_intent_mirrors_attempt -- An intent is succeeded exactly if one of its attempts is.
select i.bucket, i.id from payment_intent i left join payment_attempt a on a.bucket = i.bucket and a.payment_intent_id = i.id and a.status = 'succeeded' where (i.status = 'succeeded') <> (a.id is not null);

-- name: i12_sent_is_fenced -- Whatever was sent has a time, a deadline, a key life, and a next look while open (also a CHECK).
select bucket, id from payment_attempt where status not in ('created', 'canceled') and (sent_at is null or call_deadline_at is null or key_valid_until is null) or status in ('sent', 'unknown', 'requires_action', 'processing') and next_action_at is null;

-- name: i13_unknown_ends -- No attempt or refund stays sent or unknown past 80 % of its key's life.
select bucket, id from payment_attempt where status in ('sent', 'unknown') and :'now'::timestamptz > sent_at + 0.8 * (key_valid_until - sent_at)
union all select bucket, id from refund where status in ('sent', 'unknown') and :'now'::timestamptz > sent_at + 0.8 * (key_valid_until - sent_at);

-- name: i14_work_moves -- Nothing that waits for the worker is overdue by more than an hour.
select 'attempt' what, bucket, id from payment_attempt where next_action_at < :'now'::timestamptz - interval '1 h' union all select 'refund', bucket, id from refund where next_action_at < :'now'::timestamptz - interval '1 h'
union all select 'finding', bucket, id from recon_finding where next_action_at < :'now'::timestamptz - interval '1 h' union all select 'gift', bucket, id from gift where next_action_at < :'now'::timestamptz - interval '1 h'
union all select 'subscription', bucket, id from subscription where next_action_at < :'now'::timestamptz - interval '1 h' union all select 'outbox', bucket, id from outbox_event where published_at is null and id < id_floor(:'now'::timestamptz - interval '1 h');

-- name: i15_cancel_needs_provider -- A sent attempt is canceled only on the provider's word.
select bucket, id from payment_attempt where status = 'canceled' and sent_at is not null and provider_object_id is null;

-- name: i16_invoice_receivable -- Paid, void and uncollectible invoices owe nothing; open ones owe something, at most their total.
with owed as (select e.bucket, e.invoice_id, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'customer_receivable' and e.invoice_id is not null group by 1, 2)
select i.bucket, i.id from invoice i left join owed r on r.bucket = i.bucket and r.invoice_id = i.id where (i.status in ('paid', 'void', 'uncollectible') and coalesce(r.v, 0) <> 0) or (i.status = 'open' and (coalesce(r.v, 0) <= 0 or r.v > i.total + i.debit_collected));

-- name: i17_paid_has_reason -- A paid invoice has a succeeded intent or was settled by the balance.
select i.bucket, i.id from invoice i where i.status = 'paid' and i.credit_applied + i.carried < i.total and not exists (select from payment_intent p where p.bucket = i.bucket and p.invoice_id = i.id and p.status = 'succeeded');

-- name: i18_charge_posted_once -- Each charge that ever succeeded has one payment_succeeded movement of its amount.
select t.bucket, t.id from transaction t join payment_attempt a on a.bucket = t.bucket and a.id = t.id and a.status in ('succeeded', 'late_failed')
  left join ledger_movement m on m.bucket = t.bucket and m.source_id = t.id and m.event = 'payment_succeeded' group by t.bucket, t.id, t.amount having coalesce(sum(m.amount), 0) <> t.amount;

-- name: i19_posting_has_fact -- No payment, refund or invoice movement is without its fact.
select m.bucket, m.source_id, m.event from ledger_movement m left join payment_attempt a on a.bucket = m.bucket and a.id = m.source_id and a.status in ('succeeded', 'late_failed') left join refund r on r.bucket = m.bucket and r.id = m.source_id left join invoice i on i.bucket = m.bucket and i.id = m.source_id
  where (m.event in ('payment_succeeded', 'async_failure') and a.id is null) or (m.event like 'refund%' and r.id is null) or (m.event in ('invoice_finalized', 'invoice_voided', 'written_off', 'credit_applied') and i.id is null);

-- name: i20_refund_cap -- Refunds that are not canceled never exceed their charge; one that failed became credit.
select a.bucket, a.id from payment_attempt a join refund r on r.bucket = a.bucket and r.payment_attempt_id = a.id and r.status <> 'canceled' group by a.bucket, a.id, a.amount having sum(r.amount) > a.amount;

-- name: i21_returned_cap -- Refunds plus lost or open withdrawn disputes never exceed the charge (double loss).
with back as (select bucket, payment_attempt_id, amount from refund where status in ('pending', 'succeeded') union all select bucket, payment_attempt_id, amount from dispute where is_withdrawn and status <> 'won')
select a.bucket, a.id from payment_attempt a join back b on b.bucket = a.bucket and b.payment_attempt_id = a.id group by a.bucket, a.id, a.amount having sum(b.amount) > a.amount;

-- name: i22_refunds_payable_tie -- The liability equals refunds requested and not yet settled.
select currency from (select e.currency, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'refunds_payable' group by 1
  union all select currency, sum(amount) from refund where status in ('created', 'sent', 'unknown') group by 1) x group by 1 having sum(v) <> 0;

-- name: i23_disputes_held_tie -- The held asset equals withdrawn disputes that are neither won nor lost.
select currency from (select e.currency, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'disputes_held' group by 1
  union all select currency, -sum(amount) from dispute where is_withdrawn and status in ('open', 'under_review') group by 1) x group by 1 having sum(v) <> 0;

-- name: i24_credit_tie -- Each customer's credit balance equals the ledger's; below zero the customer owes it.
select user_id, currency from (select e.bucket, e.user_id, e.currency, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'customer_credit' group by 1, 2, 3
  union all select bucket, user_id, currency, balance from customer_credit) x group by bucket, user_id, currency having sum(v) <> 0;

-- name: i25_deferred_tie -- Deferred revenue equals net of all schedules less what is earned through the last posted day, less what was reversed.
with last as (select currency, max(day) d from revenue_day group by 1),
  s as (select r.currency, sum(r.net - r.reversed - r.net * greatest(0, least(coalesce(l.d, '0001-01-01'), coalesce(r.stopped_on, r.ends_on) - 1, r.ends_on - 1) - r.starts_on + 1) / (r.ends_on - r.starts_on)) v from revenue_schedule r left join last l on l.currency = r.currency group by 1),
  g as (select e.currency, -sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code = 'deferred_revenue' group by 1)
select coalesce(s.currency, g.currency) from s full join g on g.currency = s.currency where coalesce(s.v, 0) <> coalesce(g.v, 0);

-- name: i26_revenue_days_complete -- Every day that ended an hour ago or more is recognised once for each currency in use.
select c.currency, d::date from (select currency, min(starts_on) a from revenue_schedule group by 1) c cross join lateral generate_series(c.a, (:'now'::timestamptz - interval '1 h')::date - 1, '1 day') d
  left join (select currency, day, count(*) n from revenue_day group by 1, 2) r on r.currency = c.currency and r.day = d::date where coalesce(r.n, 0) <> 1;

-- name: i27_invoices_do_not_overlap -- Service periods of a subscription's live period invoices are disjoint.
select a.bucket, a.id from invoice a join invoice b on b.bucket = a.bucket and b.subscription_id = a.subscription_id and a.id < b.id where a.kind = 'period' and b.kind = 'period' and a.status <> 'void' and b.status <> 'void'
  and tstzrange(a.period_start, a.period_end) && tstzrange(b.period_start, b.period_end);

-- name: i28_access_is_paid -- An active subscription's current period is paid, prepaid, in collection, or within grace.
select s.bucket, s.id from subscription s where s.status = 'active' and s.entitled_until > :'now'::timestamptz and s.gift_id is null and not exists (select from invoice i left join payment_intent p on p.bucket = i.bucket and p.invoice_id = i.id
  where i.bucket = s.bucket and i.subscription_id = s.id and :'now'::timestamptz <@ tstzrange(i.period_start, i.period_end) and (i.status = 'paid' or p.status in ('created', 'in_flight', 'processing', 'requires_action', 'retry_wait')));

-- name: i29_inbox_drains -- No webhook row stays new for more than 15 minutes; parked ones have a finding.
with f as materialized (select distinct subject_id from recon_finding where subject_type = 'webhook')
select w.bucket, w.id from webhook_inbox w left join f on f.subject_id = w.id where (w.status = 'new' and w.id < id_floor(:'now'::timestamptz - interval '15 min')) or (w.status = 'parked' and f.subject_id is null);

-- name: i30_client_key_settles -- Every client key has its outcome: an object that exists, or a refusal (also a CHECK). Not on Citus: a staff key and its refund lie in different shards.
select k.bucket, k.user_id, k.operation, k.key from idempotency_key k left join transaction t on k.result_type = 'refund' and t.bucket = id_bucket(k.result_id) and t.id = k.result_id left join subscription s on k.result_type = 'subscription' and s.bucket = id_bucket(k.result_id) and s.id = k.result_id
  left join purchase p on k.result_type = 'purchase' and p.bucket = id_bucket(k.result_id) and p.id = k.result_id left join payment_method_setup m on k.result_type = 'payment_method_setup' and m.bucket = id_bucket(k.result_id) and m.id = k.result_id
  left join gift g on k.result_type = 'gift' and g.bucket = id_bucket(k.result_id) and g.id = k.result_id left join entitlement_grant e on k.result_type = 'grant' and e.bucket = id_bucket(k.result_id) and e.id = k.result_id
  where (k.user_errors is null and k.result_id is null) or (k.result_id is not null and k.result_type <> 'charge' and num_nonnulls(t.id, s.id, p.id, m.id, g.id, e.id) = 0);

-- name: i31_feed_complete -- A customer's feed has no gap up to the customer's counter.
select c.bucket, c.user_id from customer c left join (select bucket, user_id, max(seq) - min(seq) + 1 - count(*) gap, max(seq) top from feed_entry group by 1, 2) f on f.bucket = c.bucket and f.user_id = c.user_id where coalesce(f.gap, 0) <> 0 or f.top <> c.feed_seq;

-- name: i32_days_reconciled -- Every provider account has a complete run for every day older than 38 hours.
select p.id, d::date from provider_account p cross join lateral generate_series(greatest(p.active_since, :'now'::timestamptz - interval '35 d'), :'now'::timestamptz - interval '62 h', '1 day') d
  left join recon_run r on r.provider_account_id = p.id and r.day = d::date and r.status = 'complete' where r.id is null;

-- name: i33_source_complete -- A complete run fetched what the provider counted.
select id from recon_run where status = 'complete' and source_total is not null and source_total <> fetched;

-- name: i34_record_explained -- Every provider record of a complete day is matched or has a finding.
with f as materialized (select distinct record_id from recon_finding where record_id is not null), u as materialized (select provider_account_id, day from recon_run where status = 'complete' group by 1, 2)
select r.bucket, r.id from provider_record r join u on u.provider_account_id = r.provider_account_id and u.day = r.day left join f on f.record_id = r.id where r.matched_id is null and f.record_id is null;

-- name: i35_provider_balance_rolls -- Provider closing equals previous closing plus the day's net.
select b.provider_account_id, b.currency, b.day from provider_balance b join provider_balance p on p.provider_account_id = b.provider_account_id and p.currency = b.currency and p.day = b.day - 1
  left join (select provider_account_id, currency, day, sum(net) v from provider_record group by 1, 2, 3) r on r.provider_account_id = b.provider_account_id and r.currency = b.currency and r.day = b.day where b.closing <> p.closing + coalesce(r.v, 0);

-- name: i36_clearing_explained -- Provider closing minus our clearing and reserve equals the unresolved findings of days up to then.
with c as (select a.provider_account_id, a.currency, (e.effective_at at time zone 'UTC')::date as day, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code in ('provider_clearing', 'provider_reserve') group by 1, 2, 3),
  f as (select provider_account_id, currency, day, sum(delta) v from recon_finding where status not in ('resolved', 'accepted') group by 1, 2, 3),
  x as (select b.provider_account_id, b.currency, b.day, b.closing, coalesce(sum(c.v), 0) v from provider_balance b left join c on c.provider_account_id = b.provider_account_id and c.currency = b.currency and c.day <= b.day group by 1, 2, 3, 4)
select x.provider_account_id, x.currency, x.day from x left join f on f.provider_account_id = x.provider_account_id and f.currency = x.currency and f.day <= x.day group by 1, 2, 3, x.closing, x.v having x.closing - x.v <> coalesce(sum(f.v), 0);

-- name: i37_payout_items -- A completed automatic payout equals the net of its items.
with r as materialized (select provider_account_id, payout_object_id, sum(net) v from provider_record where payout_object_id is not null and kind <> 'payout' group by 1, 2)
select p.bucket, p.id from payout p left join r on r.provider_account_id = p.provider_account_id and r.payout_object_id = p.provider_object_id where p.is_automatic and p.has_all_items and p.amount <> coalesce(r.v, 0);

-- name: i38_fee_posted -- Each matched record's fee is in the ledger exactly once.
with posted as (select e.bucket, e.source_id, sum(e.amount) v from ledger_entry e join ledger_account a on a.id = e.account_id where a.code in ('provider_fees', 'dispute_fees') group by 1, 2)
select r.bucket, r.id from provider_record r left join posted p on p.bucket = r.bucket and p.source_id = r.id where r.matched_id is not null and r.fee <> coalesce(p.v, 0);

-- name: i39_suspense_owned -- Suspense movements belong to a finding.
select e.bucket, e.source_id from ledger_entry e join ledger_account a on a.id = e.account_id and a.code = 'suspense' left join recon_finding f on f.bucket = e.bucket and f.id = e.source_id where f.id is null;

-- name: i40_closed_with_reason -- A closed finding says how, when, and by accepted posting or note.
select bucket, id from recon_finding where status in ('resolved', 'accepted') and (resolved_by is null or resolved_at is null or (status = 'accepted' and note is null));

-- name: i41_one_owner -- Children belong to the user of their parent.
select 'intent' what, c.bucket, c.id from payment_intent c join invoice p on p.bucket = c.bucket and p.id = c.invoice_id where c.user_id <> p.user_id
union all select 'refund', c.bucket, c.id from refund c join payment_attempt p on p.bucket = c.bucket and p.id = c.payment_attempt_id where c.user_id <> p.user_id
union all select 'invoice', c.bucket, c.id from invoice c join subscription p on p.bucket = c.bucket and p.id = c.subscription_id where c.user_id <> p.user_id and p.payer_id is distinct from c.user_id
union all select 'line', c.bucket, c.invoice_id from invoice_line c join invoice p on p.bucket = c.bucket and p.id = c.invoice_id where c.user_id <> p.user_id;

-- name: i42_lines_make_the_invoice -- An issued invoice is the sum of its lines.
select i.bucket, i.id from invoice i left join (select bucket, invoice_id, sum(amount) n, sum(tax) t from invoice_line group by 1, 2) l on l.bucket = i.bucket and l.invoice_id = i.id where i.status <> 'draft' and (coalesce(l.n, 0), coalesce(l.t, 0)) <> (i.net, i.tax);

-- name: i43_numbers_have_no_gap -- The numbers of a legal entity's invoices, and of its credit notes, run from 1 to its counter, each given once.
with given as (select legal_entity, 'invoice' as kind, number, number ~ '^INV-[0-9]{8,}$' as is_one from invoice where number is not null
    union all select legal_entity, 'credit_note', number, number ~ '^CRN-[0-9]{8,}$' from credit_note where number is not null),
  n as (select legal_entity, kind, bool_and(is_one) is_one, count(*) given, count(distinct number) different, min(ltrim(substr(number, 5), '0')::bigint) first, max(ltrim(substr(number, 5), '0')::bigint) last from given group by 1, 2)
select coalesce(c.legal_entity, n.legal_entity) as legal_entity, coalesce(c.kind, n.kind) as kind from document_counter c full join n on n.legal_entity = c.legal_entity and n.kind = c.kind
  where c.last is distinct from coalesce(n.last, 0) or (n.given is not null and (not n.is_one or n.first <> 1 or n.last <> n.given or n.different <> n.given));

-- name: i44_documents_are_numbered -- An invoice, and a credit note that is issued, has its number an hour later.
select 'invoice' what, bucket, id from invoice where number is null and status <> 'draft' and finalized_at < :'now'::timestamptz - interval '1 h'
union all select 'credit_note', n.bucket, n.id from credit_note n where n.number is null and n.canceled_at is null and n.refund_id is null and id_time(n.id) < :'now'::timestamptz - interval '1 h'
union all select 'credit_note', n.bucket, n.id from credit_note n join transaction_event e on e.bucket = n.bucket and e.transaction_id = n.refund_id and e.status in ('processing', 'succeeded', 'failed') and e.at < :'now'::timestamptz - interval '1 h'
  where n.number is null and n.canceled_at is null;

-- name: i45_notes_are_credited -- Credit notes that stand give back no more of a line than is credited of it, and of a refund no more than its amount; a canceled refund has none.
select 'line' what, n.bucket, n.invoice_id as id from credit_note n join invoice_line l on l.bucket = n.bucket and l.invoice_id = n.invoice_id and l.position = n.position where n.canceled_at is null and n.voided_at is null
  group by n.bucket, n.invoice_id, n.position, l.credited, l.credited_tax having sum(n.net + n.tax) > l.credited or sum(n.tax) > l.credited_tax
union all select 'refund', r.bucket, r.id from refund r join credit_note n on n.bucket = r.bucket and n.refund_id = r.id group by r.bucket, r.id, r.amount, r.status
  having sum(n.net + n.tax) > r.amount or bool_or(n.canceled_at is null) = (r.status = 'canceled');

-- name: i46_coupon_counted -- A limited coupon was counted once for each subscription that has it or had it.
select u.bucket, u.coupon_id from coupon_usage u left join (select coupon_id, count(distinct subscription_id) n from coupon_use group by 1) s on s.coupon_id = u.coupon_id where u.redeemed <> coalesce(s.n, 0);
