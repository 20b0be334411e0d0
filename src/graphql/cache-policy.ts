/**
 * How long an answer may be cached and for whom, by the rules of Apollo Server's cache control plugin: every field that is resolved says
 * something by `@cacheControl` on itself or on its type, or nothing; the strictest word counts; a root field, or one that gives objects,
 * about which nothing is said must not be cached.
 */
import { getNamedType, isCompositeType, type GraphQLCompositeType, type GraphQLField } from 'graphql';

const SCOPES = ['PUBLIC', 'PRIVATE'] as const;
type Scope = (typeof SCOPES)[number];

/** Words about caching; undefined where nothing is said. */
export interface CacheHint {
  readonly maxAge?: number | undefined;
  readonly scope?: Scope | undefined;
}

/** Words of an annotation. */
interface Annotation extends CacheHint {
  readonly inheritsMaxAge?: boolean;
}

/** What a field says, and whether it must not be cached where it says no time. */
export interface FieldHint extends CacheHint {
  readonly needsMaxAge: boolean;
}

const NOTHING_SAID: Annotation = {};

/** What is known so far of an answer, or of one field. */
export class CachePolicy {
  maxAge: number | undefined;
  scope: Scope | undefined;

  constructor({ maxAge, scope }: CacheHint = NOTHING_SAID) {
    this.maxAge = maxAge;
    this.scope = scope;
  }

  /** Takes the stricter of what was said. */
  restrict({ maxAge, scope, needsMaxAge = false }: CacheHint & { readonly needsMaxAge?: boolean }): void {
    if (this.maxAge === 0) return; // nothing is stricter, and for whom does not matter then
    const seconds = maxAge ?? (needsMaxAge ? 0 : undefined);
    if (seconds !== undefined && (this.maxAge === undefined || seconds < this.maxAge)) this.maxAge = seconds;
    if (scope !== undefined && this.scope !== 'PRIVATE') this.scope = scope;
  }

  /** Takes what is said now for what was said before. */
  replace({ maxAge, scope }: CacheHint): void {
    this.maxAge = maxAge ?? this.maxAge;
    this.scope = scope ?? this.scope;
  }

  /** What an answer with these words may be kept for; null for not at all. */
  policyIfCacheable(): { maxAge: number; scope: Scope } | null {
    return this.maxAge ? { maxAge: this.maxAge, scope: this.scope ?? 'PUBLIC' } : null;
  }

  /** The value of the header `cache-control`. */
  get header(): string {
    const cacheable = this.policyIfCacheable();
    return cacheable ? `max-age=${cacheable.maxAge}, ${cacheable.scope.toLowerCase()}` : 'no-store';
  }
}

/** What a field of a type says about caching. */
export function fieldHint(field: GraphQLField<unknown, unknown>, isRoot: boolean): FieldHint {
  const type = getNamedType(field.type);
  const ofType = isCompositeType(type) ? annotationOf(type) : NOTHING_SAID;
  const ofField = annotationIn([field.astNode]);
  const policy = new CachePolicy(ofType);
  const inherits = ofField.inheritsMaxAge === true && policy.maxAge === undefined;
  policy.replace(inherits ? { scope: ofField.scope } : ofField);
  const inheritsMaxAge = inherits || ofType.inheritsMaxAge === true;
  return { maxAge: policy.maxAge, scope: policy.scope, needsMaxAge: isRoot || (isCompositeType(type) && !inheritsMaxAge) };
}

/** What a type says about caching; asked for each entity, so it is read once. */
export function annotationOf(type: GraphQLCompositeType): Annotation {
  const known = ANNOTATIONS.get(type) ?? annotationIn([type.astNode, ...type.extensionASTNodes]);
  ANNOTATIONS.set(type, known);
  return known;
}

/** By type, as long as its schema lives: what was read once is read again from here, and nothing else. */
const ANNOTATIONS = new WeakMap<GraphQLCompositeType, Annotation>();

type Annotated =
  | {
      readonly directives?: readonly {
        name: { value: string };
        arguments?: readonly { name: { value: string }; value: object }[];
      }[];
    }
  | null
  | undefined;

function annotationIn(nodes: readonly Annotated[]): Annotation {
  const directives = nodes.flatMap((node) => node?.directives ?? []);
  const given = directives.find(({ name }) => name.value === 'cacheControl')?.arguments;
  if (!given) return NOTHING_SAID;
  const words = new Map(given.map(({ name, value }) => [name.value, 'value' in value ? value.value : undefined]));
  const said: CacheHint = { scope: SCOPES.find((scope) => scope === words.get('scope')) };
  if (words.get('inheritMaxAge') === true) return { ...said, inheritsMaxAge: true };
  const maxAge = words.get('maxAge');
  return typeof maxAge === 'string' ? { ...said, maxAge: Number.parseInt(maxAge, 10) } : said;
}
