/**
 * Queries prepared once and run many times. What graphql-js finds out anew for every request (which fields a selection comes to, their
 * types, what resolves them) is found out here at the first run and kept. A run gives what graphql-js would give, in the same order, as
 * long as nothing fails; when anything does, it gives nothing at all, and whoever asked has the query run by graphql-js, which knows
 * everything about errors. So there is no second account of error paths, and of how far a null spreads, that could differ from the first.
 */
import {
  defaultTypeResolver,
  getArgumentValues,
  getVariableValues,
  GraphQLBoolean,
  GraphQLID,
  GraphQLString,
  isAbstractType,
  isEnumType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  typeFromAST,
  TypeNameMetaFieldDef,
  visit,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLAbstractType,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { annotationOf, CachePolicy, fieldHint, type CacheHint, type FieldHint } from './cache-policy.js';

/** Ways to leave out parts of one operation (by @skip and @include) that are kept prepared. */
const PATTERNS_KEPT = 16;
/** Fields of one operation that are kept prepared, its patterns together. */
const FIELDS_KEPT = 500;
/** As graphql-js has it. */
const VARIABLE_ERRORS = { maxErrors: 50 };

type Path = GraphQLResolveInfo['path'];
type Values = Record<string, unknown>;

/** What graphql-js tells a resolver; other packages add to the type what they alone give. */
type PlainInfo = Pick<
  GraphQLResolveInfo,
  | 'fieldName'
  | 'fieldNodes'
  | 'returnType'
  | 'parentType'
  | 'path'
  | 'schema'
  | 'fragments'
  | 'rootValue'
  | 'operation'
  | 'variableValues'
>;

interface FieldResolver {
  resolve(source: unknown, args: Values, context: unknown, info: PlainInfo): unknown;
}

interface TypeResolver {
  resolveType(value: unknown, context: unknown, info: PlainInfo, type: GraphQLAbstractType): unknown;
}

/** What a query came to. */
export interface QueryAnswer {
  readonly data: Values;
  /** How long and for whom the answer may be cached. */
  readonly policy: CachePolicy;
}

/** Prepares queries against one schema. */
export class QueryCompiler {
  readonly #schema: GraphQLSchema;
  readonly #resolvers = new Map<GraphQLField<unknown, unknown>, FieldResolver>();

  /**
   * Takes the resolvers as they are now: Apollo Server wraps them in place at its first request, for plugins that we do without.
   * @param schema without a field in it that was wrapped already
   */
  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
    for (const type of Object.values(schema.getTypeMap())) {
      if (!isObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) this.#remember(field);
    }
  }

  #remember(field: GraphQLField<unknown, unknown>): void {
    if (field.resolve) this.#resolvers.set(field, { resolve: field.resolve });
  }

  /** Prepares an operation of a valid document; null for what is not taken: other than queries, and questions about the schema. */
  prepare(document: DocumentNode, operation: OperationDefinitionNode): PreparedQuery | null {
    const root = this.#schema.getQueryType();
    if (operation.operation !== 'query' || !root || hasReservedName(document)) return null;
    const fragments = Object.fromEntries(
      document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]),
    );
    return new PreparedQuery({ schema: this.#schema, resolvers: this.#resolvers, root, operation, fragments });
  }
}

/** Names of the schema's own fields, and a name that an object of JavaScript has a meaning of its own for. */
function hasReservedName(document: DocumentNode): boolean {
  let found = false;
  visit(document, {
    Field({ name, alias }) {
      found ||= name.value === '__schema' || name.value === '__type' || alias?.value === '__proto__';
    },
  });
  return found;
}

interface QueryParts {
  readonly schema: GraphQLSchema;
  readonly resolvers: ReadonlyMap<GraphQLField<unknown, unknown>, FieldResolver>;
  readonly root: GraphQLObjectType;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>;
}

/** An operation with everything about it that does not change from request to request. */
export class PreparedQuery {
  readonly parts: QueryParts;
  /** Variables that decide what is left out, in a fixed order. */
  readonly #switches: readonly string[];
  readonly #patterns = new Map<string, Selection>();
  #fieldCount = 0;

  constructor(parts: QueryParts) {
    this.parts = parts;
    this.#switches = switchesOf(parts);
  }

