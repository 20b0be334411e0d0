import { Arg, Ctx, Directive, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadSubscription } from './load-outcome.js';
import { presentRefusals } from './present-refusal.js';
import { runCommand } from './run-command.js';
import { PauseSubscriptionInput, PauseSubscriptionPayload, SubscriptionPause } from './types/pause.js';
import { UserSubscription } from './types/user-subscription.js';

/** Pauses of subscriptions. */
@Resolver(() => UserSubscription)
export class PauseResolver {
  @FieldResolver(() => SubscriptionPause, { nullable: true, description: 'The pause in force or planned.' })
  pause(@Root() { row }: UserSubscription): SubscriptionPause | null {
    // A pause begins where the paid period ends; the row of a paused subscription keeps that period.
    const isPause = row.status === 'paused' || row.pauseAtPeriodEnd;
    return isPause ? { startsAt: row.periodEnd, resumesAt: row.resumesAt } : null;
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => PauseSubscriptionPayload, { description: 'Stop charging and access for a while.' })
  async pauseSubscription(
    @Arg('input', () => PauseSubscriptionInput, { description: 'Which one and how long.' }) input: PauseSubscriptionInput,
    @Ctx() context: GraphContext,
  ): Promise<PauseSubscriptionPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    const command = { resumesAt: input.resumesAt ?? null, idempotencyKey: read.idempotencyKey(input.idempotencyKey) };
    if (subscriptionId === null || read.refusals.length > 0) {
      return { subscription: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.pauseSubscription(actor, { ...command, subscriptionId }));
    return {
      subscription: await loadSubscription(actor.userId, answer.subscriptionId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}
