/**
 * What one operation may ask for. Everything here is decided before anything runs, from the document, its variables and the schema
 * alone; HTTP and WebSocket use the same class. What the document alone tells is found out once for each document; what its variables
 * add is computed for each request. Fragments are measured once each and remembered, because a walk that follows every spread anew is
 * itself exponential.
 */
import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  isUnionType,
  Kind,
  Lexer,
  Source,
  TokenKind,
  valueFromASTUntyped,
  visit,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import { countRepetition } from './repeated-fields.js';

/** Who asks, as far as the budget goes: staff holds any monetization scope; router has proven itself. */
export type Audience = 'anonymous' | 'customer' | 'staff' | 'router';

/** Greatest cost of one operation. Cost is the sum of `@cost` weights (1 an object, 0 a scalar, a value or an object of the catalogue) times the sizes of the lists they stand in. */
export const MAXIMUM_COST: Readonly<Record<Audience, number>> = { anonymous: 300, customer: 1_000, staff: 5_000, router: 20_000 };

/** Greatest value of everything else that is counted. Lengths in characters or items. */
export const LIMITS = {
  documentLength: 20_000,
  tokens: 2_000,
  depth: 12,
  aliases: 30,
  rootFields: 20,
  repeatedMutation: 5,
  repeatedMoneyVerb: 1,
  fragments: 50,
  fragmentCycles: 0,
  directives: 50,
  fields: 5_000,
  repeatedField: 50,
  entities: 1_000,
  variableList: 1_000,
  variableString: 20_000,
  variableDepth: 10,
} as const;

/** Mutations that may charge or give back: at most one of each in an operation, so that no alias trick charges twice. */
export const MONEY_VERBS: ReadonlySet<string> = new Set([
  'subscribe',
  'purchase',
  'changeTier',
  'resumeSubscription',
  'cancelSubscription',
  'giftSubscription',
  'claimGift',
  'refund',
]);

/** Not looked into: the introspection query of every tool is 14 levels deep by itself and touches no data. */
const INTROSPECTION = new Set(['__schema', '__type']);

/** A limit that was passed; becomes `extensions` of OPERATION_TOO_COMPLEX. */
export interface LimitBreach {
  limit: keyof typeof LIMITS | 'cost';
  actual: number;
  maximum: number;
}

/** One run of an operation. */
export interface OperationRequest {
  operationName: string | null;
  variables: Readonly<Record<string, unknown>>;
  audience: Audience;
}

/** An operation within the limits. */
export interface MeasuredOperation {
  /** null when the document does not tell which operation is meant; the executor answers that. */
  operation: OperationDefinitionNode | null;
  cost: number;
  maximumCost: number;
  /** Root fields, fragments followed, with how often each is asked for. */
  rootFields: ReadonlyMap<string, number>;
}

/** Checks what can be told before parsing: length and number of tokens. */
export function findSourceBreach(source: string): LimitBreach | null {
  if (source.length > LIMITS.documentLength) return breach('documentLength', source.length);
  const lexer = new Lexer(new Source(source));
  let tokens = 0;
  try {
    while (lexer.advance().kind !== TokenKind.EOF) {
      tokens += 1;
      if (tokens > LIMITS.tokens) return breach('tokens', tokens);
    }
  } catch {
    return null; // an unreadable document is the parser's to refuse
  }
  return null;
}

