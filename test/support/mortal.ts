import type { DataSource } from 'typeorm';
import type { PaymentProvider } from '../../src/ports/provider.js';
import type { Cashier } from '../../src/usecases/cashier.js';

/** What ends everything that a dead process was about to do. */
export class Killed extends Error {}

/** A cashier in a process that may be cut at one of its points. */
export interface Mortal {
  cashier: Cashier;
  /** The points it came by: before and after each commit, and each call to the provider. */
  points: readonly string[];
  isDead(): boolean;
}

/** Members of the provider that call nobody: whatever else there is, or will be, goes over the wire. */
const SILENT: ReadonlySet<string> = new Set(['isMethodToken', 'objectKindOf', 'openEvent']);

/**
 * The cashier in a process of its own, which dies at the point that is asked for, by name or number (from 1), or never. From then on nothing it does has an effect: it
 * neither commits nor calls. A statement without a transaction is a commit too. Points are found by wrapping what the cashier stands on, so nothing that is called has to be named.
 */
export function mortal(cashier: Cashier, diesAt: (point: string, number: number) => boolean = () => false): Mortal {
  const points: string[] = [];
  let isDead = false;
  let commits = 0;
  const pass = (point: string): void => {
    if (isDead) throw new Killed();
    points.push(point);
    if (diesAt(point, points.length)) {
      isDead = true;
      throw new Killed(point);
    }
  };
  const commitAs = async <T>(commit: () => Promise<T>): Promise<T> => {
    const point = `commit ${++commits}`;
    pass(`before ${point}`);
    const answer = await commit();
    pass(`after ${point}`);
    return answer;
  };
  const source = new Proxy(cashier.tx.source, {
    get(target: DataSource, name) {
      if (name === 'query') return (text: string, params: unknown[]) => commitAs(() => target.query(text, params));
      if (name !== 'createQueryRunner') return Reflect.get(target, name) as unknown;
      return () => {
        const runner = target.createQueryRunner();
        const commit = runner.commitTransaction.bind(runner);
        runner.commitTransaction = () => commitAs(commit);
        return runner;
      };
    },
  });
  const provider = new Proxy(cashier.provider, {
    get(target: PaymentProvider, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || typeof name !== 'string' || SILENT.has(name)) return member;
      return async (...args: unknown[]) => {
        pass(`before ${name}`);
        const answer: unknown = await Reflect.apply(member, target, args);
        pass(`after ${name}`);
        return answer;
      };
    },
  });
  return { cashier: { ...cashier, tx: { ...cashier.tx, source }, provider }, points, isDead: () => isDead };
}
