/** Characters kept, all documents together; a character takes at most two bytes, so this is 30 MiB. */
const CHARACTERS_KEPT = 15 * 1024 * 1024;

/** With which Apollo Server begins every key. */
const KEY_PREFIX = 'apq:';

/**
 * Documents by hash, for clients that send the hash alone. Saves bandwidth, guards nothing. The ones not used for longest go first.
 * Has the shape that Apollo Server asks of a cache.
 */
export class PersistedQueries {
  readonly #documents = new Map<string, string>();
  readonly #findTrusted: (id: string) => string | undefined;
  #characters = 0;

  /** @param findTrusted documents known for good, by `sha256:` id: they need not be sent even once */
  constructor(findTrusted: (id: string) => string | undefined = () => undefined) {
    this.#findTrusted = findTrusted;
  }

  async get(key: string): Promise<string | undefined> {
    const document = this.#documents.get(key);
    if (document === undefined) return this.#findTrusted(key.replace(KEY_PREFIX, 'sha256:'));
    this.#documents.delete(key);
    this.#documents.set(key, document);
    return document;
  }

  async set(key: string, document: string): Promise<void> {
    await this.delete(key);
    this.#documents.set(key, document);
    this.#characters += document.length;
    for (const oldest of this.#documents.keys()) {
      if (this.#characters <= CHARACTERS_KEPT) return;
      await this.delete(oldest);
    }
  }

  async delete(key: string): Promise<boolean> {
    this.#characters -= this.#documents.get(key)?.length ?? 0;
    return this.#documents.delete(key);
  }

  /** The document that Apollo Server keeps under this SHA-256. */
  find(sha256: string): Promise<string | undefined> {
    return this.get(`${KEY_PREFIX}${sha256}`);
  }
}
