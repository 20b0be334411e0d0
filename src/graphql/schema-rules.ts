/** Rules of the contract that no compiler checks: what every type, verb and field of it looks like. */
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  valueFromASTUntyped,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql';

/** From this cost on a verb moves money, or may: it needs a key that makes a repeat harmless. */
const COST_OF_MONEY = 50;
/** How a field that goes is announced; its clients are looked for in graphql_field_requests_total. */
const DEPRECATION_FORM = /^Use \S.*\. Removed after \d{4}-\d\d-\d\d\.$/s;
/** What federation and GraphQL themselves add. */
const NOT_OURS = /^(_|link__|federation__)/;
/** Keys by which other subgraphs know an entity. */
const KEYS = new Set(['User.id']);

/** What in the schema is not as the rules say; a line each. */
export function findSchemaFaults(schema: GraphQLSchema): string[] {
  const types = Object.values(schema.getTypeMap()).filter(({ name, astNode }) => astNode && !NOT_OURS.test(name));
  return [
    ...types
      .flatMap((type) => placesOf(type))
      .flatMap(({ place, description, deprecationReason }) => [
        ...(description ? [] : [`${place} has no description.`]),
        ...(deprecationReason == null || DEPRECATION_FORM.test(deprecationReason)
          ? []
          : [`${place} is deprecated without "Use ... . Removed after YYYY-MM-DD."`]),
      ]),
    ...verbsOf(schema).flatMap((verb) => faultsOfVerb(verb)),
    ...fieldsOf(schema.getType('User'))
      .filter(({ name, type }) => isNonNullType(type) && !KEYS.has(`User.${name}`))
      .map(({ name }) => `User.${name} is not nullable: when it fails, other people's pages lose the user.`),
  ];
}

interface Place {
  place: string;
  description: string | null | undefined;
  deprecationReason?: string | null | undefined;
}

function placesOf(type: GraphQLNamedType): Place[] {
  const own: Place = { place: type.name, description: type.description };
  if (isEnumType(type)) return [own, ...type.getValues().map((value) => ({ ...value, place: `${type.name}.${value.name}` }))];
  const fields = isInputObjectType(type) ? Object.values(type.getFields()) : fieldsOf(type);
  return [
    own,
    ...fields.flatMap((field: GraphQLField<unknown, unknown> | GraphQLInputField) => [
      ...(NOT_OURS.test(field.name) ? [] : [{ ...field, place: `${type.name}.${field.name}` }]),
      ...('args' in field && !NOT_OURS.test(field.name)
        ? field.args.map((argument) => ({ ...argument, place: `${type.name}.${field.name}(${argument.name})` }))
        : []),
    ]),
  ];
}

function fieldsOf(type: GraphQLNamedType | undefined): GraphQLField<unknown, unknown>[] {
  return isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];
}

function verbsOf(schema: GraphQLSchema): GraphQLField<unknown, unknown>[] {
  return Object.values(schema.getMutationType()?.getFields() ?? {});
}

/** Verbs that take another one back and answer as it does, so that a client shows both in the same way. */
const PAYLOADS: Readonly<Record<string, string>> = { cancelPendingTierChange: 'ChangeTier' };

function faultsOfVerb(verb: GraphQLField<unknown, unknown>): string[] {
  const name = verb.name.charAt(0).toUpperCase() + verb.name.slice(1);
  const [input, ...more] = verb.args;
  const payload = getNamedType(verb.type);
  const inputType = input && getNamedType(input.type);
  const inputFields = isInputObjectType(inputType) ? inputType.getFields() : {};
  const faults = {
    [`takes anything but one argument input: ${name}Input!`]:
      input?.name !== 'input' || String(input.type) !== `${name}Input!` || more.length > 0,
    [`gives anything but ${PAYLOADS[verb.name] ?? name}Payload!`]: String(verb.type) !== `${PAYLOADS[verb.name] ?? name}Payload!`,
    'has a payload without userErrors: [BillingError!]!': !fieldsOf(payload).some(
      (field) => field.name === 'userErrors' && String(field.type) === '[BillingError!]!',
    ),
    'has a payload with a field that a refusal could not leave out': fieldsOf(payload).some(
      (field) => field.name !== 'userErrors' && isNonNullType(field.type),
    ),
    'moves money and has no idempotencyKey: String!':
      costOf(verb) >= COST_OF_MONEY && String(inputFields['idempotencyKey']?.type) !== 'String!',
  };
  return Object.entries(faults)
    .filter(([, isSo]) => isSo)
    .map(([fault]) => `Mutation.${verb.name} ${fault}.`);
}

function costOf(verb: GraphQLField<unknown, unknown>): number {
  const cost = verb.astNode?.directives?.find(({ name }) => name.value === 'cost');
  const weight = cost?.arguments?.find(({ name }) => name.value === 'weight');
  return weight ? Number(valueFromASTUntyped(weight.value)) : 0;
}
