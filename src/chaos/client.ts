/**
 * A customer's program: it keeps each key before it sends it, sends the same request again under the same key after whatever goes wrong,
 * to either gateway, and writes down every answer.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isSettled, type Answer, type KeptRequest } from './answers.js';
import type { Chronicle } from './chronicle.js';
import type { Seeded } from './seeded.js';

/** Where requests go, by whom, and what is known to all clients. */
export interface Scene {
  /** Addresses of the gateways. */
  gateways: readonly [string, ...string[]];
  chronicle: Chronicle;
  token(userId: string, scopes: string[]): Promise<string>;
  /** Every key of every client. */
  kept: KeptRequest[];
}

/** A client waits so long for an answer before it asks again. */
const PATIENCE_MS = 7_000;
const AGAIN_MS = { least: 50, most: 600 };

/** A verb of the graph as clients send it: its input's type, what it asks back, and where the ids are in the answer. */
interface Verb {
  inputType: string;
  selection: string;
  /** Fields of the answer that are objects with an id. */
  objects: readonly string[];
}

const STEP = 'nextAction { redirectUrl }';
const ERRORS = 'userErrors { code message }';
const VERBS: Readonly<Record<string, Verb>> = {
  startPaymentMethodSetup: { inputType: 'StartPaymentMethodSetupInput', selection: `setupId ${STEP} ${ERRORS}`, objects: [] },
  completePaymentMethodSetup: {
    inputType: 'CompletePaymentMethodSetupInput',
    selection: `paymentMethod { id } ${STEP} ${ERRORS}`,
    objects: ['paymentMethod'],
  },
  subscribe: {
    inputType: 'SubscribeInput',
    selection: `subscription { id status } transaction { id status amount { amountMinor currency } } ${STEP} ${ERRORS}`,
    objects: ['subscription', 'transaction'],
  },
  purchase: {
    inputType: 'PurchaseInput',
    selection: `purchase { id status } transaction { id status amount { amountMinor currency } } ${STEP} ${ERRORS}`,
    objects: ['purchase', 'transaction'],
  },
  confirmPayment: {
    inputType: 'ConfirmPaymentInput',
    selection: `transaction { id status amount { amountMinor currency } } ${ERRORS}`,
    objects: ['transaction'],
  },
  cancelSubscription: {
    inputType: 'CancelSubscriptionInput',
    selection: `subscription { id status } ${ERRORS}`,
    objects: ['subscription'],
  },
  refund: {
    inputType: 'RefundInput',
    selection: `refund { id status } original { id } ${ERRORS}`,
    objects: ['refund', 'original'],
  },
};

/** The parts of an answer that clients look at. */
export interface Payload {
  setupId?: string | null;
  paymentMethod?: { id: string } | null;
  subscription?: { id: string; status: string } | null;
  purchase?: { id: string; status: string } | null;
  transaction?: { id: string; status: string; amount?: { amountMinor: number; currency: string } } | null;
  refund?: { id: string; status: string } | null;
  original?: { id: string } | null;
  nextAction?: { redirectUrl: string | null } | null;
  userErrors: { code: string; message: string }[];
}

/** What a request came to: the answer, or the words for why there is none. */
type Outcome = { payload: Payload } | { trouble: string };

/** One user's program. */
export class Client {
  readonly #scene: Scene;
  readonly #chance: Seeded;
  readonly userId: string;
  readonly #scopes: string[];
  #token: string | null = null;

  constructor(scene: Scene, userId: string, chance: Seeded, scopes: string[] = []) {
    this.#scene = scene;
    this.userId = userId;
    this.#chance = chance;
    this.#scopes = scopes;
  }