/** A parsed document and what it may ask for. */
export class DocumentLimits {
  readonly #schema: GraphQLSchema;
  readonly #shape: DocumentShape | LimitBreach;
  readonly #operations = new Map<OperationDefinitionNode, OperationExtent>();

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    this.#shape = shapeOf(document);
  }

  /** Measures one of the document's operations; the first limit passed ends it. */
  measure({ operationName, variables, audience }: OperationRequest): LimitBreach | MeasuredOperation {
    const shape = this.#shape;
    if ('limit' in shape) return shape;
    const operation = chosenOperation(shape.operations, operationName);
    const { rootFields, rootFieldBreach, cost } = operation ? this.#extentOf(shape, operation) : NOTHING;
    const refused = rootFieldBreach ?? entitiesBreach(rootFields, variables) ?? valueBreach(variables, 0);
    if (refused) return refused;
    const actual = typeof cost === 'number' ? cost : cost(variables);
    const maximumCost = MAXIMUM_COST[audience];
    if (actual > maximumCost) return { limit: 'cost', actual, maximum: maximumCost };
    return { operation, cost: actual, maximumCost, rootFields };
  }

  /** Whether each root field of the operation is one of these, none of them inside a fragment: it then holds nothing else. */
  asksForAlone(operationName: string | null, fields: readonly string[]): boolean {
    const operation = 'limit' in this.#shape ? null : chosenOperation(this.#shape.operations, operationName);
    const selections = operation?.selectionSet.selections ?? [];
    return selections.length > 0 && selections.every((field) => field.kind === Kind.FIELD && fields.includes(field.name.value));
  }

  #extentOf(shape: DocumentShape, operation: OperationDefinitionNode): OperationExtent {
    const known = this.#operations.get(operation);
    if (known) return known;
    const rootFields = shape.rootFields(operation.selectionSet);
    const extent = {
      rootFields,
      rootFieldBreach: findRootFieldBreach(rootFields, operation),
      cost: operationCost(this.#schema, operation, shape.fragments),
    };
    this.#operations.set(operation, extent);
    return extent;
  }
}

/** What an operation of a document asks for, whatever its variables are. */
interface OperationExtent {
  rootFields: ReadonlyMap<string, number>;
  rootFieldBreach: LimitBreach | null;
  /** A number where no variable counts. */
  cost: number | ((variables: Values) => number);
}

const NOTHING: OperationExtent = { rootFields: new Map(), rootFieldBreach: null, cost: 0 };

/** Whether the measuring ended in a refusal. */
export function isBreach(measured: LimitBreach | MeasuredOperation): measured is LimitBreach {
  return 'limit' in measured;
}

function breach(limit: keyof typeof LIMITS, actual: number): LimitBreach {
  return { limit, actual, maximum: LIMITS[limit] };
}

function breachIfOver(limit: keyof typeof LIMITS, actual: number): LimitBreach | null {
  return actual > LIMITS[limit] ? breach(limit, actual) : null;
}

// ---------------------------------------------------------------------------------------------- what the document alone tells

interface DocumentShape {
  operations: OperationDefinitionNode[];
  fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  rootFields(selectionSet: SelectionSetNode): Map<string, number>;
}

interface Extent {
  depth: number;
  aliases: number;
}

function shapeOf(document: DocumentNode): DocumentShape | LimitBreach {
  const fragments = new Map<string, FragmentDefinitionNode>();
  const operations: OperationDefinitionNode[] = [];
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
    if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition);
  }
  let directives = 0;
  visit(document, {
    Directive() {
      directives += 1;
    },
  });
  const counted = breachIfOver('fragments', fragments.size) ?? breachIfOver('directives', directives);
  if (counted) return counted;
  const extents = measuredOnce<Extent>(fragments, extentOf);
  for (const fragment of fragments.values()) extents.of(fragment.selectionSet);
  if (extents.hasCycle()) return breach('fragmentCycles', 1);
  for (const operation of operations) {
    const extent = extents.of(operation.selectionSet);
    const passed = breachIfOver('depth', extent.depth) ?? breachIfOver('aliases', extent.aliases);
    if (passed) return passed;
  }
  const { fields, repeated } = countRepetition(
    [...operations, ...fragments.values()].map(({ selectionSet }) => selectionSet),
    fragments,
    LIMITS.fields,
  );
  const repetition = breachIfOver('repeatedField', repeated) ?? breachIfOver('fields', fields);
  if (repetition) return repetition;
  return { operations, fragments, rootFields: (selectionSet) => measuredOnce(fragments, rootFieldsOf).of(selectionSet) };
}

