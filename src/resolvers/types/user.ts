import { Directive, Field, ID, ObjectType } from 'type-graphql';

/** A member of the network, as far as money is concerned. */
@Directive('@key(fields: "id")')
@ObjectType({ description: 'A member of the network, as far as money is concerned.', simpleResolvers: true })
export class User {
  readonly __typename!: 'User';
  /** Whether this reader may see the private fields: the user, or staff who opened the account. Not part of the graph. */
  isOpen!: boolean;

  @Field(() => ID, { description: "The network's id of the user." })
  id!: string;
}
