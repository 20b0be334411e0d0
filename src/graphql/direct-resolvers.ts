/**
 * Lets fields call the methods of resolver classes themselves. type-graphql does so by way of a chain of awaited middlewares, sorts the
 * parameters at every call and copies each input into an instance of its class: for a read that is more work than the read. What its
 * decorators say of a method (parameters, scopes) is taken from it once, when the schema is built; arguments come as graphql-js has read them.
 */
import { isObjectType, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql';
import { getMetadataStorage } from 'type-graphql';
import type { GraphContext } from '../resolvers/context.js';

type Storage = ReturnType<typeof getMetadataStorage>;
type Handler = Storage['queries'][number] | Storage['fieldResolvers'][number];
type Parameter = NonNullable<Handler['params']>[number];
type Resolve = GraphQLFieldResolver<unknown, GraphContext, Record<string, unknown>>;

/** Throws where the caller may not ask for a field. @param alternatives sets of scopes as @Authorized has them; none: a session is enough */
export type CheckCaller = (context: GraphContext, alternatives: readonly string[]) => void;

/**
 * Gives the fields that `classes` resolve, in a schema that type-graphql has just built, resolvers that call the methods at once.
 * @throws Error for a decorator that this knows nothing of
 */
export function callDirectly(schema: GraphQLSchema, classes: readonly unknown[], checkCaller: CheckCaller): void {
  const { queries, mutations, fieldResolvers } = getMetadataStorage();
  const instances = new Map<unknown, object>();
  const bind = (typeName: string, handler: Handler): void => {
    if (!classes.includes(handler.target)) return;
    const type = schema.getType(typeName);
    const field = isObjectType(type) ? type.getFields()[handler.schemaName] : undefined;
    if (!field) throw new Error(`The schema has no field ${typeName}.${handler.schemaName}.`);
    const instance = instances.get(handler.target) ?? new (handler.target as new () => object)();
    instances.set(handler.target, instance);
    field.resolve = checked(handler, calling(instance, handler), checkCaller);
  };
  for (const query of queries) bind('Query', query);
  for (const mutation of mutations) bind('Mutation', mutation);
  for (const resolver of fieldResolvers) bind(resolver.getObjectType?.().name ?? '', resolver);
}

function checked({ roles }: Handler, resolve: Resolve, checkCaller: CheckCaller): Resolve {
  if (!roles) return resolve;
  const alternatives = roles.map(String);
  return (source, args, context, info) => {
    checkCaller(context, alternatives);
    return resolve(source, args, context, info);
  };
}

function calling(instance: object, { methodName, params = [], middlewares = [] }: Handler): Resolve {
  const method: unknown = Reflect.get(instance, methodName);
  if (typeof method !== 'function' || middlewares.length > 0) throw new Error(`${methodName} cannot be called directly.`);
  const picks = params.toSorted((a, b) => a.index - b.index).map(pickOf);
  const [first, second] = picks;
  const call = method.bind(instance) as (...values: unknown[]) => unknown;
  // Of most there is one parameter, or two: those are called without a list of values.
  if (!first) return () => call();
  if (!second) return (source, args, context, info) => call(first(source, args, context, info));
  if (picks.length === 2) {
    return (source, args, context, info) => call(first(source, args, context, info), second(source, args, context, info));
  }
  return (source, args, context, info) => call(...picks.map((pick) => pick(source, args, context, info)));
}

/** Picks one parameter of a method from what its field is resolved with. */
function pickOf(parameter: Parameter): Resolve {
  const { kind } = parameter;
  if ((kind === 'root' || kind === 'context') && parameter.propertyName === undefined) {
    return kind === 'root' ? (source) => source : (_source, _args, context) => context;
  }
  if (kind === 'args') return (_source, args) => args;
  if (kind === 'arg') return (_source, args) => args[parameter.name];
  throw new Error(`A parameter of the kind "${kind}" cannot be given to ${parameter.methodName}.`);
}
