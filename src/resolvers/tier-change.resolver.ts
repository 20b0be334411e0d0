import { Arg, Ctx, Directive, Mutation, Query, Resolver } from 'type-graphql';
import { parsePublicId } from '../domain/ids.js';
import type { ChangeTierAnswer } from '../usecases/contract.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadSubscription, loadTransaction } from './load-outcome.js';
import { presentMoney } from './present-money.js';
import { presentRefusals } from './present-refusal.js';
import { nextActionOf } from './present-step.js';
import { presentUpcoming } from './present-upcoming.js';
import { runCommand } from './run-command.js';
import {
  CancelPendingTierChangeInput,
  ChangeTierInput,
  ChangeTierPayload,
  PreviewTierChangeInput,
  TierChangePreview,
} from './types/tier-change.js';
import { lower } from './words.js';

/** Moving a subscription to another tier. */
@Resolver()
export class TierChangeResolver {
  @Authenticated()
  @Directive('@cost(weight: 10)')
  @Query(() => TierChangePreview, {
    nullable: true,
    description: 'What a change of tier would cost now and from then on; stores nothing.',
  })
  async previewTierChange(
    @Arg('input', () => PreviewTierChangeInput, { description: 'The change.' }) input: PreviewTierChangeInput,
    @Ctx() context: GraphContext,
  ): Promise<TierChangePreview | null> {
    const actor = requireActor(context);
    const subscriptionId = parsePublicId('sub', input.subscriptionId);
    const newPriceId = parsePublicId('price', input.newPriceId);
    if (subscriptionId === null || newPriceId === null) return null;
    const timing = input.timing ? lower(input.timing) : null;
    const preview = await context.commands.previewTierChange(actor, { subscriptionId, newPriceId, timing });
    if (preview === null) return null;
    const { isUpgrade, effectiveAt, dueNow, credit, quoteId, expiresAt } = preview;
    return {
      isUpgrade,
      effectiveAt,
      dueNow: presentMoney(dueNow.minor, dueNow.currency),
      credit: presentMoney(credit.minor, credit.currency),
      nextInvoice: await presentUpcoming(preview.next, context),
      quoteId,
      expiresAt,
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 50)')
  @Mutation(() => ChangeTierPayload, { description: 'Move a subscription to another tier, interval or currency-equal price.' })
  async changeTier(
    @Arg('input', () => ChangeTierInput, { description: 'Which one and to what.' }) input: ChangeTierInput,
    @Ctx() context: GraphContext,
  ): Promise<ChangeTierPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    const newPriceId = read.id('price', input.newPriceId, 'newPriceId');
    const command = {
      timing: input.timing ? lower(input.timing) : null,
      quoteId: input.quoteId ?? null,
      expectedVersion: input.expectedVersion ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (subscriptionId === null || newPriceId === null || read.refusals.length > 0) {
      return presentAnswer({ subscriptionId: null, transactionId: null, refusals: read.refusals, isReplay: false }, context);
    }
    const change = { ...command, subscriptionId, newPriceId };
    return presentAnswer(await runCommand(context, () => context.commands.changeTier(actor, change)), context);
  }

  @Authenticated()
  @Mutation(() => ChangeTierPayload, { description: 'Drop a change that waits for the end of the period.' })
  async cancelPendingTierChange(
    @Arg('input', () => CancelPendingTierChangeInput, { description: 'Which one.' }) input: CancelPendingTierChangeInput,
    @Ctx() context: GraphContext,
  ): Promise<ChangeTierPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const subscriptionId = read.id('sub', input.subscriptionId, 'subscriptionId');
    if (subscriptionId === null) {
      return presentAnswer({ subscriptionId: null, transactionId: null, refusals: read.refusals, isReplay: false }, context);
    }
    const dropped = await runCommand(context, () => context.commands.cancelPendingTierChange(actor, { subscriptionId }));
    return presentAnswer(dropped, context);
  }
}

/** What both verbs answer, from the rows as they are afterwards. */
async function presentAnswer(answer: ChangeTierAnswer, context: GraphContext): Promise<ChangeTierPayload> {
  const { userId } = requireActor(context);
  const transaction = await loadTransaction(userId, answer.transactionId, context);
  return {
    subscription: await loadSubscription(userId, answer.subscriptionId, context),
    transaction,
    nextAction: transaction && (await nextActionOf(transaction, context)),
    userErrors: await presentRefusals(answer.refusals, userId, context),
  };
}
