/** Where a full gate refuses: in the first step of a request, before its body is read, by an answer that costs next to nothing. */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import type { LoadGate } from './load-gate.js';

/** Clients come back spread over so long, milliseconds: all at once they would only be refused again. */
const COME_BACK_MS = { soonest: 1_000, latest: 4_000 } as const;

/** Refuses requests to `app` while the gate is full. A browser's question whether it may ask is answered always. */
export function refuseWhenFull(app: FastifyInstance, gate: LoadGate): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (request.method !== 'OPTIONS' && gate.isFull) void refuseForLoad(gate, request, reply);
    else done();
  });
}

/** A handler whose work counts as inside. Looks again: many bodies may have been on their way when the gate was last asked. */
export function insideGate(
  gate: LoadGate,
  handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
): RouteHandlerMethod {
  return async (request, reply) => {
    if (gate.isFull) return refuseForLoad(gate, request, reply);
    gate.enter(request);
    try {
      return await handler(request, reply);
    } finally {
      gate.leave(request);
    }
  };
}

function refuseForLoad(gate: LoadGate, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  gate.countRefused();
  const retryAfterMs = comeBackAfterMs(request.id);
  return reply
    .code(503)
    .headers({
      'retry-after': String(Math.ceil(retryAfterMs / 1000)),
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
    })
    .send(
      // Written by hand: this is sent most when there is least time. The id holds letters, digits, - and _ only.
      `{"errors":[{"message":"The server has more to do than it can: nothing was begun, send the same request again.","extensions":{"code":"SERVICE_UNAVAILABLE","retryAfterMs":${retryAfterMs},"requestId":"${request.id}"}}]}`,
    );
}

/** Spread by the request's id, which is as good as chance. */
function comeBackAfterMs(requestId: string): number {
  let mixed = 0;
  for (let at = 0; at < requestId.length; at += 1) mixed = (mixed * 31 + requestId.charCodeAt(at)) % 1_000_003;
  return COME_BACK_MS.soonest + (mixed % (COME_BACK_MS.latest - COME_BACK_MS.soonest));
}
