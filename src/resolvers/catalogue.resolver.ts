import { Arg, Args, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { invariant } from '../domain/invariant.js';
import { parsePublicId } from '../domain/ids.js';
import type { CatalogueTier } from '../store/catalogue.reads.js';
import type { GraphContext } from './context.js';
import { badUserInput } from './errors.js';
import { Connection, ForwardPageArgs, pageOf, pageRequest } from './paging.js';
import { presentFeature, presentProduct, presentProductPrice, presentTier, presentTierPrice } from './present-catalogue.js';
import { Feature } from './types/feature.js';
import { Product, ProductConnection, ProductPrice } from './types/product.js';
import { CountryCode, CurrencyCode } from './types/scalars.js';
import { BillingInterval, Tier, TierPrice } from './types/tier.js';
import { lower } from './words.js';

/** A tier that may be shown; null for one that is still being prepared. */
export function shownTier(row: CatalogueTier | null): Tier | null {
  return row === null || row.status === 'draft' ? null : presentTier(row);
}

/** Tiers, and the entry points to them. */
@Resolver(() => Tier)
export class TierResolver {
  @Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
  @Directive('@listSize(assumedSize: 10)')
  @Query(() => [Tier], { description: 'Tiers on sale, lowest rank first.' })
  tiers(
    @Arg('includeRetired', () => Boolean, { nullable: true, defaultValue: false, description: 'Also list retired tiers.' })
    includeRetired: boolean | null,
    @Ctx() context: GraphContext,
  ): Tier[] {
    return context.reads.catalogue.tiers({ includesRetired: includeRetired ?? false }).map(presentTier);
  }

  @Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
  @Query(() => Tier, { nullable: true, description: 'A tier by its id or its key; give exactly one.' })
  tier(
    @Arg('id', () => ID, { nullable: true, description: 'Opaque id.' }) publicId: string | null | undefined,
    @Arg('key', () => String, { nullable: true, description: 'Machine name.' }) key: string | null | undefined,
    @Ctx() context: GraphContext,
  ): Tier | null {
    const { catalogue } = context.reads;
    if (publicId && !key) {
      const id = parsePublicId('tier', publicId);
      return id && shownTier(catalogue.tier(id));
    }
    if (key && !publicId) return shownTier(catalogue.tierByKey(key));
    throw badUserInput('Give exactly one of id and key.');
  }

  @Directive('@listSize(assumedSize: 30)')
  @FieldResolver(() => [Feature], { description: 'What the tier unlocks.' })
  features(@Root() tier: Tier, @Ctx() context: GraphContext): Feature[] {
    return tier.row.features.flatMap((given) => {
      const feature = context.reads.catalogue.feature(given.featureKey);
      return feature ? [presentFeature(feature)] : [];
    });
  }

  @Directive('@listSize(assumedSize: 20)')
  @FieldResolver(() => [TierPrice], { description: 'Prices on sale, one for each currency and interval, after the filters.' })
  prices(
    @Root() tier: Tier,
    @Arg('currency', () => CurrencyCode, { nullable: true, description: 'Only this currency.' })
    currency: string | null | undefined,
    @Arg('country', () => CountryCode, {
      nullable: true,
      description: 'Only prices sold in this country; left out, the prices that hold in any country.',
    })
    country: string | null | undefined,
    @Arg('interval', () => BillingInterval, { nullable: true, description: 'Only this billing interval.' })
    interval: BillingInterval | null | undefined,
    @Ctx() context: GraphContext,
  ): TierPrice[] {
    const { catalogue } = context.reads;
    const now = context.clock.now();
    const filter = { currency: currency ?? null, country: country ?? null, interval: interval ? lower(interval) : null };
    return catalogue.tierPrices(tier.row.id, filter, now).map((price) => presentTierPrice(price, catalogue, now));
  }
}

/** Prices of tiers. */
@Resolver(() => TierPrice)
export class TierPriceResolver {
  @FieldResolver(() => Tier, { description: 'The tier it belongs to.' })
  tier(@Root() price: TierPrice, @Ctx() context: GraphContext): Promise<Tier> {
    return requireTier(price.row.tierId, context);
  }
}

/** Products, and the list of them. */
@Resolver(() => Product)
export class ProductResolver {
  @Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @Query(() => ProductConnection, { description: 'Products on sale.' })
  products(@Args(() => ForwardPageArgs) page: ForwardPageArgs, @Ctx() context: GraphContext): ProductConnection {
    const { catalogue, cursors } = context.reads;
    const request = pageRequest(page, 'products', cursors);
    const { afterId } = request;
    const rest = catalogue.productsOnSale(context.clock.now()).filter((product) => afterId === null || product.id < afterId);
    return new Connection(pageOf(request, rest), presentProduct, cursors);
  }

  @Directive('@listSize(assumedSize: 20)')
  @FieldResolver(() => [ProductPrice], { description: 'Prices on sale.' })
  prices(
    @Root() product: Product,
    @Arg('currency', () => CurrencyCode, { nullable: true, description: 'Only this currency.' })
    currency: string | null | undefined,
    @Ctx() context: GraphContext,
  ): ProductPrice[] {
    const { catalogue } = context.reads;
    const now = context.clock.now();
    return catalogue
      .productPrices(product.row.id, currency ?? null, now)
      .map((price) => presentProductPrice(price, catalogue, now));
  }

  @FieldResolver(() => Feature, { nullable: true, description: 'Feature it unlocks, if any.' })
  unlocks(@Root() product: Product, @Ctx() context: GraphContext): Feature | null {
    const feature = product.row.unlocks === null ? null : context.reads.catalogue.feature(product.row.unlocks);
    return feature && presentFeature(feature);
  }
}

/** Prices of products. */
@Resolver(() => ProductPrice)
export class ProductPriceResolver {
  @FieldResolver(() => Product, { description: 'The product it belongs to.' })
  async product(@Root() price: ProductPrice, @Ctx() context: GraphContext): Promise<Product> {
    const { productId } = price.row;
    const found = productId === null ? null : await context.reads.fromCatalogue((catalogue) => catalogue.product(productId));
    invariant(found !== null, 'a price of a product belongs to a product', { priceId: price.row.id });
    return presentProduct(found);
  }
}

/** The tier that a subscription or price names. @throws InvariantBroken when it does not exist: rows refer to it by a foreign key. */
export async function requireTier(id: string | null, context: GraphContext): Promise<Tier> {
  const found = id === null ? null : await context.reads.fromCatalogue((catalogue) => catalogue.tier(id));
  invariant(found !== null, 'a tier that is referred to exists', { tierId: id });
  return presentTier(found);
}
