import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { parseAnyPublicId } from '../domain/ids.js';
import { Authenticated, requireActor } from './authorization.js';
import { shownTier } from './catalogue.resolver.js';
import type { GraphContext } from './context.js';
import { ownGift } from './gift.resolver.js';
import { ownInvoice } from './invoice.resolver.js';
import { presentPaymentMethod, presentPurchase } from './present-account.js';
import { presentCoupon, presentProduct, presentProductPrice, presentTierPrice } from './present-catalogue.js';
import { ownSubscription } from './subscription.resolver.js';
import { ownTransaction } from './transaction.resolver.js';
import { Node } from './types/node.js';
import type { ProductPrice } from './types/product.js';
import type { TierPrice } from './types/tier.js';

/** Any object by its id, whose prefix names the type. */
@Resolver()
export class NodeResolver {
  @Authenticated()
  @Query(() => Node, {
    nullable: true,
    description: "Any object of this subgraph by id; null when it does not exist or is not the caller's.",
  })
  async monetizationNode(
    @Arg('id', () => ID, { description: 'Opaque id.' }) publicId: string,
    @Ctx() context: GraphContext,
  ): Promise<Node | null> {
    const { userId } = requireActor(context);
    const { reads } = context;
    const named = parseAnyPublicId(publicId);
    switch (named?.kind) {
      case 'tier':
        return shownTier(reads.catalogue.tier(named.id));
      case 'price':
        return shownPrice(named.id, context);
      case 'prod': {
        const product = reads.catalogue.product(named.id);
        return product && presentProduct(product);
      }
      case 'cpn': {
        const coupon = reads.catalogue.coupon(named.id);
        return coupon && presentCoupon(coupon, null);
      }
      case 'sub':
        return ownSubscription(userId, publicId, context);
      case 'txn':
        return ownTransaction(userId, publicId, context);
      case 'inv':
        return ownInvoice(userId, publicId, context);
      case 'pur': {
        const purchase = await reads.purchaseOf(userId, named.id);
        return purchase && presentPurchase(purchase);
      }
      case 'gift':
        return ownGift(userId, named.id, context);
      case 'pm': {
        const method = await reads.paymentMethodOf(userId, named.id);
        return method && presentPaymentMethod(method);
      }
      default:
        return null;
    }
  }
}

function shownPrice(id: string, { reads, clock }: GraphContext): TierPrice | ProductPrice | null {
  const { catalogue } = reads;
  const price = catalogue.price(id);
  if (price === null) return null;
  if (price.tierId === null) return presentProductPrice(price, catalogue, clock.now());
  return shownTier(catalogue.tier(price.tierId)) && presentTierPrice(price, catalogue, clock.now());
}
