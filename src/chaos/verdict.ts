/** Whether a run was survived: the provider's truth against the books, the invariants, and what clients were told. */
import type pg from 'pg';
import { checkInvariants, type Invariant } from '../store/invariants.js';
import { contradictions, isSettled, type KeptRequest } from './answers.js';
import { compareBooks, readBooks } from './compare-books.js';
import type { Unrest } from './quiet.js';
import type { Stage } from './stage.js';

/** Something that must not be. `subject` is what the story is about: an id of ours or the provider's, or a client's key. */
export interface Problem {
  kind: string;
  subject: string;
  text: string;
}

/** All that a run is judged by. */
export async function judge(
  stage: Stage,
  { kept, invariants, unrest }: { kept: readonly KeptRequest[]; invariants: readonly Invariant[]; unrest: Unrest },
): Promise<Problem[]> {
  const truth = await stage.truth();
  const { books, rows } = await stage.database.connected(async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const results = await checkInvariants(client, invariants, stage.clock.now());
    return { rows: results, books: await readBooks(client) };
  });
  const broken = rows.flatMap((result) =>
    result.kind === 'checked' && result.violations > 0
      ? [
          {
            kind: 'invariant',
            subject: idIn(result.examples),
            text: `${result.name}: ${result.violations} rows, e.g. ${result.examples[0]}`,
          },
        ]
      : [],
  );
  return [
    ...compareBooks(truth, books),
    ...broken,
    ...kept
      .flatMap(contradictions)
      .map(({ key, text }) => ({ kind: 'two_answers', subject: key, text: `Under one key ${text}.` })),
    ...kept
      .filter((request) => !isAnswered(request))
      .map(({ key, verb }) => ({
        kind: 'no_answer',
        subject: key,
        text: `A ${verb} was never answered, however often it was asked.`,
      })),
    ...(kept.some((request) => request.verb !== 'startPaymentMethodSetup')
      ? []
      : [{ kind: 'nothing_happened', subject: 'workload', text: 'Nobody came to buy anything: this run shows nothing.' }]),
    ...restless(unrest),
    ...stage.chronicle.all('ended by itself: at work ').map(([name, count]) => ({
      kind: 'died',
      subject: name,
      text: `${name} ended by itself ${count} times while it was at work.`,
    })),
  ];
}

/** Every verb that moves money is answered in the end; a card that could not be added was given up by its customer. */
function isAnswered({ verb, answers }: KeptRequest): boolean {
  return verb === 'startPaymentMethodSetup' || answers.some(isSettled);
}

function restless({ open, events, changes, days, unheard }: Unrest): Problem[] {
  const found: Problem[] = open.map(({ what, status, count }) => ({
    kind: 'still_open',
    subject: status,
    text: `${count} of kind ${what} are still ${status} after all that time.`,
  }));
  if (events > 0)
    found.push({ kind: 'still_open', subject: 'events', text: `${events} events of the provider were not applied.` });
  if (changes > 0)
    found.push({ kind: 'still_open', subject: 'outbox', text: `${changes} changes were not carried to the gateways.` });
  if (days > 0) found.push({ kind: 'still_open', subject: 'revenue', text: `${days} days that are over were not closed.` });
  for (const event of unheard)
    found.push({ kind: 'lost_event', subject: event, text: 'An event of the provider never came to us.' });
  return found;
}

/** The first id in the rows of an invariant. */
function idIn(examples: readonly string[]): string {
  return /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(examples.join(' '))?.[0] ?? '';
}

/** Figures of the product itself, for the table at the end. */
export async function figuresOf(client: pg.ClientBase): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  const { rows } = await client.query<{ name: string; count: number }>(
    `select 'charges succeeded' as name, count(*)::int as count from payment_attempt where status = 'succeeded'
     union all select 'charges without money', count(*)::int from payment_attempt where status in ('declined', 'canceled', 'not_executed')
     union all select 'refunds succeeded', count(*)::int from refund where status = 'succeeded'
     union all select 'refunds failed or canceled', count(*)::int from refund where status in ('failed', 'canceled')
     union all select 'disputes', count(*)::int from dispute
     union all select 'outcomes that were unknown', count(distinct transaction_id)::int from transaction_event where status = 'unknown'
     union all select 'events by listing', count(*)::int from webhook_inbox where source = 'listing'
     union all select 'events parked', count(*)::int from webhook_inbox where status = 'parked'
     union all select 'finding ' || kind, count(*)::int from recon_finding group by kind`,
  );
  for (const { name, count } of rows) figures[name] = count;
  return figures;
}
