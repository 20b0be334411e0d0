/** The mail of the sandbox: every notice is a line of a file, for a person to read. Nobody outside this machine is told anything. */
import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Messenger } from '../../ports/messenger.js';

/** The file under the data directory. */
export const MAILBOX_FILE = 'mailbox.jsonl';

/** A messenger that writes to the mailbox under a directory. */
export function sandboxMailbox(dataDir: string, now: () => Date): Messenger {
  return {
    send: async (notice) => {
      const messageId = `mail-${notice.id}`;
      await mkdir(dataDir, { recursive: true, mode: 0o700 });
      await appendFile(path.join(dataDir, MAILBOX_FILE), `${JSON.stringify({ messageId, sentAt: now(), ...notice })}\n`, {
        mode: 0o600,
      });
      return messageId;
    },
  };
}
