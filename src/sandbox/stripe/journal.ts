import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

/**
 * One file, appended to before an answer leaves, so that an abrupt end loses nothing that was answered. A line is one unit of work:
 *
 *     text TAB text TAB ... {"counter": n, "changes": [[collection, id, value or null], ...]} NEWLINE
 *
 * Texts (stored answers, events) come first, so that the changes can name the bytes where they lie; they stay on disk and are read
 * when asked for, which keeps a long run small in memory. JSON holds neither tabs nor newlines, so both may separate.
 */

/** Where a text lies in the journal. */
export interface TextPlace {
  at: number;
  bytes: number;
}

/** A value put into a collection, or null: taken out. */
export type Change = readonly [collection: string, id: string, value: object | null];

interface Line {
  counter: number;
  changes: Change[];
}

const TAB = 9;
const NEWLINE = 10;
const READ_BYTES = 1 << 20;

/** The journal of one stand-in; one process at a time holds it. */
export class Journal {
  readonly #file: string;
  #fd: number;
  #size = 0;

  private constructor(fd: number, file: string) {
    this.#fd = fd;
    this.#file = file;
  }

  /** Opens the journal in this directory; both are made when they do not exist. */
  static open(directory: string): Journal {
    mkdirSync(directory, { recursive: true });
    const file = path.join(directory, 'journal.jsonl');
    return new Journal(openSync(file, existsSync(file) ? 'r+' : 'w+'), file);
  }

  /** Tells every change in the order of writing, and cuts off a line that an abrupt end left half written. */
  replay(onLine: (counter: number, changes: Change[]) => void): void {
    const chunk = Buffer.alloc(READ_BYTES);
    let carried = Buffer.alloc(0);
    let whole = 0;
    for (let at = 0, got = 0; (got = readSync(this.#fd, chunk, 0, READ_BYTES, at)) > 0; at += got) {
      const bytes = Buffer.concat([carried, chunk.subarray(0, got)]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const line = bytes.subarray(start, end);
        const parsed = JSON.parse(line.toString('utf8', line.lastIndexOf(TAB) + 1)) as Line;
        onLine(parsed.counter, parsed.changes);
        start = end + 1;
      }
      whole += start;
      carried = Buffer.from(bytes.subarray(start));
    }
    ftruncateSync(this.#fd, whole);
    this.#size = whole;
  }

  /** Writes one unit of work; `changes` is told where each text will lie. */
  append(texts: readonly string[], counter: number, changes: (places: TextPlace[]) => Change[]): void {
    const parts = texts.map((text) => Buffer.from(`${text}\t`));
    let at = this.#size;
    const places = parts.map((part) => {
      const place = { at, bytes: part.length - 1 };
      at += part.length;
      return place;
    });
    const line: Line = { counter, changes: changes(places) };
    this.#write(Buffer.concat([...parts, Buffer.from(`${JSON.stringify(line)}\n`)]));
  }

  /** A text written earlier. */
  read(place: TextPlace): string {
    const bytes = Buffer.alloc(place.bytes);
    readSync(this.#fd, bytes, 0, place.bytes, place.at);
    return bytes.toString('utf8');
  }

  /**
   * Puts a shorter file in the place of this one; an abrupt end in between leaves the old one whole.
   * @param units what the new file holds, one line each; their texts are given in full
   */
  rewrite(units: Iterable<{ texts: string[]; counter: number; changes: (places: TextPlace[]) => Change[] }>): void {
    const next = `${this.#file}.next`;
    const fresh = openSync(next, 'w+');
    const shorter = new Journal(fresh, next);
    for (const unit of units) shorter.append(unit.texts, unit.counter, unit.changes);
    renameSync(next, this.#file);
    closeSync(this.#fd);
    this.#fd = fresh;
    this.#size = shorter.#size;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#size + done);
    this.#size += bytes.length;
  }
}
