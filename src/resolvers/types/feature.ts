import { Directive, Field, ObjectType, registerEnumType } from 'type-graphql';

/** Something a tier unlocks. */
@Directive('@key(fields: "key")')
@Directive('@cacheControl(maxAge: 300, scope: PUBLIC)')
@ObjectType({ description: 'Something a tier unlocks.', simpleResolvers: true })
export class Feature {
  readonly __typename!: 'Feature';

  @Field(() => String, { description: 'Stable machine name, e.g. longer_posts.' })
  key!: string;

  @Field(() => String, { description: 'Name shown to users.' })
  name!: string;

  @Field(() => String, { description: 'What it does.' })
  description!: string;

  @Field(() => FeatureKind, { description: 'Whether it is on or off, or has a limit.' })
  kind!: FeatureKind;
}

/** Shape of a feature. */
export const FeatureKind = {
  BOOLEAN: 'BOOLEAN',
  LIMIT: 'LIMIT',
} as const;
export type FeatureKind = keyof typeof FeatureKind;
registerEnumType(FeatureKind, {
  name: 'FeatureKind',
  description: 'Shape of a feature.',
  valuesConfig: {
    BOOLEAN: { description: 'On or off.' },
    LIMIT: { description: 'A number that a tier sets, e.g. minutes of video.' },
  },
});
