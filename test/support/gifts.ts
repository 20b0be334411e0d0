import type { GiftId, PriceId } from '../../src/domain/ids.js';
import { parseGiftCode } from '../../src/domain/subscription/gift-code.js';
import type { Actor, ClaimGiftAnswer, GiftSubscriptionAnswer, GiftSubscriptionCommand } from '../../src/usecases/contract.js';
import { newKey, type World } from './world.js';

/** A command to give periods at a price to whoever has the code, with a key of its own. */
export function gift(price: PriceId, more: Partial<GiftSubscriptionCommand> = {}): GiftSubscriptionCommand {
  return {
    priceId: price,
    periods: 3,
    recipientId: null,
    isAnonymous: false,
    paymentMethodId: null,
    idempotencyKey: newKey(),
    ...more,
  };
}

/** A gift that is paid. @throws Error where it was refused */
export async function give(
  world: World,
  giver: Actor,
  price: PriceId,
  more: Partial<GiftSubscriptionCommand> = {},
): Promise<GiftSubscriptionAnswer & { giftId: GiftId }> {
  const answer = await world.commands.giftSubscription(giver, gift(price, more));
  const { giftId } = answer;
  if (giftId === null || answer.refusals.length > 0) throw new Error(JSON.stringify(answer.refusals));
  return { ...answer, giftId };
}

/** Claims a gift by its code. */
export async function claimByCode(world: World, actor: Actor, code: string | null): Promise<ClaimGiftAnswer> {
  const parsed = parseGiftCode(code ?? '');
  if (parsed === null) throw new Error(`${code} is no code`);
  return world.commands.claimGift(actor, parsed);
}
