/**
 * HTTP over as few instructions as it takes: what asks must not be busier than what answers, or the bench measures itself. Requests are
 * made once and written as they are; of answers the status is read, and the body where it is wanted.
 */
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

interface LineAnswer {
  /** 0: the line was cut. */
  status: number;
  body: string;
}

/** An answer, and how long it took, milliseconds, the wait for a free line included. */
export interface WireAnswer extends LineAnswer {
  tookMs: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** Connections to one server that stay open, as a load balancer has them: as many as there are requests at once, up to a limit. */
export class Wire {
  readonly #idle: Line[] = [];
  readonly #all = new Set<Line>();
  /** Requests that wait for a line, the first first. */
  #waiting: ((line: Line) => void)[] = [];
  readonly #host: string;
  readonly #port: number;

  /** @param mostLines at once; a request above waits here until one is free */
  constructor(
    url: URL,
    private readonly mostLines = Number.POSITIVE_INFINITY,
  ) {
    this.#host = url.hostname;
    this.#port = Number(url.port);
  }

  /** The bytes of a GraphQL request. */
  request(body: object, token: string | null): Buffer {
    const text = JSON.stringify(body);
    const authorization = token === null ? '' : `authorization: Bearer ${token}\r\n`;
    return Buffer.from(
      `POST /graphql HTTP/1.1\r\nhost: ${this.#host}:${this.#port}\r\n${authorization}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  }

  /** The bytes of a GET. */
  get(path: string): Buffer {
    return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${this.#host}:${this.#port}\r\n\r\n`);
  }

  /** Sends one and waits for its answer. */
  async send(request: Buffer): Promise<WireAnswer> {
    const startedMs = performance.now();
    const line =
      this.#idle.pop() ??
      (this.#all.size < this.mostLines ? this.#open() : await new Promise<Line>((go) => void this.#waiting.push(go)));
    const { status, body } = await line.send(request);
    if (status === 0) this.#all.delete(line);
    const free = status === 0 && this.#waiting.length > 0 ? this.#open() : line;
    const next = this.#waiting.shift();
    if (next) next(free);
    else if (status > 0) this.#idle.push(line);
    return { status, body, tookMs: performance.now() - startedMs };
  }

  /** Asks and reads the answer. @throws Error when it is not 200 or holds errors */
  async ask<Data>(body: object, token: string | null): Promise<Data> {
    const { status, body: text } = await this.send(this.request(body, token));
    const answer = JSON.parse(text || '{}') as { data?: Data; errors?: unknown };
    if (status !== 200 || !answer.data || answer.errors) throw new Error(`${status} ${text.slice(0, 300)}`);
    return answer.data;
  }

  close(): void {
    for (const line of this.#all) line.close();
  }

  /** Open connections: as many as there were requests at once. */
  get lines(): number {
    return this.#all.size;
  }

  #open(): Line {
    const line = new Line(this.#host, this.#port);
    this.#all.add(line);
    return line;
  }
}

/** One connection; one request at a time. */
class Line {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #resolve: ((answer: LineAnswer) => void) | null = null;

  constructor(host: string, port: number) {
    this.#socket = net.connect({ host, port, noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#answer(0, ''));
  }

  send(request: Buffer): Promise<LineAnswer> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#socket.destroyed) this.#answer(0, '');
      else this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString('latin1', 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const end = headEnd + HEAD_END.length + length;
    if (this.#received.length < end) return;
    const body = this.#received.toString('utf8', headEnd + HEAD_END.length, end);
    this.#received = this.#received.subarray(end);
    this.#answer(Number(head.slice(9, 12)), body);
  }

  #answer(status: number, body: string): void {
    const resolve = this.#resolve;
    this.#resolve = null;
    resolve?.({ status, body });
  }
}

/** Answers of a stretch of time, with when each request was sent, or was due where there is a rate, from the beginning of the stretch. */
export interface Stretch {
  answers: { status: number; tookMs: number; sentMs: number }[];
  tookMs: number;
  /** How late requests were sent, 99 of 100 within: the bench's own tiredness. */
  latenessMs: number[];
}

/**
 * Sends at a rate, whatever the answers: people who come do not wait for one another. An answer's time counts from when its request was due, so a
 * bench that is late makes answers look slower and never faster.
 */
export async function sendAtRate(
  send: (number: number) => Promise<WireAnswer>,
  ratePerS: number,
  forMs: number,
): Promise<Stretch> {
  const stretch: Stretch = { answers: [], tookMs: 0, latenessMs: [] };
  const open: Promise<void>[] = [];
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const nowMs = performance.now() - startedMs;
      const due = Math.floor((Math.min(nowMs, forMs) * ratePerS) / 1_000);
      while (open.length < due) {
        const number = open.length;
        const dueMs = (number * 1_000) / ratePerS;
        const lateMs = performance.now() - startedMs - dueMs;
        stretch.latenessMs.push(lateMs);
        open.push(
          send(number).then(({ status, tookMs }) => {
            stretch.answers.push({ status, tookMs: tookMs + lateMs, sentMs: dueMs });
          }),
        );
      }
      if (nowMs < forMs) setTimeout(turn, 1);
      else resolve();
    };
    turn();
  });
  await Promise.all(open);
  stretch.tookMs = performance.now() - startedMs;
  return stretch;
}

/** Who was refused comes back after so long, milliseconds: at once it would only keep the server busy with refusing. */
const REFUSED_PAUSE_MS = 20;

/** Keeps so many requests open all the time. */
export async function sendAtOnce(send: (number: number) => Promise<WireAnswer>, count: number, forMs: number): Promise<Stretch> {
  const stretch: Stretch = { answers: [], tookMs: 0, latenessMs: [0] };
  const startedMs = performance.now();
  let number = 0;
  const work = async (): Promise<void> => {
    while (performance.now() - startedMs < forMs) {
      const sentMs = performance.now() - startedMs;
      const { status, tookMs } = await send(number++);
      stretch.answers.push({ status, tookMs, sentMs });
      if (status !== 200) await pause(REFUSED_PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: count }, work));
  stretch.tookMs = performance.now() - startedMs;
  return stretch;
}
