import type { NextActionForOwner } from '../usecases/contract.js';
import type { GraphContext } from './context.js';
import type { NextAction } from './types/next-action.js';
import { NextActionType } from './types/next-action.js';
import type { Transaction } from './types/transaction.js';
import { lower, upper } from './words.js';

/** A step as a command answers it. */
export function presentNextAction(step: NextActionForOwner | null): NextAction | null {
  return step && { ...step, provider: upper(step.provider) };
}

/** The step of a payment: for its owner alone, and only while it is open. */
export async function nextActionOf(transaction: Transaction, context: GraphContext): Promise<NextAction | null> {
  const { row } = transaction;
  if (row.status !== 'requires_action' || context.actor?.userId !== row.userId) return null;
  const attempt = await context.reads.attemptOf(row.userId, row.id);
  const step = attempt?.status === 'requires_action' ? storedStep(attempt.nextAction) : null;
  return (
    step && { ...step, provider: transaction.provider, publishableKey: context.publishableKeys[lower(transaction.provider)] }
  );
}

/** What is stored with an attempt; anything else is no step. */
function storedStep(json: unknown): Omit<NextAction, 'provider' | 'publishableKey'> | null {
  if (typeof json !== 'object' || json === null || !('type' in json)) return null;
  const type = Object.values(NextActionType).find((known) => known === json.type);
  if (!type) return null;
  const expiresAt = textIn(json, 'expiresAt');
  return {
    type,
    clientSecret: textIn(json, 'clientSecret'),
    redirectUrl: textIn(json, 'redirectUrl'),
    expiresAt: expiresAt === null ? null : new Date(expiresAt),
  };
}

function textIn(json: object, name: string): string | null {
  const value: unknown = Object.entries(json).find(([key]) => key === name)?.[1];
  return typeof value === 'string' ? value : null;
}
