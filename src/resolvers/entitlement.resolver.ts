import { Arg, Ctx, Directive, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { invariant } from '../domain/invariant.js';
import { RequiresScopes, SCOPES } from './authorization.js';
import type { GraphContext } from './context.js';
import { tooMany } from './errors.js';
import { presentSubscription } from './present-account.js';
import { presentFeature } from './present-catalogue.js';
import { Entitlement, EntitlementCheckInput, EntitlementCheckResult } from './types/entitlement.js';
import { Feature } from './types/feature.js';
import { UserSubscription } from './types/user-subscription.js';

/** Most questions in one request. */
const MAX_CHECKS = 1_000;
/** Longest time an answer may be kept, milliseconds: as long as a loss of access may go unnoticed elsewhere. */
const MAX_AGE_MS = 60_000;

/** Rights, and the questions of other services about them. */
@Resolver(() => Entitlement)
export class EntitlementResolver {
  @Directive('@tag(name: "internal")')
  @RequiresScopes([[SCOPES.entitlements]])
  @Directive('@listSize(assumedSize: 100)')
  @Query(() => [EntitlementCheckResult], {
    description:
      'Many entitlement questions at once, for other services; answers come in the order of the questions. At most 1000.',
  })
  async entitlementChecks(
    @Arg('checks', () => [EntitlementCheckInput], { description: 'The questions.' }) checks: EntitlementCheckInput[],
    @Ctx() context: GraphContext,
  ): Promise<EntitlementCheckResult[]> {
    if (checks.length > MAX_CHECKS) throw tooMany('entitlementChecks', checks.length, MAX_CHECKS);
    const now = context.clock.now();
    const latest = new Date(now.getTime() + MAX_AGE_MS);
    return Promise.all(
      checks.map(async ({ userId, feature }) => {
        const rights = await context.reads.rights(userId);
        const right = rights.find((held) => held.featureKey === feature);
        const lapsesAt = right?.expiresAt ?? latest;
        return {
          userId,
          feature,
          granted: right !== undefined,
          limit: right?.limit ?? null,
          cacheUntil: lapsesAt < latest ? lapsesAt : latest,
        };
      }),
    );
  }

  @FieldResolver(() => Feature, { description: 'The feature.' })
  async feature(@Root() entitlement: Entitlement, @Ctx() context: GraphContext): Promise<Feature> {
    const { featureKey } = entitlement.right;
    const feature = await context.reads.fromCatalogue((catalogue) => catalogue.feature(featureKey));
    invariant(feature !== null, 'a right is to a feature that exists', { featureKey });
    return presentFeature(feature);
  }

  @FieldResolver(() => UserSubscription, { nullable: true, description: 'The subscription it comes from, when it does.' })
  async subscription(@Root() entitlement: Entitlement, @Ctx() context: GraphContext): Promise<UserSubscription | null> {
    const { right, user } = entitlement;
    // A service that may ask about rights does not thereby see the account.
    if (right.subscriptionId === null || !user.isOpen) return null;
    const row = await context.reads.subscriptionOf(user.id, right.subscriptionId);
    return row && presentSubscription(row);
  }
}
