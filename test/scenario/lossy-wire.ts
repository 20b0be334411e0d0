import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';

type Lost = 'request' | 'answer';

interface Rule {
  path: string;
  lost: Lost;
  /** Told when a request has met the rule and stands still. */
  met: (cut: () => void) => void;
}

/** The network between the product and Stripe: lets everything through but what it was told to lose. */
export class LossyWire {
  readonly #server: http.Server;
  #port = 0;
  #rules: Rule[] = [];
  #counts: { path: string; left: number; reached: () => void }[] = [];

  constructor() {
    this.#server = http.createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
      this.#carry(request, response).catch(() => response.destroy());
    });
  }

  /** Listens in front of a stand-in; answers with the address to use instead of it. */
  async lead(toPort: number): Promise<string> {
    this.#port = toPort;
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  }

  /**
   * Stops the next POST to this path: before it reaches Stripe, or when Stripe has answered. Resolves when it stands still, with what
   * breaks its connection; it never goes on.
   */
  hold(path: string, lost: Lost): Promise<() => void> {
    return new Promise((met) => void this.#rules.push({ path, lost, met }));
  }

  /** Breaks the connection of the next POSTs to this path, before or after they took effect. */
  lose(path: string, lost: Lost, times: number): void {
    for (let i = 0; i < times; i++) this.#rules.push({ path, lost, met: (cut) => cut() });
  }

  /** Resolves when so many POSTs to this path have come by from now on; they go on to Stripe. */
  passed(path: string, count: number): Promise<void> {
    return new Promise((reached) => void this.#counts.push({ path, left: count, reached }));
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #carry(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await buffer(request);
    for (const count of this.#counts.filter(({ path }) => request.method === 'POST' && request.url === path)) {
      if (--count.left === 0) count.reached();
    }
    const at = this.#rules.findIndex(({ path }) => request.method === 'POST' && request.url?.split('?')[0] === path);
    const [rule] = at < 0 ? [] : this.#rules.splice(at, 1);
    const cut = (): void => void response.destroy();
    if (rule?.lost === 'request') return rule.met(cut);
    const { method, url, headers } = request;
    const onward = http.request({ host: '127.0.0.1', port: this.#port, method, path: url, headers, agent: false });
    const answered = once(onward, 'response');
    onward.end(body);
    const [answer] = (await answered) as [http.IncomingMessage];
    const content = await buffer(answer);
    if (rule) return rule.met(cut);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.end(content);
  }
}