  /** Runs the query. Null when it cannot be answered from here, for whatever reason; nothing but reads has happened then. */
  run(variables: Readonly<Values>, contextValue: object): Promise<QueryAnswer | null> {
    const { schema, operation, root } = this.parts;
    const { variableDefinitions = [] } = operation;
    const { coerced } =
      variableDefinitions.length === 0
        ? { coerced: {} }
        : getVariableValues(schema, variableDefinitions, variables, VARIABLE_ERRORS);
    const selection = coerced && this.#selectionFor(coerced);
    return new Promise((resolve) => {
      if (selection) new Run(this, contextValue, coerced, resolve).start(selection, root);
      else resolve(null);
    });
  }

  /** Fields of the selection sets for objects of a type. @throws Error when there are too many to keep */
  fieldsOf(type: GraphQLObjectType, selectionSets: readonly SelectionSetNode[], switches: Switches): PlannedField[] {
    const nodes = new Map<string, [FieldNode, ...FieldNode[]]>();
    const seen = new Set<string>();
    for (const selectionSet of selectionSets) collectFields(this.parts, type, selectionSet, switches, nodes, seen);
    this.#fieldCount += nodes.size;
    if (this.#fieldCount > FIELDS_KEPT) throw new Error('The query has too many fields to be kept.');
    return [...nodes].flatMap(([key, group]) => planField(this, type, key, group, switches) ?? []);
  }

  #selectionFor(variables: Readonly<Values>): Selection | null {
    const switches: Switches = {};
    let pattern = '';
    for (const name of this.#switches) {
      const value = variables[name];
      if (typeof value !== 'boolean') return null;
      switches[name] = value;
      pattern += value ? '1' : '0';
    }
    const known = this.#patterns.get(pattern);
    if (known || this.#patterns.size >= PATTERNS_KEPT) return known ?? null;
    const selection = new Selection(this, [this.parts.operation.selectionSet], switches);
    this.#patterns.set(pattern, selection);
    return selection;
  }
}

/** Values of the variables that @skip and @include ask for. */
type Switches = Record<string, boolean>;

/** Selection sets under one response key; the fields they come to depend on the type of the object they are applied to. */
class Selection {
  readonly #query: PreparedQuery;
  readonly #selectionSets: readonly SelectionSetNode[];
  readonly #switches: Switches;
  readonly #byType = new Map<GraphQLObjectType, PlannedField[]>();
  #last: { type: GraphQLObjectType; fields: PlannedField[] } | null = null;

  constructor(query: PreparedQuery, selectionSets: readonly SelectionSetNode[], switches: Switches) {
    this.#query = query;
    this.#selectionSets = selectionSets;
    this.#switches = switches;
  }

