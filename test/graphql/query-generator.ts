import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
} from 'graphql';
import type { Chance } from '../../bench/chance.js';

/** A document with one set of variables for each time that it is to be sent. */
export interface GeneratedQuery {
  query: string;
  operationName?: string | null;
  variables: Record<string, unknown>[];
}

/** Gives a value for an argument or input field, as JSON; undefined where the generator is to make one by itself. */
export type ValueSource = (type: string, name: string, chance: Chance) => unknown;

const DEEPEST = 5;
const MOST_FIELDS = 40;
const SETS_OF_VARIABLES = 2;

/** Makes queries against a schema: mostly valid ones that use all that the language has. */
export class QueryGenerator {
  readonly #schema: GraphQLSchema;
  readonly #chance: Chance;
  readonly #valueOf: ValueSource;

  constructor(schema: GraphQLSchema, chance: Chance, valueOf: ValueSource) {
    this.#schema = schema;
    this.#chance = chance;
    this.#valueOf = valueOf;
  }

  next(): GeneratedQuery {
    const chance = this.#chance;
    const count = chance.is(0.15) ? 2 : 1;
    const drafts = Array.from({ length: count }, (_, at) => new Draft(this.#schema, chance, this.#valueOf, at));
    const [first, second] = drafts;
    const isNamed = count > 1 || chance.is(0.3);
    const query = drafts.map((draft, at) => draft.text(isNamed ? `Op${at}` : '')).join('\n');
    const chosen = second && chance.is(0.5) ? second : first;
    if (!chosen) throw new Error('A document has an operation.');
    const name = count > 1 ? this.#nameFor(drafts.indexOf(chosen)) : isNamed && chance.is(0.3) ? 'Op0' : undefined;
    return {
      query,
      ...(name !== undefined && { operationName: name }),
      variables: Array.from({ length: SETS_OF_VARIABLES }, () => chosen.values()),
    };
  }

  #nameFor(at: number): string | null {
    if (this.#chance.is(0.03)) return this.#chance.of([null, 'Nobody']);
    return `Op${at}`;
  }
}

interface Variable {
  name: string;
  type: GraphQLInputType;
  declared: string;
  hasDefault: boolean;
}

/** One operation while it is being written, with its fragments and variables. */
class Draft {
  readonly #schema: GraphQLSchema;
  readonly #chance: Chance;
  readonly #valueOf: ValueSource;
  readonly #at: number;
  readonly #variables: Variable[] = [];
  readonly #switches: string[] = [];
  readonly #fragments: { name: string; type: string; text: string }[] = [];
  readonly #body: string;
  #fieldCount = 0;
  #names = 0;

  constructor(schema: GraphQLSchema, chance: Chance, valueOf: ValueSource, at: number) {
    this.#schema = schema;
    this.#chance = chance;
    this.#valueOf = valueOf;
    this.#at = at;
    const root = schema.getQueryType();
    if (!root) throw new Error('The schema has no queries.');
    this.#body = this.#selections(root, 0);
  }

  text(name: string): string {
    const declared = [
      ...this.#variables.map((one) => one.declared),
      ...this.#switches.map((one) => `$${one}: ${this.#switchType(one)}`),
    ];
    const head = declared.length > 0 ? `query ${name}(${declared.join(', ')}) ` : name === '' ? '' : `query ${name} `;
    const fragments = this.#fragments.map((one) => `fragment ${one.name} on ${one.type} ${one.text}`);
    return [`${head}${this.#body}`, ...fragments].join('\n');
  }

  /** Values for the variables: mostly good ones, each time others. */
  values(): Record<string, unknown> {
    const chance = this.#chance;
    const values: Record<string, unknown> = {};
    for (const { name, type, hasDefault } of this.#variables) {
      if ((hasDefault || !isNonNullType(type)) && chance.is(0.15)) continue;
      if (chance.is(0.02)) continue;
      values[name] = chance.is(0.03) ? chance.of([null, 'wrong', -1, [], {}]) : this.#json(type, name.replace(/\d+$/, ''), 0);
    }
    for (const name of this.#switches) if (!name.startsWith('d') || chance.is(0.5)) values[name] = chance.is(0.5);
    if (chance.is(0.02)) values['unknown'] = 1;
    return values;
  }

  #switchType(name: string): string {
    return name.startsWith('d') ? 'Boolean = true' : 'Boolean!';
  }

  #selections(type: GraphQLCompositeType, depth: number): string {
    const chance = this.#chance;
    const count = 1 + chance.below(depth === 0 ? 3 : 5);
    const parts: string[] = [];
    for (let made = 0; made < count; made += 1) {
      const dice = chance.next();
      if (dice < 0.12) parts.push(this.#inline(type, depth));
      else if (dice < 0.24) parts.push(this.#spread(type, depth));
      else parts.push(this.#field(type, depth));
    }
    return `{ ${parts.join(' ')} }`;
  }

  #field(type: GraphQLCompositeType, depth: number): string {
    const chance = this.#chance;
    const fields = 'getFields' in type ? Object.values(type.getFields()).filter(({ name }) => name !== '_service') : [];
    const open = fields.filter((field) => this.#mayHold(field, depth));
    if (open.length === 0 || chance.is(0.08)) return `${this.#alias()}__typename${this.#condition()}`;
    const field = chance.of(open);
    this.#fieldCount += 1;
    const named = getNamedType(field.type);
    const inner = isCompositeType(named) ? ` ${this.#selections(named, depth + 1)}` : '';
    // A field with arguments is only ever asked for under another name, so that two of them do not contradict each other.
    const alias = field.args.length > 0 || inner !== '' ? this.#alias(0.7) : this.#alias();
    return `${alias}${field.name}${this.#arguments(field)}${this.#condition()}${inner}`;
  }

  #mayHold(field: GraphQLField<unknown, unknown>, depth: number): boolean {
    return !isCompositeType(getNamedType(field.type)) || (depth < DEEPEST && this.#fieldCount < MOST_FIELDS);
  }

  #alias(probability = 0.2): string {
    if (!this.#chance.is(probability)) return '';
    this.#names += 1;
    return `a${this.#names}: `;
  }

  #inline(type: GraphQLCompositeType, depth: number): string {
    const target = this.#chance.is(0.3) ? null : this.#narrower(type);
    return `...${target ? ` on ${target.name}` : ''}${this.#condition()} ${this.#selections(target ?? type, depth)}`;
  }

  #spread(type: GraphQLCompositeType, depth: number): string {
    const chance = this.#chance;
    const known = this.#fragments.filter((one) => one.type === type.name);
    if (known.length > 0 && chance.is(0.5)) return `...${chance.of(known).name}${this.#condition()}`;
    const target = this.#narrower(type);
    const text = this.#selections(target, depth);
    const name = `F${this.#at}x${this.#fragments.length}`;
    this.#fragments.push({ name, type: target.name, text });
    return `...${name}${this.#condition()}`;
  }

  /** The type itself, or one that it may turn out to be. */
  #narrower(type: GraphQLCompositeType): GraphQLCompositeType {
    return isAbstractType(type) && this.#chance.is(0.8) ? this.#chance.of(this.#schema.getPossibleTypes(type)) : type;
  }

  #condition(): string {
    const chance = this.#chance;
    if (!chance.is(0.12)) return '';
    const word = chance.of(['skip', 'include']);
    const more = chance.is(0.1) ? ` @${word === 'skip' ? 'include' : 'skip'}(if: ${this.#switch()})` : '';
    return ` @${word}(if: ${this.#switch()})${more}`;
  }

