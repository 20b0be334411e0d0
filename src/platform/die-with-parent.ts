/** How often the parent is looked for; npm's shell gives no sign when it goes. */
const LOOK_EVERY_MS = 500;

/**
 * Calls `stop` when the process that started this one goes, however it goes: a child of the launcher sees the channel between them
 * close; under npm, whose shell passes no signal on, the system gives us another parent. Does nothing in a process started by hand.
 */
export function dieWithParent(stop: () => void): void {
  if (process.channel) {
    process.once('disconnect', stop);
  } else if (process.env['npm_lifecycle_event']) {
    const parent = process.ppid;
    const look = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(look);
      stop();
    }, LOOK_EVERY_MS).unref();
  }
}
