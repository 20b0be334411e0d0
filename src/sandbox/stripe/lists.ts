import type { Collection } from './collection.js';
import { invalidRequest } from './api-error.js';
import { type Range, instantRange, integer, isWithin, listOf, text } from './parameters.js';

/** The parameters of every list. */
export const LIST_PARAMETERS = {
  limit: integer({ min: 1, max: 100 }),
  starting_after: text(),
  ending_before: text(),
  expand: listOf(text()),
};

/** For lists that filter by the instant of creation. */
export const CREATED = { created: instantRange };

const DEFAULT_LIMIT = 10;

/** A page of a list. */
interface Page<Row> {
  object: 'list';
  data: Row[];
  has_more: boolean;
  url: string;
}

/** Where a page begins and how long it is. */
interface PageRequest {
  limit?: number | undefined;
  starting_after?: string | undefined;
  ending_before?: string | undefined;
  created?: Range | undefined;
}

/**
 * A page, newest first. Cursors are ids of objects, so a page stays where it is however many objects come meanwhile.
 * @param of the index to walk, when a filter has one
 * @param matches the other filters
 */
export function page<Row extends { id: string; created?: number }>(
  url: string,
  collection: Collection<Row>,
  request: PageRequest,
  of: { field: keyof Row & string; value: unknown } | undefined,
  matches: (row: Row) => boolean = () => true,
): Page<Row> {
  const limit = request.limit ?? DEFAULT_LIMIT;
  const isWanted = (row: Row): boolean => isWithin(request.created, row.created ?? 0) && matches(row);
  for (const param of ['starting_after', 'ending_before'] as const) {
    const cursor = request[param];
    if (cursor !== undefined && !collection.get(cursor)) {
      throw invalidRequest(`No such object: '${cursor}'`, { code: 'resource_missing', param });
    }
  }
  const data: Row[] = [];
  if (request.ending_before !== undefined) {
    // The page just before the cursor: the oldest of the newer ones.
    const newer: Row[] = [];
    for (const row of collection.newestFirst(of)) {
      if (row.id === request.ending_before) break;
      if (isWanted(row)) newer.push(row);
    }
    return { object: 'list', data: newer.slice(-limit), has_more: newer.length > limit, url };
  }
  for (const row of collection.newestFirst(of, request.starting_after)) {
    if (!isWanted(row)) continue;
    if (data.length === limit) return { object: 'list', data, has_more: true, url };
    data.push(row);
  }
  return { object: 'list', data, has_more: false, url };
}
