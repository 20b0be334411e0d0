import { AsyncLocalStorage } from 'node:async_hooks';

/** What an HTTP operation's answer needs to know of its request, where Apollo Server offers no place to pass it. */
export interface RequestState {
  readonly requestId: string;
  /** Told in the answer's extensions; null unless the client asked. */
  readonly cost: { readonly cost: number; readonly maximumCost: number } | null;
  /** How it ended; set when the answer is made. */
  outcome: 'ok' | 'partial' | 'failed';
}

/** Follows one request through everything it awaits. */
export class RequestScope {
  readonly #storage = new AsyncLocalStorage<RequestState>();

  run<T>(state: RequestState, work: () => Promise<T>): Promise<T> {
    return this.#storage.run(state, work);
  }

  get current(): RequestState | undefined {
    return this.#storage.getStore();
  }
}