  #switch(): string {
    const chance = this.#chance;
    if (chance.is(0.3)) return chance.of(['true', 'false']);
    if (this.#switches.length === 0 || (this.#switches.length < 4 && chance.is(0.4))) {
      this.#switches.push(`${chance.is(0.2) ? 'd' : 's'}${this.#at}${this.#switches.length}`);
    }
    return `$${chance.of(this.#switches)}`;
  }

  #arguments(field: GraphQLField<unknown, unknown>): string {
    const given = field.args.filter((argument) => isRequired(argument) || this.#chance.is(0.4));
    if (given.length === 0) return '';
    return `(${given.map((argument) => `${argument.name}: ${this.#argument(argument)}`).join(', ')})`;
  }

  #argument({ name, type }: GraphQLArgument): string {
    return this.#chance.is(0.5) ? this.#variable(name, type) : this.#literal(type, name, 0);
  }

  #variable(argument: string, type: GraphQLInputType): string {
    const name = `${argument}${this.#at}${this.#variables.length}`;
    const hasDefault = !isNonNullType(type) && this.#chance.is(0.3);
    const usesNonNull = !isNonNullType(type) && !hasDefault && this.#chance.is(0.2);
    const byDefault = hasDefault ? ` = ${this.#literal(type, argument, 0)}` : '';
    this.#variables.push({ name, type, hasDefault, declared: `$${name}: ${String(type)}${usesNonNull ? '!' : ''}${byDefault}` });
    return `$${name}`;
  }

  #literal(type: GraphQLInputType, name: string, depth: number): string {
    return literalOf(this.#json(type, name, depth), type);
  }

  #json(type: GraphQLInputType, name: string, depth: number): unknown {
    const chance = this.#chance;
    if (isNonNullType(type)) return this.#json(type.ofType, name, depth);
    if (depth > 0 && chance.is(0.05)) return null;
    if (isListType(type)) {
      return Array.from({ length: chance.below(4) }, () => this.#json(type.ofType, name, depth + 1));
    }
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => isRequired(field) || (depth < 3 && chance.is(0.4)));
      return Object.fromEntries(fields.map((field) => [field.name, this.#json(field.type, field.name, depth + 1)]));
    }
    const given = this.#valueOf(String(type), name, chance);
    if (given !== undefined) return given;
    if (isEnumType(type)) return chance.of(type.getValues().map((value) => value.name));
    switch (String(type)) {
      case 'Boolean':
        return chance.is(0.5);
      case 'Int':
        return chance.below(6);
      case 'Float':
        return chance.below(100) / 4;
      default:
        return `text${chance.below(4)}`;
    }
  }
}

function isRequired({ type, defaultValue }: { type: GraphQLInputType; defaultValue?: unknown }): boolean {
  return isNonNullType(type) && defaultValue === undefined;
}

/** JSON in the words of GraphQL. */
function literalOf(value: unknown, type: GraphQLInputType): string {
  const named = isNonNullType(type) ? type.ofType : type;
  if (isEnumType(named) && typeof value === 'string') return value;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) {
    const item = isListType(named) ? named.ofType : named;
    return `[${value.map((each: unknown) => literalOf(each, item)).join(', ')}]`;
  }
  const fields = isInputObjectType(named) ? named.getFields() : {};
  const parts = Object.entries(value).map(([key, each]: [string, unknown]) => {
    const field = fields[key];
    return `${key}: ${field ? literalOf(each, field.type) : literalOf(each, named)}`;
  });
  return `{${parts.join(', ')}}`;
}
