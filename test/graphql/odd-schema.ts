import { buildSchema, GraphQLError, isAbstractType, isObjectType, isScalarType, type GraphQLResolveInfo } from 'graphql';
import type { Chance } from '../../bench/chance.js';

interface OddContext {
  chance: Chance;
}

/** A schema of everything that an executor has to get right, none of it about money. */
export const oddSchema = buildSchema(`
  scalar Odd
  enum Colour { RED GREEN BLUE }
  input Deep { colour: Colour = GREEN, list: [[Int!]], deep: Deep, must: Int! = 3, odd: Odd }
  interface Named { name: String, self: Named, others(first: Int = 2): [Named!] }
  interface Aged implements Named { name: String, self: Named, others(first: Int = 2): [Named!], age: Int! }
  type Cat implements Named & Aged { name: String, self: Named, others(first: Int = 2): [Named!], age: Int!, lives: [Int!]!, friend: Pet }
  type Dog implements Named { name: String, self: Named, others(first: Int = 2): [Named!], tricks: [[String!]], owner: Person! }
  type Person { id: ID!, pets: [Pet], must: Pet!, matrix: [[Person]!], echo(deep: Deep, colour: Colour = RED, ids: [ID!], odd: Odd): String, flag: Boolean, ratio: Float }
  union Pet = Cat | Dog
  type Query { person(id: ID): Person, people: [Person!]!, pet: Pet, named: [Named], aged: Aged, echo(deep: Deep!): String!, colour(of: [Colour!]! = [RED, BLUE]): [Colour], odd(value: Odd = { a: 1 }): Odd }
`);

for (const type of Object.values(oddSchema.getTypeMap())) {
  if (isScalarType(type) && type.name === 'Odd') type.serialize = (value) => ({ odd: value });
  if (!isObjectType(type) || type.name.startsWith('__')) continue;
  for (const field of Object.values(type.getFields())) {
    const returned = String(field.type);
    field.resolve = (_source: unknown, args: Record<string, unknown>, { chance }: OddContext, info: GraphQLResolveInfo) => {
      if (field.args.length > 0 && !returned.includes('Named')) {
        if (returned.startsWith('String')) return JSON.stringify(args);
        if (field.name === 'odd') return args['value'];
        if (field.name === 'colour') return args['of'];
      }
      return valueOf(returned, pathSeed(chance, info), info, timeOf(chance, info));
    };
  }
}

/** Whether something goes wrong at a place depends on the place alone, not on which of its neighbours is resolved first. */
function pathSeed({ seed }: Chance, { path, returnType }: GraphQLResolveInfo): () => number {
  let state = seed ^ String(returnType).length;
  for (let at: GraphQLResolveInfo['path'] | undefined = path; at; at = at.prev) {
    for (const char of `${at.key}`) state = (Math.imul(state, 31) + char.charCodeAt(0)) | 0;
  }
  return () => {
    state = (Math.imul(state ^ (state >>> 13), 0x5bd1e995) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 15)) >>> 0) / 4_294_967_296;
  };
}

type Time = 'now' | 'later' | 'any';

/** When something is there, or fails: of a list, and all below it, at once or later, since graphql-js forgets what fails later of a list that fails at once. */
function timeOf({ seed }: Chance, { path, returnType }: GraphQLResolveInfo): Time {
  const keys: (string | number)[] = [];
  for (let at: GraphQLResolveInfo['path'] | undefined = path; at; at = at.prev) keys.unshift(at.key);
  const firstItem = keys.findIndex((key) => typeof key === 'number');
  if (firstItem < 0 && !String(returnType).includes('[')) return 'any';
  const list = keys.slice(0, firstItem < 0 ? keys.length : firstItem).join('.');
  let state = seed;
  for (const char of list) state = (Math.imul(state, 31) + char.charCodeAt(0)) | 0;
  return (state & 3) === 0 ? 'later' : 'now';
}

function valueOf(type: string, next: () => number, info: GraphQLResolveInfo, time: Time): unknown {
  const isLater = time === 'later' || (time === 'any' && next() < 0.4);
  const fail = (error: Error): unknown => {
    if (isLater) return Promise.reject(error);
    throw error;
  };
  if (next() < 0.03) return fail(next() < 0.5 ? new GraphQLError('failed') : new Error('failed'));
  if (next() < 0.02) return isLater ? Promise.resolve(new Error('given')) : new Error('given');
  const value = plainValue(type, next, info, time);
  return isLater ? Promise.resolve(value) : value;
}

function plainValue(type: string, next: () => number, info: GraphQLResolveInfo, time: Time): unknown {
  const isNullable = !type.endsWith('!');
  if (next() < (isNullable ? 0.15 : 0.01)) return next() < 0.5 ? null : undefined;
  const inner = isNullable ? type : type.slice(0, -1);
  if (inner.startsWith('[')) {
    const items = Array.from({ length: Math.floor(next() * 4) }, () => {
      // Before what would stand there is made: a list of promises that nobody is given is heard by nobody.
      if (time === 'later' && next() < 0.02) return Promise.reject(new Error('an item later'));
      const item = next() < 0.01 ? new Error('an item') : plainValue(inner.slice(1, -1), next, info, time);
      return time === 'later' ? Promise.resolve(item) : item;
    });
    return next() < 0.1 ? new Set(items) : items;
  }
  return scalarOf(inner, next) ?? objectOf(inner, next, info);
}

function scalarOf(type: string, next: () => number): unknown {
  switch (type) {
    case 'Int':
      return next() < 0.03 ? 2 ** 40 : Math.floor(next() * 9);
    case 'Float':
      return next() * 9;
    case 'Boolean':
      return next() < 0.5;
    case 'String':
      return next() < 0.03 ? { no: 'text' } : ['a', '"', '\u2028', '\ud800'][Math.floor(next() * 4)];
    case 'ID':
      return next() < 0.5 ? 'one' : 2;
    default:
      return undefined;
  }
}

function objectOf(type: string, next: () => number, { schema }: GraphQLResolveInfo): object {
  const named = schema.getType(type);
  const names = isAbstractType(named) ? schema.getPossibleTypes(named).map(({ name }) => name) : [type];
  return { __typename: next() < 0.02 ? 'Query' : names[Math.floor(next() * names.length)] };
}
