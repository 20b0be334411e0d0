import { decideGrant } from '../domain/entitlement/grant.js';
import { keyBucket } from '../platform/json.js';
import { insertAuditEntry } from '../store/audit.store.js';
import { lockCustomer } from '../store/customers.store.js';
import { hasFeature, insertStaffGrant } from '../store/grants.store.js';
import { newId, refusal, staff, type Cashier } from './cashier.js';
import type { Actor, GrantEntitlementAnswer, GrantEntitlementCommand } from './contract.js';
import { runCommand } from './run-command.js';

/**
 * Gives a user a feature for a while, on the word of staff; the user need not have an account here. Refusals: those of decideGrant.
 */
export const grantEntitlement =
  (cashier: Cashier) =>
  async (actor: Actor, command: GrantEntitlementCommand): Promise<GrantEntitlementAnswer> => {
    const { idempotencyKey, ...input } = command;
    const { userId, note } = command;
    const bucket = keyBucket(userId);
    const id = newId(cashier, 'txn', bucket);
    const { resultId, refusals, isReplay } = await runCommand<string>(cashier, {
      scope: staff(actor),
      operation: 'grantEntitlement',
      key: idempotencyKey,
      input,
      resultType: 'grant',
      resultId: id,
      work: async (uow) => {
        const feature = (await hasFeature(uow, command.feature)) ? { key: command.feature } : null;
        const decision = decideGrant({ feature, expiresAt: command.expiresAt, note, now: uow.now });
        if (decision.kind === 'refused') return [refusal(decision.code, decision.message, decision.field)];
        await lockCustomer(uow, userId);
        const { featureKey, expiresAt } = decision;
        await insertStaffGrant(uow, { id, userId, featureKey, grantedBy: actor.userId, note, expiresAt });
        await insertAuditEntry(uow, {
          id: newId(cashier, 'aud', bucket),
          actor: actor.userId,
          actingFor: userId,
          action: 'entitlement.grant',
          objectId: featureKey,
          reason: note,
          requestId: actor.requestId,
        });
        return [];
      },
    });
    return { grantId: resultId, refusals, isReplay };
  };
