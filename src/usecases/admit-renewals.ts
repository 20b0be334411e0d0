import { exceedsPlan, MOST_CLOCK_SKEW_MS } from '../domain/subscription/renewal.js';
import { readRenewalHour, readRenewalSwitch, setRenewalSwitch, takeCalls } from '../store/renewal-control.store.js';
import { recordFinding } from '../store/provider.store.js';
import { inTx } from '../store/unit-of-work.js';
import { newId, SYSTEM, type Cashier } from './cashier.js';

/** What renewals are held back by, besides the rows of the database. */
export interface AdmissionOptions {
  /** Calls a second that renewals may make on the provider account, all workers together. People's calls are not counted: they go first. */
  callsPerSecond: number;
  /** What this machine's own clock says, whatever the sandbox's does. */
  machineNow(): Date;
}

/** A worker whose clock is wrong would charge at the wrong time. */
export class ClockSkew extends Error {
  constructor(skewMs: number) {
    super(
      `This machine's clock differs from the database's by ${Math.round(skewMs / 1000)} s: no renewal is charged from here until it is set right.`,
    );
    this.name = 'ClockSkew';
  }
}

/**
 * How many of `wanted` renewals may be charged now: none while the switch is off, and as many as the account's budget of calls has. A run that
 * would leave the hour's plan behind stops all renewals and opens a finding that pages.
 * @throws ClockSkew
 */
export async function admitRenewals(cashier: Cashier, options: AdmissionOptions, wanted: number): Promise<number> {
  const account = cashier.provider.accountId;
  const { admitted, isRunaway } = await inTx(cashier.tx, SYSTEM, async (uow) => {
    const { isStopped, databaseNow } = await readRenewalSwitch(uow, account);
    if (isStopped) return { admitted: 0, isRunaway: false };
    const skewMs = options.machineNow().getTime() - databaseNow.getTime();
    if (Math.abs(skewMs) > MOST_CLOCK_SKEW_MS) throw new ClockSkew(skewMs);
    const hour = await readRenewalHour(uow, account);
    // Last, as every worker waits for its row: it is held for no more than the commit.
    const taken = await takeCalls(uow, account, wanted, options.callsPerSecond);
    if (exceedsPlan(hour.planned, hour.charged, taken)) {
      const reason = `${hour.charged} charged and ${taken} more wanted, ${hour.planned} planned for the hour`;
      await setRenewalSwitch(uow, account, { isStopped: true, reason, changedBy: 'system' });
      const id = newId(cashier, 'txn', account);
      await recordFinding(uow, {
        id,
        providerAccountId: account,
        kind: 'renewals_stopped',
        severity: 1,
        currency: null,
        oursMinor: BigInt(hour.planned),
        theirsMinor: BigInt(hour.charged + taken),
        recordId: null,
        subjectType: 'provider_account',
        subjectId: id,
      });
      return { admitted: 0, isRunaway: true };
    }
    return { admitted: taken, isRunaway: false };
  });
  if (isRunaway) cashier.events.findingOpened('renewals_stopped', 1);
  return admitted;
}