  /** A new key for a verb, kept before anything is sent. */
  keep(verb: string, input: Readonly<Record<string, unknown>>): KeptRequest {
    const request = { userId: this.userId, verb, key: this.#chance.hex(32), input, answers: [], troubles: [] };
    this.#scene.kept.push(request);
    this.#scene.chronicle.count(`operations: ${verb}`);
    return request;
  }

  /**
   * Sends a kept request until it is settled, always under its key.
   * @returns null when it was not settled before `giveUp` said so
   */
  async settle(request: KeptRequest, giveUp: () => boolean): Promise<Payload | null> {
    for (;;) {
      const payload = await this.repeat(request);
      const last = request.answers.at(-1);
      if (payload && last && isSettled(last)) return payload;
      if (giveUp()) return null;
      await pause(this.#chance.int(AGAIN_MS.least, AGAIN_MS.most));
    }
  }

  /** Sends a kept request once and writes down what came of it; null when no answer came. */
  async repeat(request: KeptRequest): Promise<Payload | null> {
    const gateway = this.#chance.pick(this.#scene.gateways);
    const outcome = await this.#send(gateway, request.verb, { ...request.input, idempotencyKey: request.key });
    const at = this.#scene.chronicle.now();
    if ('trouble' in outcome) {
      request.troubles.push({ at, what: `${gateway}: ${outcome.trouble}` });
      return null;
    }
    request.answers.push({ at, gateway, ...answerOf(request.verb, outcome.payload) });
    return outcome.payload;
  }

  /** Asks a verb that takes no key, again while no answer comes; null when the provider was away so often, or `giveUp` said so. */
  async ask(
    verb: string,
    input: Readonly<Record<string, unknown>>,
    mostUnavailable: number,
    giveUp: () => boolean,
  ): Promise<Payload | null> {
    for (let unavailable = 0; unavailable < mostUnavailable && !giveUp();) {
      const outcome = await this.#send(this.#chance.pick(this.#scene.gateways), verb, input);
      const isAway = 'payload' in outcome && outcome.payload.userErrors.some(({ code }) => code === 'PROVIDER_UNAVAILABLE');
      if ('payload' in outcome && !isAway) return outcome.payload;
      if (isAway) unavailable++;
      await pause(this.#chance.int(AGAIN_MS.least, AGAIN_MS.most));
    }
    return null;
  }

  async #send(gateway: string, verb: string, input: object): Promise<Outcome> {
    const known = VERBS[verb];
    if (!known) throw new Error(`no such verb: ${verb}`);
    const { chronicle } = this.#scene;
    this.#token ??= await this.#scene.token(this.userId, this.#scopes);
    chronicle.count('requests');
    const outcome = await post(gateway, this.#token, {
      query: `mutation Do($input: ${known.inputType}!) { ${verb}(input: $input) { ${known.selection} } }`,
      variables: { input },
    }).catch((error: unknown): { trouble: string } => ({ trouble: wordsOf(error) }));
    if ('trouble' in outcome) chronicle.count(`no answer: ${outcome.trouble}`);
    if ('trouble' in outcome) return outcome;
    const payload = outcome.data?.[verb];
    if (payload) return { payload };
    const code = outcome.errors?.[0]?.extensions?.code ?? 'no data';
    chronicle.count(`no answer: ${code}`);
    return { trouble: code };
  }
}

interface GraphAnswer {
  data?: Readonly<Record<string, Payload | null>> | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

async function post(gateway: string, token: string, body: object): Promise<GraphAnswer> {
  const answer = await fetch(`${gateway}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  // What the graph answers; anything else is caught as no answer.
  return (await answer.json()) as GraphAnswer;
}

function wordsOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'timed out';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof SyntaxError ? 'broken answer' : 'cut off';
}

function answerOf(verb: string, payload: Payload): Omit<Answer, 'at' | 'gateway'> {
  const ids: Record<string, string | null> = {};
  for (const name of VERBS[verb]?.objects ?? []) {
    // Every name in the table is a field of Payload that holds an object with an id.
    const object = payload[name as 'transaction'];
    ids[name] = object?.id ?? null;
  }
  if (verb === 'startPaymentMethodSetup') ids['setup'] = payload.setupId ?? null;
  const status = payload.refund?.status ?? payload.transaction?.status ?? null;
  return { ids, refusals: payload.userErrors.map(({ code, message }) => ({ code, message })), status };
}
