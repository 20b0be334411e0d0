/** CPU time of processes, as the kernel counts it (Linux; nothing elsewhere). */
import { readdir, readFile } from 'node:fs/promises';

/** The kernel's clock ticks of CPU time: 100 a second on every Linux. */
const TICK_MS = 10;

/** One process. */
export interface ProcessTimes {
  pid: number;
  parent: number;
  /** As it was started; '' for one that has ended. */
  command: string;
  /** Milliseconds so far. */
  ownMs: number;
  /** Of children that have ended and were waited for. */
  childrenMs: number;
}

/** All that run. */
export async function processTimes(): Promise<ProcessTimes[]> {
  const pids = (await readdir('/proc').catch(() => [])).map(Number).filter((pid) => pid > 0);
  return (await Promise.all(pids.map(timesOf))).filter(({ command }) => command !== '');
}

/** One of them; zeros when it is not there. */
export async function timesOf(pid: number): Promise<ProcessTimes> {
  const [stat, command] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
  ]);
  // proc(5): after the name in brackets come state, parent and, from the 12th on, utime, stime, cutime, cstime.
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [own = 0, system = 0, children = 0, childrenSystem = 0] = fields.slice(11, 15);
  return {
    pid,
    parent: fields[1] ?? 0,
    command,
    ownMs: (own + system) * TICK_MS,
    childrenMs: (children + childrenSystem) * TICK_MS,
  };
}
