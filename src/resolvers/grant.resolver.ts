import { Arg, Ctx, Directive, Mutation, Resolver } from 'type-graphql';
import { requireActor, RequiresScopes, SCOPES } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { presentEntitlement } from './present-account.js';
import { presentRefusals } from './present-refusal.js';
import { runCommand } from './run-command.js';
import { GrantEntitlementInput, GrantEntitlementPayload } from './types/grant.js';
import { userAs } from './user.resolver.js';

/** What support gives for a while. */
@Resolver()
export class GrantResolver {
  @Directive('@tag(name: "staff")')
  @RequiresScopes([[SCOPES.support]])
  @Mutation(() => GrantEntitlementPayload, { description: 'Give a user a feature or tier for free until a date.' })
  async grantEntitlement(
    @Arg('input', () => GrantEntitlementInput, { description: 'Who, what and why.' }) input: GrantEntitlementInput,
    @Ctx() context: GraphContext,
  ): Promise<GrantEntitlementPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const { feature, expiresAt } = input;
    const command = {
      userId: read.userId(input.userId, 'userId'),
      feature,
      expiresAt,
      note: read.optionalText(input.note, 'note') ?? '',
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (read.refusals.length > 0) {
      return { entitlement: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.grantEntitlement(actor, command));
    const granted = answer.grantId === null ? null : await context.reads.grantForStaff(answer.grantId);
    return {
      // The right alone: giving it opens no account.
      entitlement: granted && presentEntitlement(granted.right, userAs(granted.userId, context)),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}
