/**
 * What anybody may cache is the same for all, so a client that has it already need not be sent it again: the answer to a GET carries
 * the hash of its text, and one that comes with the same hash is answered with 304 and nothing else (RFC 9110, sections 8.8.3 and 13.1.2).
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Adds the tag to public answers of `app`, and leaves out what the client has. */
export function tagPublicAnswers(app: FastifyInstance): void {
  app.addHook('onSend', (request: FastifyRequest, reply: FastifyReply, payload: unknown, done) => {
    if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string' || !isPublic(reply)) {
      done();
      return;
    }
    const etag = `"${createHash('sha256').update(payload).digest('base64url')}"`;
    void reply.header('etag', etag);
    if (!isKnown(request.headers['if-none-match'], etag)) {
      done();
      return;
    }
    void reply.code(304).removeHeader('content-length');
    done(null, null);
  });
}

function isPublic(reply: FastifyReply): boolean {
  return String(reply.getHeader('cache-control') ?? '').includes('public');
}

/** Whether one of the tags is ours; caches may have made it a weak one. */
function isKnown(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((given) => given.trim().replace(/^W\//, '') === etag);
}