/** Measures selection sets by `measure`, each fragment once. A fragment that contains itself counts as absent there and is reported. */
function measuredOnce<T>(
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  measure: (selectionSet: SelectionSetNode, ofFragment: (name: string) => T | null, of: (inner: SelectionSetNode) => T) => T,
): { of(selectionSet: SelectionSetNode): T; hasCycle(): boolean } {
  const known = new Map<string, T>();
  const open = new Set<string>();
  let cyclic = false;
  const of = (selectionSet: SelectionSetNode): T => measure(selectionSet, ofFragment, of);
  const ofFragment = (name: string): T | null => {
    const done = known.get(name);
    if (done !== undefined) return done;
    const fragment = fragments.get(name);
    if (!fragment) return null;
    if (open.has(name)) {
      cyclic = true;
      return null;
    }
    open.add(name);
    const measured = of(fragment.selectionSet);
    open.delete(name);
    known.set(name, measured);
    return measured;
  };
  return { of, hasCycle: () => cyclic };
}

function extentOf(
  selectionSet: SelectionSetNode,
  ofFragment: (name: string) => Extent | null,
  of: (inner: SelectionSetNode) => Extent,
): Extent {
  let depth = 0;
  let aliases = 0;
  const take = (inner: Extent | null, levels: number): void => {
    depth = Math.max(depth, (inner?.depth ?? 0) + levels);
    aliases += inner?.aliases ?? 0;
  };
  for (const selection of selectionSet.selections) {
    if (selection.kind === Kind.FRAGMENT_SPREAD) take(ofFragment(selection.name.value), 0);
    else if (selection.kind === Kind.INLINE_FRAGMENT) take(of(selection.selectionSet), 0);
    else {
      if (selection.alias) aliases += 1;
      take(selection.selectionSet && !INTROSPECTION.has(selection.name.value) ? of(selection.selectionSet) : null, 1);
    }
  }
  return { depth, aliases };
}

function rootFieldsOf(
  selectionSet: SelectionSetNode,
  ofFragment: (name: string) => Map<string, number> | null,
  of: (inner: SelectionSetNode) => Map<string, number>,
): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (name: string, count: number): void => void counts.set(name, (counts.get(name) ?? 0) + count);
  for (const selection of selectionSet.selections) {
    if (selection.kind === Kind.FIELD) add(selection.name.value, 1);
    else {
      const inner = selection.kind === Kind.FRAGMENT_SPREAD ? ofFragment(selection.name.value) : of(selection.selectionSet);
      for (const [name, count] of inner ?? []) add(name, count);
    }
  }
  return counts;
}

function chosenOperation(operations: readonly OperationDefinitionNode[], name: string | null): OperationDefinitionNode | null {
  if (name === null) return operations.length === 1 ? (operations[0] ?? null) : null;
  return operations.find((operation) => operation.name?.value === name) ?? null;
}

function findRootFieldBreach(counts: ReadonlyMap<string, number>, operation: OperationDefinitionNode | null): LimitBreach | null {
  let total = 0;
  for (const [name, count] of counts) {
    total += count;
    if (operation?.operation !== 'mutation') continue;
    if (MONEY_VERBS.has(name) && count > LIMITS.repeatedMoneyVerb) return breach('repeatedMoneyVerb', count);
    if (count > LIMITS.repeatedMutation) return breach('repeatedMutation', count);
  }
  return breachIfOver('rootFields', total);
}

// ---------------------------------------------------------------------------------------------- variables

function valueBreach(value: unknown, depth: number): LimitBreach | null {
  if (depth > LIMITS.variableDepth) return breach('variableDepth', depth);
  if (typeof value === 'string') return breachIfOver('variableString', value.length);
  if (typeof value !== 'object' || value === null) return null;
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (Array.isArray(value) && items.length > LIMITS.variableList) return breach('variableList', items.length);
  for (const item of items) {
    const found = valueBreach(item, depth + 1);
    if (found) return found;
  }
  return null;
}

