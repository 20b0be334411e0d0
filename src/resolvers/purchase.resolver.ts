import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { invariant } from '../domain/invariant.js';
import type { GraphContext } from './context.js';
import { presentTransaction } from './present-account.js';
import { presentProductPrice } from './present-catalogue.js';
import { ProductPrice } from './types/product.js';
import { Purchase } from './types/purchase.js';
import { Transaction } from './types/transaction.js';
import { User } from './types/user.js';
import { openUser } from './user.resolver.js';

/** One-time purchases. */
@Resolver(() => Purchase)
export class PurchaseResolver {
  @FieldResolver(() => User, { description: 'Who bought.' })
  user(@Root() { row }: Purchase): User {
    return openUser(row.userId);
  }

  @FieldResolver(() => ProductPrice, { description: 'What was bought, at which price.' })
  async price(@Root() { row }: Purchase, @Ctx() context: GraphContext): Promise<ProductPrice> {
    const { reads, clock } = context;
    const price = await reads.fromCatalogue((catalogue) => catalogue.price(row.priceId));
    invariant(price !== null, 'the price of a purchase exists', { priceId: row.priceId });
    return presentProductPrice(price, reads.catalogue, clock.now());
  }

  @FieldResolver(() => Transaction, { nullable: true, description: 'The payment.' })
  async transaction(@Root() { row }: Purchase, @Ctx() context: GraphContext): Promise<Transaction | null> {
    const charge = await context.reads.latestChargeFor(row.userId, row.id);
    return charge && presentTransaction(charge);
  }
}
