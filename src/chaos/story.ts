/** What happened to one object of a run, from every side, in the order of the sandbox's clock. */
import type pg from 'pg';
import { isUuid, parseAnyPublicId } from '../domain/ids.js';
import type { KeptRequest } from './answers.js';
import type { Stage } from './stage.js';
import type { Problem } from './verdict.js';

/** A line of a story. */
interface Line {
  at: Date;
  who: string;
  text: string;
}

/** Disturbances are told from so long before the first to so long after the last line of the story. */
const NEAR_MS = 20_000;
const MOST_LINES = 80;
/** Any key of test mode opens the stand-in. */
const STAND_IN_KEY = 'sk_test_sandbox';

interface EventPage {
  data: { id: string; type: string; created: number; data: { object: object } }[];
  has_more: boolean;
}

/** Tells the story of a problem: rows and their events, the provider's object and events, the client's answers, the disturbances near it. */
export async function tellStory(stage: Stage, problem: Problem, kept: readonly KeptRequest[]): Promise<string> {
  const own = kept.filter(({ key }) => key === problem.subject);
  const names = new Set([problem.subject, ...own.flatMap(idsOf)]);
  for (const name of names) {
    const uuid = parseAnyPublicId(name)?.id;
    if (uuid) names.add(uuid);
  }
  const rows = await stage.database.connected((client) => readRows(client, [...names]));
  for (const row of rows) for (const id of row.ids) names.add(id);
  const lines: Line[] = rows.flatMap(({ lines: told }) => told);
  for (const request of kept) {
    const isAbout =
      own.includes(request) || idsOf(request).some((id) => names.has(id) || names.has(parseAnyPublicId(id)?.id ?? ''));
    if (isAbout) lines.push(...answersOf(request));
  }
  for (const event of await listEvents(stage)) {
    const text = JSON.stringify(event.data.object);
    if ([...names].some((name) => /^(pi|ch|re|dp|evt)_/.test(name) && (text.includes(`"${name}"`) || event.id === name)))
      lines.push({ at: new Date(event.created * 1_000), who: 'Stripe', text: `${event.type} (${event.id}) ${shortened(text)}` });
  }
  const times = lines.map(({ at }) => at.getTime());
  const [from, to] = times.length === 0 ? [0, Infinity] : [Math.min(...times) - NEAR_MS, Math.max(...times) + NEAR_MS];
  for (const { at, text } of stage.chronicle.disturbances)
    if (at.getTime() >= from && at.getTime() <= to) lines.push({ at, who: 'chaos', text });
  const told = lines.toSorted((one, other) => one.at.getTime() - other.at.getTime()).slice(0, MOST_LINES);
  return [`${problem.kind} of ${problem.subject}: ${problem.text}`, ...told.map(lineText)].join('\n');
}

function lineText({ at, who, text }: Line): string {
  return `    ${at.toISOString()}  ${who.padEnd(8)} ${text}`;
}

function idsOf({ answers }: KeptRequest): string[] {
  return answers.flatMap(({ ids }) => Object.values(ids).filter((id) => id !== null));
}

function answersOf({ verb, key, answers, troubles }: KeptRequest): Line[] {
  return [
    ...answers.map(({ at, gateway, ids, refusals, status }) => ({
      at,
      who: 'client',
      text: `${verb} ${key} at ${gateway}: ${[status, ...Object.values(ids), ...refusals.map(({ code }) => code)].filter(Boolean).join(' ')}`,
    })),
    ...troubles.map(({ at, what }) => ({ at, who: 'client', text: `${verb} ${key}: no answer, ${what}` })),
  ];
}

interface FoundRow {
  ids: string[];
  lines: Line[];
}

/** Attempts, refunds and disputes that any of the names leads to, and what became of each. */
async function readRows(client: pg.ClientBase, names: string[]): Promise<FoundRow[]> {
  const uuids = names.filter(isUuid);
  const { rows } = await client.query<{ what: string; id: string; row: Record<string, unknown> }>(
    `with wanted as (
       select a.id from payment_attempt a join payment_intent i on i.id = a.payment_intent_id join transaction t on t.id = a.id
       where a.id = any($1) or i.id = any($1) or i.invoice_id = any($1) or t.subscription_id = any($1) or t.purchase_id = any($1)
          or a.provider_object_id = any($2) or a.provider_charge_id = any($2)
          or a.id in (select payment_attempt_id from refund where id = any($1) or provider_object_id = any($2))
          or a.id in (select payment_attempt_id from dispute where id = any($1) or provider_object_id = any($2)))
     select 'charge' as what, id, to_jsonb(a) as row from payment_attempt a where id in (select id from wanted)
     union all select 'refund', id, to_jsonb(r) from refund r where payment_attempt_id in (select id from wanted)
     union all select 'dispute', id, to_jsonb(d) from dispute d where payment_attempt_id in (select id from wanted)`,
    [uuids, names],
  );
  const found: FoundRow[] = [];
  for (const { what, id, row } of rows) {
    const events = await client.query<{ at: Date; status: string; cause: string; version: number }>(
      'select at, status, cause, version from transaction_event where transaction_id = $1 order by version',
      [id],
    );
    const keys = ['provider_object_id', 'provider_charge_id']
      .map((name) => row[name])
      .filter((value) => typeof value === 'string');
    const sent =
      typeof row['sent_at'] === 'string' ? [{ at: new Date(row['sent_at']), who: 'row', text: `${what} ${id} was sent` }] : [];
    const last = events.rows.at(-1)?.at ?? new Date(0);
    found.push({
      ids: [id, ...keys],
      lines: [
        ...events.rows.map(({ at, status, cause, version }) => ({
          at,
          who: 'row',
          text: `${what} ${id} ${version}: ${status} (${cause})`,
        })),
        ...sent,
        { at: last, who: 'row', text: `${what} ${id} in the end: ${shortened(JSON.stringify(row), 700)}` },
      ],
    });
  }
  return found;
}

async function listEvents(stage: Stage): Promise<EventPage['data']> {
  const events: EventPage['data'] = [];
  for (let after = ''; ;) {
    const answer = await fetch(`${stage.standInUrl}/v1/events?limit=100${after}`, {
      headers: { authorization: `Bearer ${STAND_IN_KEY}` },
    });
    // Stripe's own shape of a list.
    const page = (await answer.json()) as EventPage;
    events.push(...page.data);
    const last = page.data.at(-1);
    if (!page.has_more || !last) return events;
    after = `&starting_after=${last.id}`;
  }
}

function shortened(text: string, most = 240): string {
  return text.length <= most ? text : `${text.slice(0, most)}...`;
}