/** Routers call the variable `representations`; under another name it is still a list of at most as many. */
function entitiesBreach(
  rootFields: ReadonlyMap<string, number>,
  variables: Readonly<Record<string, unknown>>,
): LimitBreach | null {
  const representations = variables['representations'];
  return rootFields.has('_entities') && Array.isArray(representations) ? breachIfOver('entities', representations.length) : null;
}

// ---------------------------------------------------------------------------------------------- cost

interface ListSize {
  assumedSize: number | null;
  slicingArguments: string[];
  sizedFields: string[];
}

/** Sizes that a connection hands to its `edges` and `nodes`. */
type Sized = { size: Count; fields: readonly string[] } | null;

type Values = Readonly<Record<string, unknown>>;

/** A number that may depend on the variables of a request. */
type Count = number | ((values: Values) => number);

function sumOf(counts: readonly Count[]): Count {
  const fixed = counts.filter((count) => typeof count === 'number').reduce((sum, count) => sum + count, 0);
  const open = counts.filter((count) => typeof count !== 'number');
  if (open.length === 0) return fixed;
  return (values) => open.reduce((sum, count) => sum + count(values), fixed);
}

function productOf(a: Count, b: Count): Count {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  if (a === 0 || b === 0) return 0;
  return (values) => valueOf(a, values) * valueOf(b, values);
}

function valueOf(count: Count, values: Values): number {
  return typeof count === 'number' ? count : count(values);
}

/** The same, computed once for each request however often it is asked for: a fragment is spread in many places. */
function onceEach(count: Count): Count {
  if (typeof count === 'number') return count;
  const known = new WeakMap<Values, number>();
  return (values) => {
    const done = known.get(values) ?? count(values);
    known.set(values, done);
    return done;
  };
}

/** What running the operation costs, as a function of the variables sent with it. */
function operationCost(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): Count {
  const root = schema.getRootType(operation.operation);
  if (!root) return 0;
  const known = new Map<Sized, Map<string, Count>>();

  const ofSelections = (parent: GraphQLCompositeType, selectionSet: SelectionSetNode, sized: Sized): Count =>
    sumOf(
      selectionSet.selections.map((selection) => {
        if (selection.kind === Kind.FIELD) return ofField(parent, selection, sized);
        if (selection.kind === Kind.FRAGMENT_SPREAD) return ofFragment(selection.name.value, parent, sized);
        return ofSelections(conditionType(selection.typeCondition?.name.value, parent), selection.selectionSet, sized);
      }),
    );
  const ofFragment = (name: string, parent: GraphQLCompositeType, sized: Sized): Count => {
    const fragment = fragments.get(name);
    if (!fragment) return 0;
    const knownHere = known.get(sized) ?? new Map<string, Count>();
    known.set(sized, knownHere);
    const done = knownHere.get(name);
    if (done !== undefined) return done;
    const type = conditionType(fragment.typeCondition.name.value, parent);
    const cost = onceEach(ofSelections(type, fragment.selectionSet, sized));
    knownHere.set(name, cost);
    return cost;
  };
  const conditionType = (name: string | undefined, otherwise: GraphQLCompositeType): GraphQLCompositeType => {
    const type = name === undefined ? undefined : schema.getType(name);
    return isCompositeType(type) ? type : otherwise;
  };
  const ofField = (parent: GraphQLCompositeType, node: FieldNode, sized: Sized): Count => {
    const field = isUnionType(parent) ? undefined : parent.getFields()[node.name.value];
    if (!field) return 0; // __typename and introspection cost nothing; an unknown field is refused by validation
    const named = getNamedType(field.type);
    const weight = weightOf(field.astNode) ?? (isCompositeType(named) ? objectWeight(named.astNode) : 0);
    const listSize = listSizeOf(field);
    const size = listSize ? sizeAsked(listSize, node) : 1;
    const passedOn = listSize && listSize.sizedFields.length > 0 ? { size, fields: listSize.sizedFields } : null;
    const inner = isCompositeType(named) && node.selectionSet ? ofSelections(named, node.selectionSet, passedOn) : 0;
    const each = sumOf([weight, inner]);
    if (!isListType(getNullableType(field.type))) return each;
    const count = sized?.fields.includes(node.name.value)
      ? sized.size
      : node.name.value === '_entities' && parent === root
        ? representationsIn(node)
        : size;
    return productOf(count, each);
  };
  const total = ofSelections(root, operation.selectionSet, null);
  if (typeof total === 'number') return Math.min(total, Number.MAX_SAFE_INTEGER);
  const defaults = defaultsOf(operation);
  return (variables) => Math.min(total({ ...defaults, ...variables }), Number.MAX_SAFE_INTEGER);
}

