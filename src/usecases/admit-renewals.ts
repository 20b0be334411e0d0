import { exceedsPlan, MOST_CLOCK_SKEW_MS } from '../domain/subscription/renewal.js';
import { readRenewalHour, readRenewalSwitch, setRenewalSwitch, takeCalls } from '../store/renewal-control.store.js';
import { recordFinding } from '../store/provider.store.js';
import { alone, inTx } from '../store/unit-of-work.js';
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
  const hour = await inTx(cashier.tx, SYSTEM, async (uow) => {
    const { isStopped, databaseNow } = await readRenewalSwitch(uow, account);
    if (isStopped) return null;
    const skewMs = options.machineNow().getTime() - databaseNow.getTime();
    if (Math.abs(skewMs) > MOST_CLOCK_SKEW_MS) throw new ClockSkew(skewMs);
    return readRenewalHour(uow, account);
  });
  if (hour === null) return 0;
  const taken = await takeCalls(alone(cashier.tx), account, wanted, options.callsPerSecond);
  if (!exceedsPlan(hour.planned, hour.charged, taken)) return taken;
  await inTx(cashier.tx, SYSTEM, async (uow) => {
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
  });
  cashier.events.findingOpened('renewals_stopped', 1);
  return 0;
}
