import { Authorized, Directive, type AuthChecker } from 'type-graphql';
import type { Actor } from '../usecases/contract.js';
import type { GraphContext } from './context.js';
import { forbidden, unauthenticated } from './errors.js';

/** Scopes of tokens that the graph knows. */
export const SCOPES = {
  entitlements: 'monetization:entitlements',
  support: 'monetization:support',
  finance: 'monetization:finance',
} as const;

/** Support and finance staff: who may open accounts and pay back. Either is enough. */
export const STAFF: readonly (readonly string[])[] = [[SCOPES.support], [SCOPES.finance]];

type Place = (target: object, key: string | symbol) => void;

/** The field needs a signed-in caller: tells routers so, and is enforced here (UNAUTHENTICATED), since a router can be bypassed. */
export function Authenticated(): Place {
  return (target, key) => {
    Directive('@authenticated')(target, key);
    Authorized<string>([])(target, key);
  };
}

/** The field needs one of these sets of scopes: an OR of ANDs. Tells routers so, and is enforced here (UNAUTHENTICATED, FORBIDDEN). */
export function RequiresScopes(alternatives: readonly (readonly string[])[]): Place {
  return (target, key) => {
    Directive(`@requiresScopes(scopes: ${JSON.stringify(alternatives)})`)(target, key);
    Authorized<string>(alternatives.map((all) => all.join(' ')))(target, key);
  };
}

/** The check behind both decorators, before a field is resolved. @throws UNAUTHENTICATED, FORBIDDEN */
export function checkCaller(context: GraphContext, alternatives: readonly string[]): void {
  const actor = requireActor(context);
  if (alternatives.length > 0 && !alternatives.some((all) => all.split(' ').every((scope) => actor.scopes.has(scope))))
    throw forbidden();
}

/** The same, before a subscription starts. */
export const checkAuthority: AuthChecker<GraphContext, string> = ({ context }, alternatives) => {
  checkCaller(context, alternatives);
  return true;
};

/** The signed-in caller. @throws UNAUTHENTICATED when there is none. */
export function requireActor(context: GraphContext): Actor {
  if (!context.actor) throw unauthenticated();
  return context.actor;
}
