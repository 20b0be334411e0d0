/** Who calls: the token of a request, believed or refused. */
import type { ToldResidence } from '../domain/customer/residence.js';
import type { Caller } from './admission.js';
import { unauthenticated } from './errors.js';

/** What a believed token says. */
export interface BelievedToken {
  userId: string;
  scopes: ReadonlySet<string>;
  residence: ToldResidence;
  expiresAt: Date;
}

/** Checks tokens: signature, issuer, audience and times. Null for every reason not to believe one. At once for a token it remembers. */
export interface TokenChecker {
  verify(token: string): BelievedToken | null | Promise<BelievedToken | null>;
}

/** What is known of a request before its token is looked at. */
export interface Sender {
  authorization: string | undefined;
  routerHeader: string | undefined;
  address: string;
  requestId: string;
}

/**
 * The caller of a request: nobody in particular without a token.
 * @throws GraphQLError UNAUTHENTICATED for a token that is not believed, or another scheme than Bearer
 */
export async function identify(checker: TokenChecker, sender: Sender): Promise<Caller> {
  const { authorization, routerHeader, address, requestId } = sender;
  const caller = { routerHeader, address, requestId };
  if (authorization === undefined || authorization === '') return { ...caller, actor: null, expiresAt: null };
  const token = bearerToken(authorization);
  const outcome = token === null ? null : checker.verify(token);
  const believed = outcome instanceof Promise ? await outcome : outcome;
  if (!believed) throw unauthenticated();
  const { userId, scopes, residence, expiresAt } = believed;
  return { ...caller, actor: { userId, scopes, residence, requestId }, expiresAt };
}

/** The token in `Bearer <token>`; null for another scheme. */
export function bearerToken(authorization: string): string | null {
  return /^Bearer +([A-Za-z0-9_.~+/=-]+)$/i.exec(authorization.trim())?.[1] ?? null;
}
