import { parsePublicId } from '../domain/ids.js';
import { idFloor } from '../store/keyset.js';
import { badUserInput } from './errors.js';
import type { TransactionConditions } from './loaders/reads.js';
import { accountsOfProviders } from './provider-account.js';
import type { TransactionFilter } from './types/transaction.js';
import { lower } from './words.js';

/** An id that no object has: what a subscription id of a wrong form stands for in a filter. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** A filter as the conditions of the read. @throws BAD_USER_INPUT for a span that ends before it begins, or an amount that is not positive. */
export function transactionConditions(filter: TransactionFilter): TransactionConditions {
  const { kinds, statuses, created, subscriptionId, providers, minAmount } = filter;
  if (created && created.from >= created.to) throw badUserInput('A span of time begins before it ends.');
  if (minAmount && minAmount.amountMinor <= 0) throw badUserInput('An amount is positive.');
  return {
    kinds: kinds?.map(lower) ?? null,
    statuses: statuses?.map(lower) ?? null,
    providerAccountIds: providers ? accountsOfProviders(providers) : null,
    subscriptionId: subscriptionId ? (parsePublicId('sub', subscriptionId) ?? NOBODY) : null,
    minAmount: minAmount ? { minor: BigInt(minAmount.amountMinor), currency: minAmount.currency } : null,
    // An id begins with the instant it was made: a span of time is a span of ids.
    above: created ? idFloor(created.from) : null,
    below: created ? idFloor(created.to) : null,
  };
}
