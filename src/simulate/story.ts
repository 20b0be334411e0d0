/**
 * A told life: a text says what people do and when, the product does the rest, and the diary that comes of it is written from the rows. The file of
 * a story is its diary: what is told in it is what must happen.
 *
 *   The lost card                                   title, then what it is about, up to an empty line
 *
 *   2027-01-31 09:00  Ana subscribes: premium by the month in USD       what a person does: a person's name begins with a capital
 *     charge of 8.00 USD: succeeded                                     what came of it
 *   2027-02-28 09:00                                                    what time brought
 *   2027-05-01 00:00  The end                                           up to when it is told
 */
import { Seeded } from '../chaos/seeded.js';
import type { PriceId } from '../domain/ids.js';
import { decimalText } from '../domain/money/currency.js';
import type { DatabaseOptions } from '../platform/database-options.js';
import { OneLineError } from '../platform/one-line-error.js';
import type { Actor, Answered } from '../usecases/contract.js';
import type { DeclineName } from './cards.js';
import { lookAt, readShelf, type Offer, type Situation } from './look.js';
import { Scheduler } from './scheduler.js';
import { openWorld, type SimulatedWorld } from './world.js';

/** What a person does, as the text has it. */
export interface StoryAct {
  at: Date;
  person: string;
  /** e.g. `subscribes: premium by the month in USD`. */
  doing: string;
}

/** A story before it is lived. */
export interface Story {
  title: string;
  /** What it is about; lines. */
  about: string[];
  acts: StoryAct[];
  endsAt: Date;
}

const ACT_LINE = /^(\d{4}-\d\d-\d\d \d\d:\d\d) {2}(\S+) (.+)$/;
const END = 'The end';

/** Reads a story's text; what the text tells of outcomes is not looked at. @throws OneLineError when it has no title, no act or no end */
export function parseStory(text: string): Story {
  const [title = '', ...rest] = text.split('\n');
  const gap = rest.indexOf('');
  const acts: StoryAct[] = [];
  let endsAt: Date | null = null;
  for (const line of rest.slice(gap + 1)) {
    const [, day, person = '', doing = ''] = ACT_LINE.exec(line) ?? [];
    if (day === undefined) continue;
    const at = new Date(`${day.replace(' ', 'T')}:00Z`);
    if (`${person} ${doing}` === END) endsAt = at;
    else acts.push({ at, person, doing });
  }
  if (title === '' || acts.length === 0 || endsAt === null)
    throw new OneLineError('A story has a title, an empty line, acts such as "2027-01-31 09:00  Ana resumes", and "The end".');
  return { title, about: rest.slice(0, Math.max(gap, 0)), acts, endsAt };
}

/** What one act has. */
interface StoryScene {
  world: SimulatedWorld;
  actor: Actor;
  shelf: readonly Offer[];
  situation: Situation;
  /** The client's key. */
  key: string;
  /** The parts that the pattern found in the text. */
  parts: readonly string[];
}

/** A verb that stories may use. */
interface StoryVerb {
  /** How it is written, for whoever writes one. */
  form: string;
  pattern: RegExp;
  /** @returns what the person is answered, one line; null: accepted */
  act(scene: StoryScene): Promise<string | null>;
}

/** Staff who pay back. */
const STAFF: Actor = { userId: 'staff', scopes: new Set(['monetization:finance']), requestId: 'story' };

const BROKEN: Readonly<Record<string, DeclineName>> = {
  'loses the card': 'lost_card',
  'has a card that expires': 'expired_card',
  'has no money on the card': 'insufficient_funds',
};

