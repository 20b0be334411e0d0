import { Directive, Field, ObjectType } from 'type-graphql';

/** Where a page stands in its list (Relay connection specification). */
@Directive('@shareable')
@ObjectType({ description: 'Where a page stands in its list (Relay connection specification).', simpleResolvers: true })
export class PageInfo {
  @Field(() => Boolean, { description: 'More items follow this page.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Items precede this page.' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Cursor of the first item; null on an empty page.' })
  startCursor!: string | null;

  @Field(() => String, { nullable: true, description: 'Cursor of the last item; null on an empty page.' })
  endCursor!: string | null;
}
