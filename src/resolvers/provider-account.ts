import { invariant } from '../domain/invariant.js';
import type { PaymentProvider } from './types/payment-method.js';

/** Merchant accounts by the id that the data files give them everywhere: which company keeps each. */
const PROVIDER_OF_ACCOUNT: ReadonlyMap<number, PaymentProvider> = new Map([[1, 'STRIPE']]);

/** The company behind one of our merchant accounts. @throws InvariantBroken for an account that is not ours. */
export function providerOfAccount(accountId: number): PaymentProvider {
  const provider = PROVIDER_OF_ACCOUNT.get(accountId);
  invariant(provider !== undefined, 'every merchant account belongs to a known provider', { accountId });
  return provider;
}

/** Our merchant accounts at these companies. */
export function accountsOfProviders(providers: readonly PaymentProvider[]): number[] {
  return [...PROVIDER_OF_ACCOUNT].filter(([, provider]) => providers.includes(provider)).map(([accountId]) => accountId);
}
