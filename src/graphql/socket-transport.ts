/**
 * Subscriptions over WebSocket, protocol graphql-transport-ws. The close codes are chosen for what clients of graphql-ws do with them:
 * 1012, 1013 and 4403 are tried again with a fresh token and the last cursor; 4400 and its like end the client for good.
 */
import type { IncomingMessage } from 'node:http';
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import type { Duplex } from 'node:stream';
import { GraphQLError, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import { handleProtocols, makeServer, type Context, type Server, type SubscribePayload } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';
import type { ClientAddresses } from '../platform/client-address.js';
import { isListedOrigin, type OriginList } from '../platform/origins.js';
import type { Clock } from '../ports/clock.js';
import { isRecord, readGraphRequest, type Admission, type Caller } from './admission.js';
import { identify, type TokenChecker } from './callers.js';
import { hasCardData, readText } from './card-guard.js';
import { badRequest, cardDataRefused, draining, formatResult } from './errors.js';
import type { GraphMetrics } from './graph-metrics.js';
import type { LiveOperations } from './live-operations.js';
import { ROUTER_HEADER } from './router-proof.js';

/** Largest message, bytes. */
const MESSAGE_LIMIT = 64 * 1024;
/** Operations at once on one socket. */
const OPERATIONS_PER_SOCKET = 10;
/** Sockets of one user; one more and the oldest is closed. */
const SOCKETS_PER_USER = 5;
/**
 * Bytes that may wait for one client. Streams wait until the network has taken their last item, so only a client that asks and does not
 * read gets here.
 */
const UNSENT_LIMIT = 1024 * 1024;
/** Pings in a row that may stay without an answer. */
const MISSED_PONGS = 2;
/** Longest delay a timer can hold. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Close codes of ours; graphql-ws has its own for breaches of the protocol. */
const CLOSE = { restart: 1012, tryAgainLater: 1013, badRequest: 4400, forbidden: 4403 } as const;

/** How long things may take, milliseconds. */
export interface SocketTimings {
  /** From the opening to the client's first message. */
  initWaitMs: number;
  /** Between pings. */
  pingEveryMs: number;
  /** That a message may wait for a client that does not read; as long again it has to read that it is sent away. */
  slowReaderMs: number;
}

/** Defaults of SocketTimings. */
export const SOCKET_TIMINGS: SocketTimings = { initWaitMs: 5_000, pingEveryMs: 25_000, slowReaderMs: 30_000 };

/** What the transport is made of. */
export interface SocketTransportOptions {
  admission: Admission;
  checker: TokenChecker;
  live: LiveOperations;
  metrics: GraphMetrics;
  machineClock: Clock;
  makeRequestId: () => string;
  addresses: ClientAddresses;
  /** Pages besides our own that may connect. */
  origins: OriginList;
  timings: SocketTimings;
  format: (error: unknown, requestId: string) => GraphQLFormattedError;
  reportCardData: (surface: string, path: string) => void;
}

interface Connection {
  socket: WebSocket;
  /** What the request for the upgrade said; the request itself is not kept, since there are many connections. */
  upgrade: { authorization: string | undefined; routerHeader: string | undefined; address: string };
  caller: Caller | null;
  missedPongs: number;
  /** Messages not yet taken by the network, and since when there are any. */
  unsentCount: number;
  unsentSinceMs: number;
  expiry: NodeJS.Timeout | null;
  /** When it was told that it reads too slowly; null: it was not. */
  cutAtMs: number | null;
}

/** All WebSocket connections of one process. */
export class SocketTransport {
  readonly #options: SocketTransportOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_LIMIT,
    perMessageDeflate: false,
    handleProtocols,
  });
  readonly #protocol: Server<Connection>;
  readonly #connections = new Set<Connection>();
  readonly #byUser = new Map<string, Set<Connection>>();
  readonly #pings: NodeJS.Timeout;
  readonly #sweeps: NodeJS.Timeout;
  #isDraining = false;

  constructor(options: SocketTransportOptions) {
    this.#options = options;
    this.#protocol = this.#makeProtocol();
    this.#pings = setInterval(() => this.#ping(), options.timings.pingEveryMs).unref();
    this.#sweeps = setInterval(() => this.#cutSlowReaders(), Math.ceil(options.timings.slowReaderMs / 6)).unref();
  }

  /** Number of open connections. */
  get openSockets(): number {
    return this.#connections.size;
  }

  /** Bytes that wait for clients to read. */
  get unsentBytes(): number {
    let bytes = 0;
    for (const { socket } of this.#connections) bytes += socket.bufferedAmount;
    return bytes;
  }

  /** Takes over a connection that asks for the upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#isDraining) return refuseUpgrade(socket, '503 Service Unavailable');
    if (!this.#isAllowedOrigin(request)) return refuseUpgrade(socket, '403 Forbidden');
    this.#server.handleUpgrade(request, socket, head, (upgraded) => this.#open(upgraded, request));
  }

  /** From now on a connection is closed with 1012 when the last operation on it has ended, and none is taken. */
  beginDrain(): void {
    this.#isDraining = true;
    clearInterval(this.#pings);
    clearInterval(this.#sweeps);
  }

  /** Closes what is still open with 1012: connections without an operation, and clients that do not read. */
  endDrain(): void {
    for (const { socket } of this.#connections) socket.close(CLOSE.restart, 'Service restart');
  }

  /** Ends what has not closed by itself. */
  stop(): void {
    for (const { socket } of this.#connections) socket.terminate();
    this.#server.close();
  }

  #isAllowedOrigin({ headers }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin === undefined) return true; // not a browser
    return isListedOrigin(this.#options.origins, origin) || (URL.canParse(origin) && new URL(origin).host === host);
  }

  #open(socket: WebSocket, { headers, socket: { remoteAddress } }: IncomingMessage): void {
    const { addresses } = this.#options;
    const routerHeader = headers[ROUTER_HEADER];
    const connection: Connection = {
      socket,
      upgrade: {
        authorization: headers.authorization,
        routerHeader: typeof routerHeader === 'string' ? routerHeader : undefined,
        address: addresses.of(remoteAddress, headers['x-forwarded-for']),
      },
      caller: null,
      missedPongs: 0,
      unsentCount: 0,
      unsentSinceMs: 0,
      expiry: null,
      cutAtMs: null,
    };
    this.#connections.add(connection);
    const { format, makeRequestId } = this.#options;
    let take: (text: string) => Promise<void> = async () => undefined;
    const closed = this.#protocol.opened(
      {
        protocol: socket.protocol,
        send: (text) => this.#send(connection, text),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handler) => {
          take = handler;
        },
      },
      connection,
    );
    socket.on('pong', () => {
      connection.missedPongs = 0;
    });
    socket.on('error', () => undefined); // broken frames and messages too big: ws closes with the fitting code
    socket.on('message', (data: Buffer) => {
      const text = data.toString('utf8');
      if (hasCardData(readText(text))) return this.#refuseCardData(connection, text);
      take(text).catch(() => socket.close(CLOSE.badRequest, 'Bad request'));
    });
    socket.on('close', (code, reason) => {
      this.#forget(connection);
      if (connection.cutAtMs === null) this.#options.metrics.socketCloses.inc({ code: String(code) });
      closed(code, reason.toString()).catch((error: unknown) => void format(error, makeRequestId())); // logs what a stream could not end with
    });
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    if (connection.expiry) clearTimeout(connection.expiry);
    const userId = connection.caller?.actor?.userId;
    if (userId === undefined) return;
    const siblings = this.#byUser.get(userId);
    siblings?.delete(connection);
    if (siblings?.size === 0) this.#byUser.delete(userId);
  }

  /** Resolves when the network has taken the message: the next item is read for this client only then. */
  #send(connection: Connection, text: string): Promise<void> {
    const { socket } = connection;
    if (socket.readyState === socket.OPEN && socket.bufferedAmount > UNSENT_LIMIT) this.#cut(connection);
    // On a closing connection nothing is sent any more; who waits for it goes on when it has closed, and finds its stream ended.
    if (socket.readyState === socket.CLOSING) return new Promise((resolve) => socket.once('close', () => resolve()));
    if (socket.readyState !== socket.OPEN) return Promise.resolve();
    if (connection.unsentCount === 0) connection.unsentSinceMs = performance.now();
    connection.unsentCount += 1;
    return new Promise((resolve) => {
      socket.send(text, () => {
        connection.unsentCount -= 1;
        connection.unsentSinceMs = performance.now();
        resolve(); // a failed send ends with the socket's close
      });
    });
  }

  /** The operation is answered with an error and goes no further; any other message ends the connection. */
  #refuseCardData(connection: Connection, text: string): void {
    this.#options.reportCardData('frame', '/graphql');
    const frame = readFrame(text);
    if (frame?.['type'] !== 'subscribe' || typeof frame['id'] !== 'string' || connection.caller === null) {
      return connection.socket.close(CLOSE.badRequest, 'Bad request');
    }
    const error = this.#options.format(cardDataRefused(), this.#options.makeRequestId());
    void this.#send(connection, JSON.stringify({ id: frame['id'], type: 'error', payload: [error] }));
  }

  #makeProtocol(): Server<Connection> {
    const { live, timings, format, makeRequestId } = this.#options;
    return makeServer<Record<string, unknown>, Connection>({
      connectionInitWaitTimeout: timings.initWaitMs,
      onConnect: (context) => this.#connect(context),
      onSubscribe: (context, _id, payload) => this.#subscribe(context, payload),
      subscribe: (args) => live.subscribe(args),
      onComplete: ({ extra, subscriptions }, id) => this.#leaveAfter(id, extra.socket, subscriptions),
      onNext: (_context, _id, _payload, args, result): FormattedExecutionResult =>
        formatResult(result, (error) => format(error, requestIdOf(args.contextValue) ?? makeRequestId())),
      onError: (_context, _id, _payload, errors): GraphQLFormattedError[] =>
        errors.map((error) => format(error, makeRequestId())),
    });
  }

  /** False closes with 4403: the client fetches a new token and tries again. */
  async #connect({ extra: connection, connectionParams }: Context<Record<string, unknown>, Connection>): Promise<boolean> {
    const caller = await this.#identify(connection.upgrade, connectionParams ?? {});
    if (!caller?.actor || !caller.expiresAt) {
      this.#options.metrics.authFailures.inc({ transport: 'ws' });
      return false;
    }
    if (connection.socket.readyState !== connection.socket.OPEN) return false;
    connection.caller = caller;
    const leftMs = caller.expiresAt.getTime() - this.#options.machineClock.now().getTime();
    const close = (): void => connection.socket.close(CLOSE.forbidden, 'Token expired');
    connection.expiry = setTimeout(close, Math.min(Math.max(leftMs, 0), LONGEST_TIMER_MS));
    this.#makeRoomFor(connection, caller.actor.userId);
    return true;
  }

  #makeRoomFor(connection: Connection, userId: string): void {
    const siblings = this.#byUser.get(userId) ?? new Set();
    this.#byUser.set(userId, siblings);
    for (const oldest of siblings) {
      if (siblings.size < SOCKETS_PER_USER) break;
      siblings.delete(oldest);
      oldest.socket.close(CLOSE.tryAgainLater, 'Too many connections of this user');
    }
    siblings.add(connection);
  }

  async #identify(upgrade: Connection['upgrade'], params: Record<string, unknown>): Promise<Caller | null> {
    const inner = isRecord(params['connectionParams']) ? params['connectionParams'] : {};
    const given = [upgrade.authorization, params['Authorization'], params['authorization'], params['token'], inner['token']];
    const text = given.find((value) => typeof value === 'string' && value !== '');
    if (typeof text !== 'string') return null;
    return identify(this.#options.checker, {
      ...upgrade,
      authorization: /^bearer /i.test(text) ? text : `Bearer ${text}`,
      requestId: this.#options.makeRequestId(),
    }).catch(() => null);
  }

  /** While draining: called right before the operation's end is sent, so it waits until that has been handed on. */
  #leaveAfter(id: string, socket: WebSocket, subscriptions: Context['subscriptions']): void {
    if (!this.#isDraining || Object.keys(subscriptions).some((other) => other !== id)) return;
    setImmediate(() => socket.close(CLOSE.restart, 'Service restart'));
  }

  #subscribe({ extra: connection, subscriptions }: Context<Record<string, unknown>, Connection>, payload: SubscribePayload) {
    const { admission, live, metrics, makeRequestId } = this.#options;
    if (this.#isDraining) {
      connection.socket.close(CLOSE.restart, 'Service restart');
      return [draining()];
    }
    if (Object.keys(subscriptions).length > OPERATIONS_PER_SOCKET) {
      connection.socket.close(CLOSE.badRequest, 'Too many operations');
      return [badRequest(400, 'Too many operations on one connection.')];
    }
    if (!connection.caller?.actor) return [badRequest(400, 'Not connected.')];
    const requestId = makeRequestId();
    const caller = { ...connection.caller, requestId, actor: { ...connection.caller.actor, requestId } };
    try {
      const request = readGraphRequest(payload);
      const admitted = admission.admit(request, caller);
      const prepared = live.prepare(request, admitted, caller);
      if ('errors' in prepared) return prepared.errors;
      metrics.operations.inc({ kind: admitted.kind ?? 'unknown', transport: 'ws', outcome: 'ok' });
      return prepared.args;
    } catch (error) {
      metrics.operations.inc({ kind: 'unknown', transport: 'ws', outcome: 'refused' });
      return [error instanceof GraphQLError ? error : new GraphQLError('Internal error', { originalError: error as Error })];
    }
  }

  #ping(): void {
    for (const connection of this.#connections) {
      if (connection.missedPongs >= MISSED_PONGS) connection.socket.terminate();
      else {
        connection.missedPongs += 1;
        connection.socket.ping();
      }
    }
  }

  /** A client that does not read may not even read that it is closed: when it has had its time for that too, it is cut off. */
  #cutSlowReaders(): void {
    const now = performance.now();
    for (const connection of this.#connections) {
      const { socket, unsentCount, unsentSinceMs, cutAtMs } = connection;
      const { slowReaderMs } = this.#options.timings;
      if (cutAtMs === null) {
        if (unsentCount > 0 && now - unsentSinceMs > slowReaderMs) this.#cut(connection);
      } else if (now - cutAtMs > slowReaderMs) socket.terminate();
    }
  }

  #cut(connection: Connection): void {
    connection.cutAtMs = performance.now();
    this.#options.metrics.socketCloses.inc({ code: String(CLOSE.tryAgainLater) }); // it may never hear of it
    connection.socket.close(CLOSE.tryAgainLater, 'Reads too slowly');
  }
}

/** The message in a frame; null when it is no JSON object. */
function readFrame(text: string): Record<string, unknown> | null {
  try {
    const frame: unknown = JSON.parse(text);
    return isRecord(frame) ? frame : null;
  } catch {
    return null;
  }
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function requestIdOf(context: unknown): string | null {
  return isRecord(context) && typeof context['requestId'] === 'string' ? context['requestId'] : null;
}
