import { Directive, Field, ID, ObjectType } from 'type-graphql';
import type { CataloguePrice, CatalogueProduct } from '../../store/catalogue.reads.js';
import { Money } from './money.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';

/** Something bought once, not renewed. */
@Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
@ObjectType({ description: 'Something bought once, not renewed.', implements: Node, simpleResolvers: true })
export class Product {
  readonly __typename!: 'Product';
  /** What the catalogue holds; not part of the graph. */
  readonly row!: CatalogueProduct;

  @Field(() => ID, { description: 'Opaque id, prefix prod_.' })
  id!: string;

  @Field(() => String, { description: 'Stable machine name.' })
  key!: string;

  @Field(() => String, { description: 'Name shown to users.' })
  name!: string;

  @Field(() => String, { description: 'What the buyer gets.' })
  description!: string;
}

/** A price of a product. Immutable. */
@Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
@ObjectType({ description: 'A price of a product. Immutable.', implements: Node, simpleResolvers: true })
export class ProductPrice {
  readonly __typename!: 'ProductPrice';
  /** What the catalogue holds; not part of the graph. */
  readonly row!: CataloguePrice;

  @Field(() => ID, { description: 'Opaque id, prefix price_.' })
  id!: string;

  @Field(() => Money, { description: 'What is charged.' })
  amount!: Money;

  @Field(() => Boolean, { description: 'Whether it may be bought now.' })
  isOnSale!: boolean;
}

/** Page of products. */
@ObjectType({ description: 'Page of products.', simpleResolvers: true })
export class ProductConnection {
  @Field(() => [ProductEdge], { description: 'Items with their cursors.' })
  edges!: ProductEdge[];

  @Field(() => [Product], { description: 'Items alone.' })
  nodes!: Product[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** A product in a page. */
@ObjectType({ description: 'A product in a page.', simpleResolvers: true })
export class ProductEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => Product, { description: 'The item.' })
  node!: Product;
}
