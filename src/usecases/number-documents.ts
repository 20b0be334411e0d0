import { documentNumber, type DocumentKind } from '../domain/invoice/invoice.js';
import { invariant } from '../domain/invariant.js';
import { listUnnumbered, lockCounter, writeNumbers } from '../store/documents.store.js';
import { inTx } from '../store/unit-of-work.js';
import { SYSTEM, type Cashier } from './cashier.js';

const KINDS = ['invoice', 'credit_note'] as const satisfies readonly DocumentKind[];

/**
 * Gives up to `limit` issued documents of each kind their numbers, without a gap (rules P8). Does nothing while another worker does it.
 * @returns whether there may be more
 */
export async function numberDocuments(cashier: Cashier, limit: number): Promise<boolean> {
  let isMore = false;
  for (const kind of KINDS) isMore = (await numberSome(cashier, kind, limit)) === limit || isMore;
  return isMore;
}

async function numberSome(cashier: Cashier, kind: DocumentKind, limit: number): Promise<number> {
  return inTx(cashier.tx, SYSTEM, async (uow) => {
    const counter = await lockCounter(uow, cashier.provider.accountId, kind);
    if (counter === null) return 0;
    const waiting = await listUnnumbered(uow, kind, limit);
    if (waiting.length === 0) return 0;
    const numbered = waiting.map((document, at) => ({
      ...document,
      number: documentNumber(kind, counter.last + BigInt(at) + 1n),
    }));
    const last = counter.last + BigInt(numbered.length);
    const done = await writeNumbers(uow, kind, numbered, { ...counter, last });
    invariant(done === numbered.length, 'each document takes its number, or a gap would be left', { kind, done, last });
    return done;
  });
}
