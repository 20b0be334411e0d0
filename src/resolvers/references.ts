import { parsePublicId } from '../domain/ids.js';
import { shownTier } from './catalogue.resolver.js';
import type { GraphContext } from './context.js';
import { presentFeature } from './present-catalogue.js';
import { ownSubscription } from './subscription.resolver.js';
import type { Feature } from './types/feature.js';
import type { Tier } from './types/tier.js';
import type { User } from './types/user.js';
import type { UserSubscription } from './types/user-subscription.js';
import { userAs } from './user.resolver.js';

/**
 * What other subgraphs may refer to by key. Each reference is judged as the direct field would be: a subscription that is not the
 * caller's is null, a user who is not the caller has no private fields. References of one request are loaded together.
 */
export const referenceResolvers = {
  User: ({ id }: { id: string }, context: GraphContext): User => userAs(id, context),

  Tier: ({ id: text }: { id: string }, { reads }: GraphContext): Tier | null => {
    const id = parsePublicId('tier', text);
    return id && shownTier(reads.catalogue.tier(id));
  },

  Feature: ({ key }: { key: string }, { reads }: GraphContext): Feature | null => {
    const feature = reads.catalogue.feature(key);
    return feature && presentFeature(feature);
  },

  UserSubscription: async ({ id }: { id: string }, context: GraphContext): Promise<UserSubscription | null> =>
    context.actor && ownSubscription(context.actor.userId, id, context),
};
