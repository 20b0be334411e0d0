import { Field, ID, InterfaceType } from 'type-graphql';

/** Every object behind an interface carries the name of its own type. */
export const typeNameOf = (value: { __typename: string }): string => value.__typename;

/** Anything with an id that can be refetched through monetizationNode. */
@InterfaceType({ description: 'Anything with an id that can be refetched through monetizationNode.', resolveType: typeNameOf })
export abstract class Node {
  /** Name of the concrete type. */
  readonly __typename!: string;

  @Field(() => ID, { description: 'Opaque, stable, unique across the whole graph; its prefix names the type (see graph.md).' })
  id!: string;
}