/** The verbs of stories. A new verb of the product is a new entry. */
export const STORY_VERBS: readonly StoryVerb[] = [
  {
    form: 'adds a card: visa',
    pattern: /^adds a card: (\w+)$/,
    act: async ({ world, actor, key, parts: [card] }) => {
      const started = await world.commands.startPaymentMethodSetup(actor, {
        kind: 'card',
        makeDefault: true,
        returnUrl: null,
        idempotencyKey: key,
      });
      const { setupId } = started;
      if (setupId === null) return refusalOf(started);
      const providerToken = `pm_card_${card}`;
      const completed = await world.commands.completePaymentMethodSetup(actor, { setupId, providerToken });
      if (completed.nextAction === null) return refusalOf(completed);
      world.provider.finishSetupStep(actor.userId, 'complete');
      return refusalOf(await world.commands.completePaymentMethodSetup(actor, { setupId, providerToken: null }));
    },
  },
  {
    form: 'subscribes: premium by the month in USD',
    pattern: /^subscribes: (\w+) by the (week|month|year) in ([A-Z]{3})$/,
    act: async ({ world, actor, shelf, key, parts: [tier, interval, currency] }) => {
      const offer = shelf.find((one) => one.key === tier && one.interval === interval && one.currency === currency);
      if (!offer) throw new OneLineError(`Nothing is for sale as "${tier} by the ${interval} in ${currency}".`);
      const answer = await world.commands.subscribe(actor, {
        priceId: offer.id as PriceId,
        paymentMethodId: null,
        coupon: null,
        useTrial: false,
        expectedAmount: null,
        returnUrl: null,
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
  {
    form: 'buys: super_like_pack in EUR',
    pattern: /^buys: (\w+) in ([A-Z]{3})$/,
    act: async ({ world, actor, shelf, key, parts: [product, currency] }) => {
      const offer = shelf.find((one) => one.key === product && !one.isTier && one.currency === currency);
      if (!offer) throw new OneLineError(`Nothing is for sale as "${product} in ${currency}".`);
      const answer = await world.commands.purchase(actor, {
        priceId: offer.id as PriceId,
        quantity: 1,
        paymentMethodId: null,
        expectedAmount: null,
        returnUrl: null,
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
  {
    form: 'passes 3-D Secure',
    pattern: /^(passes|fails) 3-D Secure$/,
    act: async ({ world, actor, parts: [how] }) => {
      const step = world.provider.openStepOf(actor.userId);
      if (step === null) return 'there is no step to do';
      world.provider.finishStep(step, how === 'passes' ? 'complete' : 'fail');
      return null;
    },
  },
  {
    form: 'changes to: premium_plus by the month in USD',
    pattern: /^changes to: (\w+) by the (week|month|year) in ([A-Z]{3})$/,
    act: async ({ world, actor, shelf, situation, key, parts: [tier, interval, currency] }) => {
      const offer = shelf.find((one) => one.key === tier && one.interval === interval && one.currency === currency);
      if (!offer) throw new OneLineError(`Nothing is for sale as "${tier} by the ${interval} in ${currency}".`);
      if (situation.subscription === null) return 'there is nothing to change';
      const answer = await world.commands.changeTier(actor, {
        subscriptionId: situation.subscription.id,
        newPriceId: offer.id as PriceId,
        timing: null,
        quoteId: null,
        expectedVersion: null,
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
  {
    form: 'pauses',
    pattern: /^pauses(?: until (\d{4}-\d\d-\d\d))?$/,
    act: async ({ world, actor, situation, key, parts: [until] }) => {
      if (situation.subscription === null) return 'there is nothing to pause';
      const answer = await world.commands.pauseSubscription(actor, {
        subscriptionId: situation.subscription.id,
        resumesAt: until === undefined ? null : new Date(`${until}T00:00:00Z`),
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
  {
    form: 'cancels',
    pattern: /^cancels( at once)?$/,
    act: async ({ world, actor, situation, key, parts: [atOnce] }) => {
      if (situation.subscription === null) return 'there is nothing to cancel';
      const answer = await world.commands.cancelSubscription(actor, {
        subscriptionId: situation.subscription.id,
        immediately: atOnce !== undefined,
        reason: null,
        comment: null,
        expectedVersion: null,
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
  {
    form: 'resumes',
    pattern: /^resumes$/,
    act: async ({ world, actor, situation, key }) => {
      if (situation.subscription === null) return 'there is nothing to resume';
      const { id } = situation.subscription;
      return refusalOf(
        await world.commands.resumeSubscription(actor, { subscriptionId: id, expectedVersion: null, idempotencyKey: key }),
      );
    },
  },
  {
    form: 'loses the card',
    pattern: new RegExp(`^(${Object.keys(BROKEN).join('|')})$`),
    act: async ({ world, situation, parts: [what = ''] }) => {
      if (situation.method === null) return 'there is no card';
      world.provider.breakMethod(situation.method.objectId, BROKEN[what] ?? null);
      return null;
    },
  },
  {
    form: 'is paid back by staff',
    pattern: /^is paid back by staff$/,
    act: async ({ world, situation, key }) => {
      if (situation.charge === null) return 'there is nothing to pay back';
      const answer = await world.commands.refund(STAFF, {
        transactionId: situation.charge.id,
        amount: null,
        reason: 'requested',
        note: null,
        endSubscription: false,
        idempotencyKey: key,
      });
      return refusalOf(answer);
    },
  },
];

function refusalOf({ refusals }: Answered): string | null {
  return refusals.length === 0 ? null : `refused: ${refusals.map(({ code }) => code).join(', ')}`;
}

/** Lives a story on a database of its own and tells its diary, as the story's file should be. @throws OneLineError for an act that is no verb */
export async function liveStory(story: Story, database: DatabaseOptions): Promise<string> {
  const doings = story.acts.map(({ doing }) => verbOf(doing));
  const [first] = story.acts;
  const scheduler = new Scheduler();
  const world = await openWorld({
    database,
    seeded: new Seeded(`story ${story.title}`),
    weather: 'none',
    startsAt: first?.at ?? story.endsAt,
    plans: scheduler,
  });
  scheduler.attach(world);
  try {
    const shelf = await readShelf(world);
    const diary = new Diary(world);
    scheduler.afterEach = () => diary.tell();
    const lines: string[] = [story.title, ...story.about, ''];
    for (const [nth, { at, person, doing }] of story.acts.entries()) {
      // What time brings up to then comes first; what is due at the very instant too.
      await scheduler.runUntil(at);
      lines.push(...diary.take(null));
      const actor: Actor = { userId: person.toLowerCase(), scopes: new Set(), requestId: 'story' };
      const { verb, parts } = doings[nth] ?? verbOf(doing);
      const answers: string[] = [];
      const run = async (): Promise<void> => {
        const situation = await lookAt(world, actor.userId);
        const answer = await verb.act({ world, actor, shelf, situation, key: `story-${nth}-${person}-key`, parts });
        if (answer !== null) answers.push(`    ${answer}`);
      };
      scheduler.act(at, { of: nth, run });
      await scheduler.runUntil(at);
      lines.push(`${dayText(at)}  ${person} ${doing}`, ...answers, ...diary.take(at));
    }
    await scheduler.runUntil(story.endsAt);
    lines.push(...diary.take(null), `${dayText(story.endsAt)}  ${END}`, '');
    return lines.join('\n');
  } finally {
    await world.stop();
  }
}

function verbOf(doing: string): { verb: StoryVerb; parts: string[] } {
  for (const verb of STORY_VERBS) {
    const [found, ...parts] = verb.pattern.exec(doing) ?? [];
    if (found !== undefined) return { verb, parts };
  }
  throw new OneLineError(`No story knows "${doing}". It knows: ${STORY_VERBS.map(({ form }) => form).join('; ')}.`);
}

interface DiaryRow {
  key: string;
  at: Date;
  what: string;
  word: string;
  status: string;
  currency: string | null;
  amount: bigint | null;
  until: Date | null;
  entitled: Date | null;
}

/** Everything that happened; with the last change of a subscription, how it stands since. */
const HAPPENINGS = `
  select 's' || e.subscription_id || e.version as key, e.at, case e.kind when 'created' then 0 else 2 end as place, e.version, t.name as what,
    replace(e.kind, '_', ' ') as word, replace(e.status, '_', ' ') as status, null as currency, null::bigint as amount,
    case when e.version = s.version then s.period_end end as until, case when e.version = s.version then s.entitled_until end as entitled
  from subscription_event e join subscription s on s.bucket = e.bucket and s.id = e.subscription_id join tier t on t.id = s.tier_id
  union all
  select 't' || e.transaction_id || e.version, e.at, 1, e.version, replace(t.kind, '_', ' '), '',
    replace(e.status, '_', ' ') || case when e.status = 'failed' then coalesce(' (' || a.decline_code || ')', '') else '' end, t.currency, t.amount,
    null, null
  from transaction_event e join transaction t on t.bucket = e.bucket and t.id = e.transaction_id
  left join payment_attempt a on a.bucket = t.bucket and a.id = t.id
  order by at, place, version, key`;

/** Collects what happened, in the order of time; each once. */
class Diary {
  readonly #world: SimulatedWorld;
  readonly #known = new Set<string>();
  #fresh: DiaryRow[] = [];

  constructor(world: SimulatedWorld) {
    this.#world = world;
  }

  async tell(): Promise<void> {
    const rows = await this.#world.query<DiaryRow>(HAPPENINGS);
    for (const row of rows) {
      if (this.#known.has(row.key)) continue;
      this.#known.add(row.key);
      this.#fresh.push(row);
    }
  }

  /** Lines of what was not taken yet. @param under the instant of the act they stand under; else each instant has a line of its own */
  take(under: Date | null): string[] {
    const lines: string[] = [];
    let at = under;
    for (const row of this.#fresh) {
      if (at?.getTime() !== row.at.getTime()) lines.push(dayText(row.at));
      at = row.at;
      lines.push(`    ${happeningText(row)}`);
    }
    this.#fresh = [];
    return lines;
  }
}

function happeningText({ what, word, status, currency, amount, until, entitled }: DiaryRow): string {
  if (currency !== null && amount !== null)
    return `${what} of ${decimalText({ minor: amount, currency })} ${currency}: ${status}`;
  const facts = [
    `${what}: ${word}`,
    ...(word === status ? [] : [status]),
    ...(until === null ? [] : [`period until ${dayText(until)}`]),
    ...(entitled === null ? [] : [`access until ${dayText(entitled)}`]),
  ];
  return facts.join(', ');
}

function dayText(at: Date): string {
  return at.toISOString().slice(0, 16).replace('T', ' ');
}
