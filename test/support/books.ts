import type { AccountCode } from '../../src/domain/ledger/chart.js';
import type { Movement } from '../../src/domain/ledger/journals.js';

/** The books of one life, as the ledger keeps them: what is posted adds up by account, and nothing is posted twice. */
export class Books {
  readonly #balances = new Map<AccountCode, bigint>();
  readonly #posted = new Set<string>();

  /** Posts a journal of a source. @throws Error for the same twice, which the ledger's primary key refuses */
  post(source: string, movements: readonly Movement[]): void {
    for (const { event, leg, debit, credit, amountMinor } of movements) {
      const key = `${source} ${event} ${leg}`;
      if (this.#posted.has(key)) throw new Error(`posted twice: ${key}`);
      this.#posted.add(key);
      this.#balances.set(debit, this.balanceOf(debit) + amountMinor);
      this.#balances.set(credit, this.balanceOf(credit) - amountMinor);
    }
  }

  /** Debits less credits of an account, minor units. */
  balanceOf(code: AccountCode): bigint {
    return this.#balances.get(code) ?? 0n;
  }

  /** @throws Error when debits and credits do not meet */
  checkSum(): void {
    let all = 0n;
    for (const balance of this.#balances.values()) all += balance;
    if (all !== 0n) throw new Error('the books do not sum to zero');
  }
}
