import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * The text of a file that is made once and then kept, readable by its owner alone. Of several processes that make it at once
 * the first one's stays and all of them return it; nobody ever sees half of it.
 */
export function keptFile(file: string, make: () => string): string {
  if (!existsSync(file)) {
    const unfinished = writeBeside(file, make());
    try {
      linkSync(unfinished, file); // Unlike a rename, a link does not replace what is there.
    } catch (error) {
      if (!existsSync(file)) throw error;
    } finally {
      rmSync(unfinished, { force: true });
    }
  }
  return readFileSync(file, 'utf8');
}

/** Writes a file so that readers see either the former text or the new one, even when the machine stops in between. */
export function replaceFile(file: string, text: string): void {
  renameSync(writeBeside(file, text), file);
}

function writeBeside(file: string, text: string): string {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const unfinished = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`;
  writeFileSync(unfinished, text, { mode: 0o600, flag: 'wx', flush: true });
  return unfinished;
}
