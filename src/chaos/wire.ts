import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Chronicle } from './chronicle.js';
import type { Seeded } from './seeded.js';

/** How a wire treats requests, each by its probability: lost on the way there, or the answer on the way back. */
export interface Weather {
  losesRequest: number;
  losesAnswer: number;
}

const CALM: Weather = { losesRequest: 0, losesAnswer: 0 };

/** A wire between two of the processes: a proxy that loses requests and answers, and whose connections can all be cut. */
export class Wire {
  readonly #server: http.Server;
  readonly #name: string;
  readonly #chance: Seeded;
  readonly #chronicle: Chronicle;
  readonly #target: () => number;
  readonly #onward = new Set<http.ClientRequest>();
  weather: Weather = CALM;

  /** @param target the port that the next request goes to */
  constructor(options: { name: string; target: () => number; chance: Seeded; chronicle: Chronicle }) {
    this.#name = options.name;
    this.#target = options.target;
    this.#chance = options.chance;
    this.#chronicle = options.chronicle;
    this.#server = http.createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, (request, response) => {
      this.#carry(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port of this machine and says which. */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  calm(): void {
    this.weather = CALM;
  }

  /** Cuts every connection, whatever is under way on it. */
  cut(): void {
    this.#server.closeAllConnections();
    for (const request of this.#onward) request.destroy();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  async #carry(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await buffer(request);
    const { method, url, headers } = request;
    const what = `${method} ${url?.split('?')[0]} on the wire ${this.#name}`;
    if (this.#chance.chance(this.weather.losesRequest)) {
      this.#chronicle.disturb(`wire: request lost ${this.#name}`, `lost the request ${what}`);
      response.destroy();
      return;
    }
    const losesAnswer = this.#chance.chance(this.weather.losesAnswer);
    const onward = http.request({ host: '127.0.0.1', port: this.#target(), method, path: url, headers, agent: false });
    this.#onward.add(onward);
    // Whoever waits no longer lets go of the answer; what the request does there is done.
    response.on('close', () => onward.destroy());
    try {
      const answered = once(onward, 'response');
      onward.end(body);
      const [answer] = (await answered) as [http.IncomingMessage];
      const content = await buffer(answer);
      if (losesAnswer) {
        this.#chronicle.disturb(`wire: answer lost ${this.#name}`, `lost the answer of ${what}`);
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.end(content);
    } finally {
      this.#onward.delete(onward);
    }
  }
}
