import { Arg, Ctx, Directive, Mutation, Resolver } from 'type-graphql';
import { publicId } from '../domain/ids.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { InputReader } from './input.js';
import { loadPaymentMethod } from './load-outcome.js';
import { presentRefusals } from './present-refusal.js';
import { presentNextAction } from './present-step.js';
import { runCommand } from './run-command.js';
import {
  CompletePaymentMethodSetupInput,
  CompletePaymentMethodSetupPayload,
  RemovePaymentMethodInput,
  RemovePaymentMethodPayload,
  SetDefaultPaymentMethodInput,
  SetDefaultPaymentMethodPayload,
  StartPaymentMethodSetupInput,
  StartPaymentMethodSetupPayload,
} from './types/payment-method-verbs.js';
import { lower } from './words.js';

/** What customers do with their payment methods. */
@Resolver()
export class PaymentMethodVerbsResolver {
  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => StartPaymentMethodSetupPayload, {
    description: "Begin to add a payment method; the answer says what the client must do with the provider's SDK.",
  })
  async startPaymentMethodSetup(
    @Arg('input', () => StartPaymentMethodSetupInput, { description: 'What kind.' }) input: StartPaymentMethodSetupInput,
    @Ctx() context: GraphContext,
  ): Promise<StartPaymentMethodSetupPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const command = {
      kind: lower(input.kind),
      makeDefault: input.makeDefault ?? true,
      returnUrl: input.returnUrl ?? null,
      idempotencyKey: read.idempotencyKey(input.idempotencyKey),
    };
    if (read.refusals.length > 0) {
      return { setupId: null, nextAction: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.startPaymentMethodSetup(actor, command));
    return {
      setupId: answer.setupId && publicId('set', answer.setupId),
      nextAction: presentNextAction(answer.nextAction),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Directive('@cost(weight: 20)')
  @Mutation(() => CompletePaymentMethodSetupPayload, {
    description: 'Finish adding a payment method after the user has done the step.',
  })
  async completePaymentMethodSetup(
    @Arg('input', () => CompletePaymentMethodSetupInput, { description: 'Which setup.' }) input: CompletePaymentMethodSetupInput,
    @Ctx() context: GraphContext,
  ): Promise<CompletePaymentMethodSetupPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const setupId = read.id('set', input.setupId, 'setupId');
    if (setupId === null) {
      return { paymentMethod: null, nextAction: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const command = { setupId, providerToken: input.providerToken ?? null };
    const answer = await runCommand(context, () => context.commands.completePaymentMethodSetup(actor, command));
    return {
      paymentMethod: await loadPaymentMethod(actor.userId, answer.paymentMethodId, context),
      nextAction: presentNextAction(answer.nextAction),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Mutation(() => SetDefaultPaymentMethodPayload, { description: 'Choose what renewals charge first.' })
  async setDefaultPaymentMethod(
    @Arg('input', () => SetDefaultPaymentMethodInput, { description: 'Which one.' }) input: SetDefaultPaymentMethodInput,
    @Ctx() context: GraphContext,
  ): Promise<SetDefaultPaymentMethodPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const paymentMethodId = read.id('pm', input.paymentMethodId, 'paymentMethodId');
    if (paymentMethodId === null) {
      return { paymentMethod: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.setDefaultPaymentMethod(actor, { paymentMethodId }));
    return {
      paymentMethod: await loadPaymentMethod(actor.userId, answer.paymentMethodId, context),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }

  @Authenticated()
  @Mutation(() => RemovePaymentMethodPayload, {
    description: 'Take a payment method off file; refused while a subscription depends on it alone.',
  })
  async removePaymentMethod(
    @Arg('input', () => RemovePaymentMethodInput, { description: 'Which one.' }) input: RemovePaymentMethodInput,
    @Ctx() context: GraphContext,
  ): Promise<RemovePaymentMethodPayload> {
    const actor = requireActor(context);
    const read = new InputReader();
    const paymentMethodId = read.id('pm', input.paymentMethodId, 'paymentMethodId');
    if (paymentMethodId === null) {
      return { removedPaymentMethodId: null, userErrors: await presentRefusals(read.refusals, actor.userId, context) };
    }
    const answer = await runCommand(context, () => context.commands.removePaymentMethod(actor, { paymentMethodId }));
    return {
      removedPaymentMethodId: answer.paymentMethodId && publicId('pm', answer.paymentMethodId),
      userErrors: await presentRefusals(answer.refusals, actor.userId, context),
    };
  }
}
