import { GraphQLError, parse, type DocumentNode, type GraphQLSchema } from 'graphql';
import { tooComplex, unreadableDocument } from './errors.js';
import { DocumentLimits, findSourceBreach, type LimitBreach } from './limits.js';

/** Documents kept, and their characters all together (a character takes at most two bytes). */
const DOCUMENTS_KEPT = 1_000;
const CHARACTERS_KEPT = 5 * 1024 * 1024;

/** A document that has been read, with what it may ask for. The same object for as long as it is kept. */
export interface KnownDocument {
  readonly document: DocumentNode;
  readonly limits: DocumentLimits;
}

/** Parsed documents by their text; the ones not asked for longest go first. */
export class KnownDocuments {
  readonly #schema: GraphQLSchema;
  readonly #countRefused: (limit: string) => void;
  readonly #documents = new Map<string, KnownDocument>();
  #characters = 0;

  /** @param countRefused told of each text that is too long to be read */
  constructor(schema: GraphQLSchema, countRefused: (limit: string) => void) {
    this.#schema = schema;
    this.#countRefused = countRefused;
  }

  /** Reads a document, or finds it. @throws GraphQLError GRAPHQL_PARSE_FAILED, OPERATION_TOO_COMPLEX */
  read(source: string): KnownDocument {
    const known = this.#documents.get(source) ?? this.#parse(source);
    // Put at the end again: the first one is always the one not asked for longest.
    this.#documents.delete(source);
    this.#documents.set(source, known);
    return known;
  }

  #parse(source: string): KnownDocument {
    const tooLong = findSourceBreach(source);
    if (tooLong) throw this.#refused(tooLong);
    const document = parseDocument(source);
    this.#characters += source.length;
    this.#makeRoom();
    return { document, limits: new DocumentLimits(this.#schema, document) };
  }

  #makeRoom(): void {
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size < DOCUMENTS_KEPT && this.#characters <= CHARACTERS_KEPT) return;
      this.#documents.delete(oldest);
      this.#characters -= oldest.length;
    }
  }

  #refused(found: LimitBreach): GraphQLError {
    this.#countRefused(found.limit);
    return tooComplex(found);
  }
}

/** @throws GraphQLError GRAPHQL_PARSE_FAILED */
function parseDocument(source: string): DocumentNode {
  try {
    return parse(source);
  } catch (error) {
    throw error instanceof GraphQLError ? unreadableDocument(error) : error;
  }
}
