import type { IncomingMessage } from 'node:http';

/** What is still read of a body that was refused, and for how long; a client that sends more may lose its answer. */
const LINGER = { bytes: 8 * 1024 * 1024, ms: 5_000 } as const;

/**
 * Reads what a client still sends and throws it away, then resolves; never rejects.
 *
 * For a refusal that is given before the body has come in, as of one that is too big: were the connection closed under a client that is still
 * sending, the kernel would answer its next bytes with a reset, which most clients report instead of the answer (RFC 9112, section 9.6).
 */
export async function readUnreadBody(request: IncomingMessage): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  await new Promise<void>((resolve) => {
    let bytes = 0;
    const count = (chunk: Buffer | string): void => {
      bytes += chunk.length;
      if (bytes >= LINGER.bytes) end();
    };
    const end = (): void => {
      clearTimeout(timer);
      request.off('data', count).off('end', end).off('close', end).off('error', end);
      resolve();
    };
    const timer = setTimeout(end, LINGER.ms);
    request.on('data', count).once('end', end).once('close', end).once('error', end).resume();
  });
}