  fieldsOf(type: GraphQLObjectType): PlannedField[] {
    if (this.#last?.type === type) return this.#last.fields;
    let fields = this.#byType.get(type);
    if (!fields) {
      fields = this.#query.fieldsOf(type, this.#selectionSets, this.#switches);
      this.#byType.set(type, fields);
    }
    this.#last = { type, fields };
    return fields;
  }
}

/** A field of a selection, with what it takes to answer it. */
interface PlannedField {
  /** In the answer: the alias, or the name. */
  readonly key: string;
  readonly definition: GraphQLField<unknown, unknown>;
  readonly nodes: readonly [FieldNode, ...FieldNode[]];
  readonly parentType: GraphQLObjectType;
  /** null: the property of that name. */
  readonly resolver: FieldResolver | null;
  readonly hint: FieldHint;
  /** null: the name of the parent's type. */
  readonly output: Output | null;
}

/** What a value has to become. */
type Output = { readonly isNullable: boolean } & (
  | { readonly kind: 'leaf'; readonly type: GraphQLLeafType; readonly serialize: (value: unknown) => unknown }
  | { readonly kind: 'list'; readonly item: Output }
  | { readonly kind: 'object'; readonly type: GraphQLObjectType; readonly selection: Selection }
  | {
      readonly kind: 'abstract';
      readonly type: GraphQLAbstractType;
      readonly resolver: TypeResolver;
      readonly selection: Selection;
    }
);

/** null for a field that the type does not have, which no valid document asks for. */
function planField(
  query: PreparedQuery,
  parentType: GraphQLObjectType,
  key: string,
  nodes: [FieldNode, ...FieldNode[]],
  switches: Switches,
): PlannedField | null {
  const { resolvers, root } = query.parts;
  const name = nodes[0].name.value;
  const definition = name === TypeNameMetaFieldDef.name ? TypeNameMetaFieldDef : parentType.getFields()[name];
  if (!definition) return null;
  const selection = new Selection(
    query,
    nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
    switches,
  );
  return {
    key,
    definition,
    nodes,
    parentType,
    resolver: resolvers.get(definition) ?? null,
    hint: fieldHint(definition, parentType === root),
    output: definition === TypeNameMetaFieldDef ? null : outputOf(definition.type, selection),
  };
}

function outputOf(type: GraphQLOutputType, selection: Selection): Output {
  const isNullable = !isNonNullType(type);
  const inner = isNonNullType(type) ? type.ofType : type;
  if (isListType(inner)) return { kind: 'list', isNullable, item: outputOf(inner.ofType, selection) };
  if (isLeafType(inner)) return { kind: 'leaf', isNullable, type: inner, serialize: serializerOf(inner) };
  if (isAbstractType(inner)) {
    const resolver: TypeResolver = { resolveType: inner.resolveType ?? defaultTypeResolver };
    return { kind: 'abstract', isNullable, type: inner, resolver, selection };
  }
  return { kind: 'object', isNullable, type: inner, selection };
}

/** What the type makes of a value, with the values that stay as they are told apart at once. */
function serializerOf(type: GraphQLLeafType): (value: unknown) => unknown {
  const full = (value: unknown): unknown => type.serialize(value);
  if (isEnumType(type)) {
    const own = new Set(type.getValues().flatMap(({ name, value }) => (name === value ? name : [])));
    return (value) => (typeof value === 'string' && own.has(value) ? value : full(value));
  }
  if (type === GraphQLString || type === GraphQLID) return (value) => (typeof value === 'string' ? value : full(value));
  return type === GraphQLBoolean ? (value) => (typeof value === 'boolean' ? value : full(value)) : full;
}

/** As in the specification (section 6.3.2, CollectFields): in the order of the document, a fragment once, equal keys together. */
function collectFields(
  parts: QueryParts,
  type: GraphQLObjectType,
  selectionSet: SelectionSetNode,
  switches: Switches,
  found: Map<string, [FieldNode, ...FieldNode[]]>,
  seen: Set<string>,
): void {
  for (const selection of selectionSet.selections) {
    if (selection.kind === Kind.FRAGMENT_SPREAD && seen.has(selection.name.value)) continue;
    if (isLeftOut(selection, switches)) continue;
    if (selection.kind === Kind.FIELD) {
      const key = (selection.alias ?? selection.name).value;
      const group = found.get(key);
      if (group) group.push(selection);
      else found.set(key, [selection]);
      continue;
    }
    if (selection.kind === Kind.FRAGMENT_SPREAD) seen.add(selection.name.value);
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? parts.fragments[selection.name.value] : selection;
    if (fragment && appliesTo(parts.schema, fragment.typeCondition, type)) {
      collectFields(parts, type, fragment.selectionSet, switches, found, seen);
    }
  }
}

function appliesTo(
  schema: GraphQLSchema,
  condition: FragmentDefinitionNode['typeCondition'] | undefined,
  type: GraphQLObjectType,
): boolean {
  if (!condition) return true;
  const conditionType = typeFromAST(schema, condition);
  return conditionType === type || (isAbstractType(conditionType) && schema.isSubType(conditionType, type));
}

function isLeftOut(node: SelectionNode, switches: Switches): boolean {
  return (node.directives ?? []).some(({ name, arguments: given }) => {
    const value = given?.find((argument) => argument.name.value === 'if')?.value;
    const isOn = value?.kind === Kind.VARIABLE ? switches[value.name.value] : value?.kind === Kind.BOOLEAN && value.value;
    return (name.value === 'skip' && isOn === true) || (name.value === 'include' && isOn === false);
  });
}

/** Variables in @skip and @include, of the operation and of every fragment in the document. */
function switchesOf({ operation, fragments }: QueryParts): string[] {
  const names = new Set<string>();
  const declared = new Set((operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value));
  for (const definition of [operation, ...Object.values(fragments)]) {
    visit(definition, {
      Directive({ name, arguments: given }) {
        const value = given?.find((argument) => argument.name.value === 'if')?.value;
        const isSwitch = (name.value === 'skip' || name.value === 'include') && value?.kind === Kind.VARIABLE;
        // A fragment of another operation may ask for a variable that this one has not.
        if (isSwitch && declared.has(value.name.value)) names.add(value.name.value);
      },
    });
  }
  return [...names];
}

/** One run of a prepared query. */
class Run {
  readonly query: PreparedQuery;
  readonly variables: Values;
  readonly policy = new CachePolicy();
  readonly #context: object;
  readonly #arguments = new Map<PlannedField, Values>();
  /** Values that are waited for. */
  #waiting = 0;
  #isOver = false;
  #data: Values = {};
  /** Told once: the answer, or null at the first thing that goes wrong. */
  readonly #finish: (answer: QueryAnswer | null) => void;

