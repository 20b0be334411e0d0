/**
 * What a change of the contract does to clients that are out there: compared with the schema of the last release. Additions are free;
 * what breaks a client needs an entry, with date and reason, in a list that is reviewed with the change.
 */
import {
  BreakingChangeType,
  buildSchema,
  DangerousChangeType,
  findBreakingChanges,
  findDangerousChanges,
  isInterfaceType,
  isObjectType,
  print,
  type GraphQLSchema,
} from 'graphql';

/** One difference. */
export interface SchemaChange {
  /** graphql-js's word, or AUTHORITY_CHANGED. */
  kind: string;
  /** A sentence with the place; names the change in the list of those that are allowed. */
  change: string;
  /** Whether a client may break by it. */
  isBreaking: boolean;
}

/** A change that was thought about. */
export interface AllowedBreak {
  /** As `SchemaChange.change`. */
  change: string;
  /** The day it was decided, YYYY-MM-DD. */
  date: string;
  reason: string;
}

/** Called dangerous by graphql-js, and never done by us: clients that leave the value out get another one. */
const NEVER: ReadonlySet<string> = new Set([DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE]);
/** Directives that say who may read a field. */
const AUTHORITY = ['authenticated', 'requiresScopes'];

/** Reads an SDL as it is printed, with the directives of federation in it. @throws GraphQLError */
export function readSdl(sdl: string): GraphQLSchema {
  return buildSchema(sdl, { assumeValidSDL: true, noLocation: true });
}

/** Differences between two schemas, the breaking ones first. */
export function findSchemaChanges(released: GraphQLSchema, present: GraphQLSchema): SchemaChange[] {
  const breaking = findBreakingChanges(released, present).filter(({ type }) => type !== BreakingChangeType.DIRECTIVE_REMOVED);
  const dangerous = findDangerousChanges(released, present);
  return [
    ...breaking.map(({ type, description }) => ({ kind: type, change: description, isBreaking: true })),
    ...findAuthorityChanges(released, present),
    ...dangerous.map(({ type, description }) => ({ kind: type, change: description, isBreaking: NEVER.has(type) })),
  ].toSorted((a, b) => Number(b.isBreaking) - Number(a.isBreaking));
}

/** What keeps a release from being made: breaks that nobody has allowed, and permissions that nothing needs. */
export function findUnallowed(changes: readonly SchemaChange[], allowed: readonly AllowedBreak[]): string[] {
  const breaks = changes.filter(({ isBreaking }) => isBreaking).map(({ change }) => change);
  const permitted = new Set(allowed.map(({ change }) => change));
  return [
    ...breaks.filter((change) => !permitted.has(change)).map((change) => `breaks clients: ${change}`),
    ...[...permitted].filter((change) => !breaks.includes(change)).map((change) => `is allowed and does not happen: ${change}`),
    ...allowed
      .filter(({ date, reason }) => !/^\d{4}-\d\d-\d\d$/.test(date) || reason.trim() === '')
      .map(({ change }) => `is allowed without a date and a reason: ${change}`),
  ];
}

/** A field that asks for more than it did is gone for those who have not got it. */
function findAuthorityChanges(released: GraphQLSchema, present: GraphQLSchema): SchemaChange[] {
  const before = authorityOf(released);
  const after = authorityOf(present);
  return [...before].flatMap(([field, needed]) => {
    const needs = after.get(field);
    if (needs === undefined || needs === needed) return [];
    const change = `${field} asks for ${needs || 'nothing'} instead of ${needed || 'nothing'}.`;
    return [{ kind: 'AUTHORITY_CHANGED', change, isBreaking: needs !== '' }];
  });
}

function authorityOf(schema: GraphQLSchema): Map<string, string> {
  const found = new Map<string, string>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const directives = (field.astNode?.directives ?? []).filter(({ name }) => AUTHORITY.includes(name.value));
      found.set(`${type.name}.${field.name}`, directives.map((directive) => print(directive)).join(' '));
    }
  }
  return found;
}
