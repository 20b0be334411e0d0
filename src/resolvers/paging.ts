import { ArgsType, Field, Int } from 'type-graphql';
import type { Cursors } from './cursor.js';
import { badUserInput } from './errors.js';
import type { PageInfo } from './types/page-info.js';

const DEFAULT_SIZE = 20;
const MAX_SIZE = 100;

/** Arguments of a list that is paged forward alone. */
@ArgsType()
export class ForwardPageArgs {
  @Field(() => Int, { nullable: true, description: 'Page size, at most 100; 20 when left out.' })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'Continue after this cursor.' })
  after?: string | null;
}

/** Arguments of a list that is paged both ways. */
@ArgsType()
export class PageArgs {
  @Field(() => Int, { nullable: true, description: 'Page size, at most 100; 20 when neither first nor last is given.' })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'Continue after this cursor.' })
  after?: string | null;

  @Field(() => Int, { nullable: true, description: 'Page size counted from the end, at most 100.' })
  last?: number | null;

  @Field(() => String, { nullable: true, description: 'Continue before this cursor.' })
  before?: string | null;
}

/** What part of a list is asked for. Lists run from the greatest id to the least. */
export interface PageRequest {
  /** Told apart from every other list; cursors are good for this one alone. */
  readonly list: string;
  readonly sizeCount: number;
  /** From the end of the list: the last so many. */
  readonly isBackward: boolean;
  /** Id that the page follows; null from the start. */
  readonly afterId: string | null;
  /** Id that the page ends before; null to the end. */
  readonly beforeId: string | null;
}

/**
 * Reads the paging arguments.
 * @param list text that tells this list, its owner and filter from all others
 * @throws BAD_USER_INPUT for both or a wrong first and last; CURSOR_INVALID for a cursor of another list
 */
export function pageRequest(args: PageArgs | ForwardPageArgs, list: string, cursors: Cursors): PageRequest {
  const { first = null, after = null, last = null, before = null }: PageArgs = args;
  if (first !== null && last !== null) throw badUserInput('Give first or last, not both.');
  const sizeCount = first ?? last ?? DEFAULT_SIZE;
  if (sizeCount < 1 || sizeCount > MAX_SIZE)
    throw badUserInput(`${last === null ? 'first' : 'last'} is between 1 and ${MAX_SIZE}.`);
  return {
    list,
    sizeCount,
    isBackward: last !== null,
    afterId: after === null ? null : cursors.open(list, after),
    beforeId: before === null ? null : cursors.open(list, before),
  };
}

/** A page of rows, in the order of the list. */
export interface Page<Row> {
  readonly list: string;
  readonly rows: readonly Row[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}

/**
 * Makes a page of what was read: up to one row more than asked for, which tells whether the list goes on.
 * Of the side that was not read, a cursor there says that there is something: its item was on the list when it was given.
 */
export function pageOf<Row>(request: PageRequest, found: readonly Row[]): Page<Row> {
  const isCut = found.length > request.sizeCount;
  const kept = found.slice(0, request.sizeCount);
  return {
    list: request.list,
    rows: request.isBackward ? kept.reverse() : kept,
    hasNextPage: request.isBackward ? request.beforeId !== null : isCut || request.beforeId !== null,
    hasPreviousPage: request.isBackward ? isCut || request.afterId !== null : request.afterId !== null,
  };
}

/** A connection of whatever type; cursors are made only where a query selects them. */
export class Connection<Row extends { id: string }, Item> {
  readonly nodes: Item[];

  constructor(
    private readonly page: Page<Row>,
    present: (row: Row) => Item,
    private readonly cursors: Cursors,
  ) {
    this.nodes = page.rows.map(present);
  }

  get edges(): { cursor: string; node: Item }[] {
    const { cursors, page } = this;
    return this.nodes.map((node, i) => ({
      node,
      get cursor(): string {
        return cursors.seal(page.list, page.rows[i]?.id ?? '');
      },
    }));
  }

  get pageInfo(): PageInfo {
    const { cursors, page } = this;
    const cursorOf = (row: Row | undefined): string | null => (row ? cursors.seal(page.list, row.id) : null);
    return {
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
      get startCursor(): string | null {
        return cursorOf(page.rows[0]);
      },
      get endCursor(): string | null {
        return cursorOf(page.rows.at(-1));
      },
    };
  }
}
