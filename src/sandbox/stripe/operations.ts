import type { ErrorFields } from './api-error.js';
import { readParameters, type Shape, type Tree, type Values } from './parameters.js';
import type { Decline } from './cards.js';
import type { State, Unit } from './state.js';

/** What an operation has at hand. */
export interface Call {
  unit: Unit;
  state: State;
  /** The id in the address; empty when it has none. */
  id: string;
  /** Where this stand-in is reached, for links to its own pages. */
  baseUrl: string;
  /** Declines the charge or setup of this call, asked for by a fault; null: the card decides. */
  forcedDecline: Decline | null;
  /** A fault asks that a payment of this call takes its time. */
  isSlowPayment: boolean;
}

/** One operation of the API: address, parameters, and what it does. */
export interface Operation {
  /** As in the client library: resource.verb. */
  name: string;
  method: 'GET' | 'POST' | 'DELETE';
  /** With `:id` where an id stands. */
  path: string;
  /** Names of the parameters it takes. */
  parameterNames: readonly string[];
  /** Reads the parameters (a 400 that no key keeps), and gives back what is left to do. */
  prepare(tree: Tree): (call: Call) => object;
}

/** Writes an operation down; `run` gets its parameters typed, and gives back the object to answer with, links as ids. */
export function operation<S extends Shape>(definition: {
  name: string;
  method: Operation['method'];
  path: string;
  parameters: S;
  run: (call: Call, parameters: Values<S>) => object;
}): Operation {
  const { name, method, path, parameters, run } = definition;
  return {
    name,
    method,
    path,
    parameterNames: Object.keys(parameters),
    prepare(tree) {
      const values = readParameters(parameters, tree);
      return (call) => run(call, values);
    },
  };
}

/** A decline as error fields. */
export function declineFields(
  decline: Decline,
): Pick<ErrorFields, 'type' | 'code' | 'decline_code' | 'message'> & Partial<ErrorFields> {
  return {
    type: 'card_error',
    code: decline.code,
    decline_code: decline.declineCode,
    message: decline.message,
    ...(decline.adviceCode && { advice_code: decline.adviceCode }),
    ...(decline.networkDeclineCode && { network_decline_code: decline.networkDeclineCode }),
    ...(decline.networkAdviceCode && { network_advice_code: decline.networkAdviceCode }),
  };
}