  constructor(query: PreparedQuery, context: object, variables: Values, finish: (answer: QueryAnswer | null) => void) {
    this.query = query;
    this.#context = context;
    this.variables = variables;
    this.#finish = finish;
  }

  start(selection: Selection, root: GraphQLObjectType): void {
    try {
      this.#data = this.#object(root, selection, undefined, undefined);
      if (this.#waiting === 0) this.#finish({ data: this.#data, policy: this.policy });
    } catch {
      this.#giveUp();
    }
  }

  #object(type: GraphQLObjectType, selection: Selection, source: unknown, path: Path | undefined): Values {
    const result: Values = {};
    for (const field of selection.fieldsOf(type)) this.#field(result, field, source, path);
    return result;
  }

  #field(result: Values, field: PlannedField, source: unknown, parentPath: Path | undefined): void {
    const { key, output, resolver, parentType } = field;
    if (!output) {
      result[key] = parentType.name;
      return;
    }
    if (!resolver) {
      const value = propertyOf(source, field.definition.name);
      if (output.kind === 'leaf' && typeof value !== 'function' && !isPromise(value)) {
        this.policy.restrict(field.hint);
        result[key] = completeLeaf(output, value);
        return;
      }
    }
    const info = new FieldInfo(this, field, { prev: parentPath, key, typename: parentType.name });
    const value = (resolver ?? PROPERTY).resolve(source, this.#argumentsOf(field), this.#context, info);
    if (!isPromise(value)) {
      this.#place(result, field, value, info);
      return;
    }
    result[key] = undefined; // keeps its place in the order of keys
    this.#later(value, (settled) => this.#place(result, field, settled, info));
  }

  #place(result: Values, field: PlannedField, value: unknown, info: FieldInfo): void {
    const { key, output, hint } = field;
    this.policy.restrict(info.hint(hint));
    const completed = output && this.#complete(output, value, info, info.path);
    if (!isPromise(completed)) {
      result[key] = completed;
      return;
    }
    result[key] = undefined;
    this.#later(completed, (settled) => {
      result[key] = settled;
    });
  }

  /** The value as the answer shows it, or a promise of it where finding out its type takes time. */
  #complete(output: Output, value: unknown, info: FieldInfo, path: Path): unknown {
    if (output.kind === 'leaf') return completeLeaf(output, value);
    if (value instanceof Error) throw value;
    if (value === null || value === undefined) {
      if (output.isNullable) return null;
      throw new Error('A null where none may be.');
    }
    if (output.kind === 'list') return this.#list(output.item, value, info, path);
    if (output.kind === 'object') return this.#typed(output.type, output.selection, value, path);
    const { type, resolver, selection } = output;
    const name = resolver.resolveType(value, this.#context, info, type);
    const typed = (found: unknown): Values => this.#typed(this.#possibleType(type, found), selection, value, path);
    return isPromise(name) ? name.then(typed) : typed(name);
  }

  #list(item: Output, value: unknown, info: FieldInfo, path: Path): unknown[] {
    if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) throw new Error('No list where one must be.');
    const items: unknown[] = [];
    let failure: { cause: unknown } | null = null;
    let at = 0;
    for (const each of value as Iterable<unknown>) {
      const index = at++;
      const place = (settled: unknown): void => {
        const completed = this.#complete(item, settled, info, { prev: path, key: index, typename: undefined });
        if (isPromise(completed)) this.#later(completed, (final) => (items[index] = final));
        else items[index] = completed;
      };
      items.push(null);
      try {
        if (isPromise(each)) this.#later(each, place);
        else place(each);
      } catch (cause) {
        failure ??= { cause }; // promises further on are still to be listened to, or their failures would be nobody's
      }
    }
    if (failure) throw failure.cause;
    return items;
  }

  #typed(type: GraphQLObjectType, selection: Selection, value: unknown, path: Path): Values {
    // An object that has to be asked whether it is of its type is asked by graphql-js.
    if (type.isTypeOf) throw new Error(`${type.name} has a test of its own.`);
    return this.#object(type, selection, value, path);
  }

  #possibleType(type: GraphQLAbstractType, name: unknown): GraphQLObjectType {
    const { schema } = this.query.parts;
    const found = typeof name === 'string' ? schema.getType(name) : undefined;
    if (!isObjectType(found) || !schema.isSubType(type, found)) throw new Error(`No possible type of ${type.name}.`);
    return found;
  }

  /** Those of a field in a list are read once. */
  #argumentsOf(field: PlannedField): Values {
    if (field.definition.args.length === 0) return {};
    let values = this.#arguments.get(field);
    if (!values) {
      values = getArgumentValues(field.definition, field.nodes[0], this.variables);
      this.#arguments.set(field, values);
    }
    return values;
  }

  #later(promise: PromiseLike<unknown>, take: (value: unknown) => void): void {
    this.#waiting += 1;
    promise.then(
      (value) => {
        if (this.#isOver) {
          disregard(value);
          return;
        }
        try {
          take(value);
        } catch {
          this.#giveUp();
          return;
        }
        this.#waiting -= 1;
        if (this.#waiting === 0) this.#finish({ data: this.#data, policy: this.policy });
      },
      () => this.#giveUp(),
    );
  }

  #giveUp(): void {
    this.#isOver = true;
    this.#finish(null);
  }
}

