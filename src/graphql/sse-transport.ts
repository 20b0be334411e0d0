/** Subscriptions as server-sent events: the "distinct connections" mode of graphql-sse, one request for one stream. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import type { FastifyReply } from 'fastify';
import { GraphQLError, type ExecutionResult, type FormattedExecutionResult } from 'graphql';

/** A comment this often keeps proxies from taking silence for an end. */
const COMMENT_EVERY_MS = 12_000;
/** What a stream is sent by. */
export interface EventStreamOptions {
  /** Makes a result fit for the client. */
  format: (result: ExecutionResult) => FormattedExecutionResult;
  /** A client that takes nothing for so long is cut off, milliseconds; it resumes by its cursor. */
  slowReaderMs: number;
}

/**
 * Answers with the stream and returns when it is over: at its own end, or when the client is gone.
 * @param results what to send; a plain result is sent as the only one
 */
export async function streamEvents(
  reply: FastifyReply,
  results: AsyncGenerator<ExecutionResult, void, void> | ExecutionResult,
  { format, slowReaderMs }: EventStreamOptions,
): Promise<void> {
  void reply.hijack();
  const stream = reply.raw;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) stream.setHeader(name, value);
  stream.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  stream.flushHeaders();
  const items = Symbol.asyncIterator in results ? results : onlyOne(results);
  const comments = setInterval(() => void stream.write(':\n\n'), COMMENT_EVERY_MS);
  const write = (text: string): Promise<void> => writeTo(stream, text, slowReaderMs);
  const send = (result: ExecutionResult): Promise<void> => write(`event: next\ndata: ${JSON.stringify(format(result))}\n\n`);
  const leave = (): void => void items.return().catch(() => undefined);
  stream.once('close', leave);
  if (stream.destroyed) leave(); // gone before we listened
  try {
    for await (const result of items) await send(result);
    await write('event: complete\ndata:\n\n');
  } catch (error) {
    await send({ errors: [error instanceof GraphQLError ? error : new GraphQLError('', { originalError: error as Error })] });
    await write('event: complete\ndata:\n\n');
  } finally {
    clearInterval(comments);
    stream.off('close', leave);
    stream.end();
  }
}

async function* onlyOne(result: ExecutionResult): AsyncGenerator<ExecutionResult, void, void> {
  yield result;
}

/** Waits until the client has taken what was written, so that the next item is read for it only then. */
async function writeTo(stream: ServerResponse, text: string, slowReaderMs: number): Promise<void> {
  if (stream.destroyed || stream.write(text)) return;
  const slow = setTimeout(() => stream.destroy(), slowReaderMs);
  try {
    await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
  } finally {
    clearTimeout(slow);
  }
}
