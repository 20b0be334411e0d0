/**
 * Where a full gate refuses: before anything else has looked at a request, by an answer that costs next to nothing. Under a rush that is the
 * work there is most of, so node:http alone does it.
 */
import type { IncomingMessage, RequestListener } from 'node:http';
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import type { LoadGate } from './load-gate.js';

/** Clients come back spread over so long, milliseconds: all at once they would only be refused again. */
const COME_BACK_MS = { soonest: 1_000, latest: 4_000 } as const;

/** What the door knows of requests. */
export interface DoorOptions {
  gate: LoadGate;
  /** Whether the gate stands before an address; the others are served always. */
  isGuarded: (url: string) => boolean;
  /** The id that the request is answered with. */
  requestIdOf: (request: IncomingMessage) => string;
  /** What lets a page of another site read the answer. */
  originHeadersOf: (request: IncomingMessage) => Record<string, string>;
}

/** Refuses requests while the gate is full and hands the others on. A browser's question whether it may ask is answered always. */
export function refuseWhenFull(options: DoorOptions, handler: RequestListener): RequestListener {
  const { gate, isGuarded, requestIdOf, originHeadersOf } = options;
  return (request, response) => {
    if (!gate.isFull || request.method === 'OPTIONS' || !isGuarded(request.url ?? '')) return handler(request, response);
    gate.countRefused();
    const requestId = requestIdOf(request);
    const { headers, body } = refusalOf(requestId);
    response.writeHead(503, { ...originHeadersOf(request), ...headers, 'x-request-id': requestId }).end(body);
  };
}

/** A handler whose work counts as inside. Looks again: many bodies may have been on their way when the gate was last asked. */
export function insideGate(
  gate: LoadGate,
  handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
): RouteHandlerMethod {
  return async (request, reply) => {
    if (gate.isFull) {
      gate.countRefused();
      const { headers, body } = refusalOf(request.id);
      return reply.code(503).headers(headers).send(body);
    }
    gate.enter(request);
    try {
      return await handler(request, reply);
    } finally {
      gate.leave(request);
    }
  };
}

/** The body is written by hand: it is sent most when there is least time. The id holds letters, digits, - and _ only. */
function refusalOf(requestId: string): { headers: Record<string, string>; body: string } {
  const retryAfterMs = comeBackAfterMs(requestId);
  const body = `{"errors":[{"message":"The server has more to do than it can: nothing was begun, send the same request again.","extensions":{"code":"SERVICE_UNAVAILABLE","retryAfterMs":${retryAfterMs},"requestId":"${requestId}"}}]}`;
  return {
    headers: {
      'retry-after': String(Math.ceil(retryAfterMs / 1000)),
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(body.length),
    },
    body,
  };
}

/** Spread by the request's id, which is as good as chance. */
function comeBackAfterMs(requestId: string): number {
  let mixed = 0;
  for (let at = 0; at < requestId.length; at += 1) mixed = (mixed * 31 + requestId.charCodeAt(at)) % 1_000_003;
  return COME_BACK_MS.soonest + (mixed % (COME_BACK_MS.latest - COME_BACK_MS.soonest));
}