/** Apollo Server's way for resolvers to say how long their value may be cached; entities do so. */
export interface CacheControl {
  setCacheHint(hint: CacheHint): void;
  cacheHint: Pick<CachePolicy, 'restrict' | 'maxAge' | 'scope'>;
  cacheHintFromType(type: GraphQLCompositeType): CacheHint | undefined;
}

/** What a resolver is told about its field. Most ask for nothing of it, so it is found out when it is asked for. */
class FieldInfo implements PlainInfo {
  readonly path: Path;
  readonly #run: Run;
  readonly #field: PlannedField;
  #dynamicHint: CachePolicy | null = null;

  constructor(run: Run, field: PlannedField, path: Path) {
    this.#run = run;
    this.#field = field;
    this.path = path;
  }

  get fieldName(): string {
    return this.#field.definition.name;
  }

  get fieldNodes(): readonly FieldNode[] {
    return this.#field.nodes;
  }

  get returnType(): GraphQLOutputType {
    return this.#field.definition.type;
  }

  get parentType(): GraphQLObjectType {
    return this.#field.parentType;
  }

  get schema(): GraphQLSchema {
    return this.#run.query.parts.schema;
  }

  get fragments(): Readonly<Record<string, FragmentDefinitionNode>> {
    return this.#run.query.parts.fragments;
  }

  get rootValue(): unknown {
    return undefined;
  }

  get operation(): OperationDefinitionNode {
    return this.#run.query.parts.operation;
  }

  get variableValues(): Values {
    return this.#run.variables;
  }

  get cacheControl(): CacheControl {
    const policy = (this.#dynamicHint ??= new CachePolicy(this.#field.hint));
    return {
      setCacheHint: (hint) => policy.replace(hint),
      cacheHint: policy,
      cacheHintFromType: (type) => annotationOf(type),
    };
  }

  /** What the field says about caching, once it is resolved. */
  hint(byDefault: FieldHint): FieldHint {
    return this.#dynamicHint ? { ...byDefault, maxAge: this.#dynamicHint.maxAge, scope: this.#dynamicHint.scope } : byDefault;
  }
}

function completeLeaf({ isNullable, type, serialize }: Output & { kind: 'leaf' }, value: unknown): unknown {
  if (value === null || value === undefined) {
    if (isNullable) return null;
    throw new Error('A null where none may be.');
  }
  if (value instanceof Error) throw value;
  const serialized = serialize(value);
  if (serialized === null || serialized === undefined) throw new Error(`A value that ${type.name} cannot show.`);
  return serialized;
}

function propertyOf(source: unknown, name: string): unknown {
  return typeof source === 'object' && source !== null ? (source as Values)[name] : undefined;
}

/** Without a resolver a field is the property of its name, or what the method of that name gives. */
const PROPERTY: FieldResolver = {
  resolve: (source, args, context, info) => {
    const value = propertyOf(source, info.fieldName);
    return typeof value === 'function' ? value.call(source, args, context, info) : value;
  },
};

/** What nobody looks at any more may hold promises that fail later: a failure that nobody hears of would end the process. */
function disregard(value: unknown): void {
  if (isPromise(value)) value.then(disregard, () => undefined);
  else if (typeof value === 'object' && value !== null && Symbol.iterator in value) {
    for (const each of value as Iterable<unknown>) disregard(each);
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
