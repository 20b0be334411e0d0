/**
 * Sends requests over a fixed number of connections, one at a time on each, for some seconds, and prints what it saw as one line of
 * JSON. In a process of its own, on bare sockets: what the load costs is taken from the server that is measured.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { performance } from 'node:perf_hooks';

/** What to send, as a file of JSON whose name is the first argument. */
export interface LoadPlan {
  port: number;
  connections: number;
  seconds: number;
  /** Goes on beyond the time until so many were answered. */
  leastAnswers: number;
  /** Whole HTTP requests; each connection takes them in an order of its own. */
  requests: string[];
}

/** What came of it. */
export interface LoadSeen {
  answered: number;
  /** Answers with another status than 200, or with GraphQL errors. */
  bad: number;
  seconds: number;
  bytes: number;
  /** Milliseconds from the last byte of a request to the last byte of its answer. */
  p50: number;
  p99: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

async function load({ port, connections, seconds, leastAnswers, requests }: LoadPlan): Promise<LoadSeen> {
  const sent = requests.map((request) => Buffer.from(request));
  const waits: number[] = [];
  let bad = 0;
  let bytes = 0;
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1_000;
  const one = (connection: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      let at = Math.floor((connection * sent.length) / connections);
      let sentMs = 0;
      let parts: Buffer[] = [];
      let have = 0;
      let need = 0;
      const next = (): void => {
        sentMs = performance.now();
        if (sentMs >= endMs && waits.length >= leastAnswers) {
          socket.end();
          resolve();
          return;
        }
        at = (at + 7) % sent.length;
        const request = sent[at];
        if (request) socket.write(request);
      };
      socket.on('connect', next);
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('The server closed a connection.')));
      socket.on('data', (chunk: Buffer) => {
        parts.push(chunk);
        have += chunk.length;
        if (need === 0) {
          const head = parts.length === 1 ? chunk : Buffer.concat(parts);
          const end = head.indexOf(HEAD_END);
          if (end < 0) return;
          const text = head.toString('latin1', 0, end);
          const length = /content-length: *(\d+)/i.exec(text)?.[1];
          if (length === undefined) {
            reject(new Error(`No content-length: ${text}`));
            return;
          }
          need = end + HEAD_END.length + Number(length);
          if (!text.startsWith('HTTP/1.1 200')) bad += 1;
          else if (head.indexOf('"errors"', end) > 0) bad += 1;
        }
        if (have < need) return;
        waits.push(performance.now() - sentMs);
        bytes += have;
        parts = [];
        have = 0;
        need = 0;
        next();
      });
    });
  await Promise.all(Array.from({ length: connections }, (_, connection) => one(connection)));
  waits.sort((a, b) => a - b);
  const tookS = (performance.now() - startedMs) / 1_000;
  const quantile = (share: number): number => waits[Math.ceil(waits.length * share) - 1] ?? 0;
  return { answered: waits.length, bad, seconds: tookS, bytes, p50: quantile(0.5), p99: quantile(0.99) };
}

const [file = ''] = process.argv.slice(2);
console.log(JSON.stringify(await load(JSON.parse(readFileSync(file, 'utf8')) as LoadPlan)));
