/**
 * Ends this process when the one that started it goes, however it goes: the channel between them closes with its other end.
 * Does nothing in a process that was started by hand.
 */
export function dieWithParent(stop: () => void): void {
  if (process.channel) process.once('disconnect', stop);
}