function defaultsOf(operation: OperationDefinitionNode): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  for (const definition of operation.variableDefinitions ?? []) {
    if (definition.defaultValue) defaults[definition.variable.name.value] = valueFromASTUntyped(definition.defaultValue);
  }
  return defaults;
}

type Described =
  | { readonly directives?: readonly { name: { value: string }; arguments?: readonly ArgumentLike[] }[] }
  | null
  | undefined;
type ArgumentLike = { name: { value: string }; value: Parameters<typeof valueFromASTUntyped>[0] };

function directiveArguments(node: Described, name: string): Record<string, unknown> | null {
  const directive = node?.directives?.find((candidate) => candidate.name.value === name);
  if (!directive) return null;
  return Object.fromEntries(
    (directive.arguments ?? []).map((argument) => [argument.name.value, valueFromASTUntyped(argument.value)]),
  );
}

function weightOf(node: Described): number | null {
  const weight = directiveArguments(node, 'cost')?.['weight'];
  return typeof weight === 'number' ? weight : null;
}

/**
 * Objects that anyone may cache are the catalogue's: read from memory, the same for all, so a visitor can list them whole. Values that every
 * subgraph may resolve (Money, PageInfo) come with the row they are part of.
 */
function objectWeight(node: Described): number {
  const isPublic = directiveArguments(node, 'cacheControl')?.['scope'] === 'PUBLIC';
  const isValue = directiveArguments(node, 'shareable') !== null;
  return weightOf(node) ?? (isPublic || isValue ? 0 : 1);
}

function listSizeOf(field: GraphQLField<unknown, unknown>): ListSize | null {
  const given = directiveArguments(field.astNode, 'listSize');
  if (!given) return null;
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []);
  const assumed = given['assumedSize'];
  return {
    assumedSize: typeof assumed === 'number' ? assumed : null,
    slicingArguments: texts(given['slicingArguments']),
    sizedFields: texts(given['sizedFields']),
  };
}

function sizeAsked(listSize: ListSize, node: FieldNode): Count {
  const sizes = listSize.slicingArguments.flatMap((name) => argumentOf(node, name) ?? []);
  return fromArguments(sizes, (asked) => {
    const numbers = asked.filter((value) => typeof value === 'number');
    return numbers.length === 0 ? (listSize.assumedSize ?? 1) : Math.max(0, ...numbers);
  });
}

function representationsIn(node: FieldNode): Count {
  const representations = argumentOf(node, 'representations');
  return fromArguments(representations ? [representations] : [], ([list]) => (Array.isArray(list) ? list.length : 1));
}

function argumentOf(node: FieldNode, name: string): ValueNode | undefined {
  return node.arguments?.find((candidate) => candidate.name.value === name)?.value;
}

/** A count made of what arguments say: a number at once where none of them holds a variable. */
function fromArguments(given: readonly ValueNode[], count: (values: unknown[]) => number): Count {
  const read = (values: Values): number => count(given.map((value) => valueFromASTUntyped(value, values)));
  return given.some(holdsVariable) ? read : read({});
}

function holdsVariable(value: ValueNode): boolean {
  if (value.kind === Kind.VARIABLE) return true;
  if (value.kind === Kind.LIST) return value.values.some(holdsVariable);
  return value.kind === Kind.OBJECT && value.fields.some((field) => holdsVariable(field.value));
}
