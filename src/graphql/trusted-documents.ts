/**
 * Documents that clients were built with. Clients send an id instead of the text (`documentId`, as in GraphQL over HTTP, or the hash of
 * `extensions.persistedQuery`); while the list is enforced, nothing else is let in, and it is refused before it is parsed. A router does
 * not hand ids on, so what carries its proof is never asked for them.
 */
import { createHash } from 'node:crypto';
import { OneLineError } from '../platform/one-line-error.js';
import { operationNotAllowed } from './errors.js';

/** What happens to a document that is not in the list: nothing, a line in the log, a refusal. */
export type TrustedMode = 'off' | 'log' | 'enforce';

/** The only form of an id: the SHA-256 of the text in hexadecimal. */
const ID_FORM = /^sha256:[0-9a-f]{64}$/;
/** Documents that are logged once each; a client that makes up new ones all the time is not to fill the log. */
const LOGGED_ONCE = 1_000;

/**
 * Reads a list as codegen writes it: an object of texts by id. @throws OneLineError when it is none, or an id is not its text's hash:
 * somebody has edited it by hand, or it is not for us
 */
export function readTrustedDocuments(json: string): ReadonlyMap<string, string> {
  const list = parsed(json);
  if (typeof list !== 'object' || list === null || Array.isArray(list)) {
    throw new OneLineError('The list of trusted documents must be one JSON object of documents by id.');
  }
  const documents = new Map<string, string>();
  for (const [id, text] of Object.entries(list) as [string, unknown][]) {
    if (!ID_FORM.test(id) || typeof text !== 'string' || id !== idOf(text)) {
      throw new OneLineError(
        `The list of trusted documents holds ${JSON.stringify(id.slice(0, 80))}, which is not the sha256: id of its text.`,
      );
    }
    documents.set(id, text);
  }
  return documents;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

function idOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** What the list needs from outside. */
export interface TrustedDocumentsOptions {
  mode: TrustedMode;
  /** Texts by id. */
  documents: ReadonlyMap<string, string>;
  /** Told of each request whose document is not in the list. */
  count: () => void;
  /** Told of a document that is not in the list, the first time it is met. */
  report: (id: string) => void;
}

/** The list of one process. */
export class TrustedDocuments {
  readonly #options: TrustedDocumentsOptions;
  readonly #texts: ReadonlySet<string>;
  readonly #reported = new Set<string>();

  constructor(options: TrustedDocumentsOptions) {
    this.#options = options;
    this.#texts = new Set(options.documents.values());
  }

  /** The text of a trusted document; undefined when it is not in the list. */
  find(id: string): string | undefined {
    return this.#options.documents.get(id);
  }

  /**
   * A JSON body, or any record, with the text in the place of its `documentId`; anything else as it is.
   * @throws GraphQLError OPERATION_NOT_ALLOWED for an id that is not in the list
   */
  expand(body: unknown): unknown {
    if (typeof body !== 'object' || body === null || !('documentId' in body)) return body;
    const { documentId, ...rest } = body;
    if ('query' in rest && rest.query !== undefined) return rest;
    return { ...rest, query: this.#require(documentId) };
  }

  /** The same for the search of an address, `?documentId=...`. @throws GraphQLError OPERATION_NOT_ALLOWED */
  expandSearch(search: string): string {
    if (!search.includes('documentId=')) return search;
    const params = new URLSearchParams(search);
    const id = params.get('documentId');
    params.delete('documentId');
    if (!params.has('query')) params.set('query', this.#require(id));
    return `?${params.toString()}`;
  }

  /** Looks at the text of a request without the router's proof. @throws GraphQLError OPERATION_NOT_ALLOWED while the list is enforced */
  check(source: string): void {
    const { mode, count, report } = this.#options;
    if (mode === 'off' || this.#texts.has(source)) return;
    count();
    const id = idOf(source);
    if (!this.#reported.has(id) && this.#reported.size < LOGGED_ONCE) {
      this.#reported.add(id);
      report(id);
    }
    if (mode === 'enforce') throw operationNotAllowed();
  }

  #require(id: unknown): string {
    const text = typeof id === 'string' ? this.find(id) : undefined;
    if (text !== undefined) return text;
    this.#options.count();
    throw operationNotAllowed();
  }
}
