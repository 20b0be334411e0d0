import { Arg, Args, Ctx, Directive, Field, ID, InputType, Query, Resolver } from 'type-graphql';
import { USER_ID_FORM } from '../domain/ids.js';
import { idFloor } from '../store/keyset.js';
import { requireActor, RequiresScopes, STAFF } from './authorization.js';
import type { GraphContext } from './context.js';
import { badUserInput } from './errors.js';
import { Connection, ForwardPageArgs, pageOf, pageRequest, type Page } from './paging.js';
import { presentTransaction } from './present-account.js';
import { transactionConditions } from './transaction-filter.js';
import { TimeRangeInput } from './types/time-range.js';
import { TransactionConnection, TransactionFilter } from './types/transaction.js';

/** Longest span of one search. */
const MOST_DAYS = 92;
const DAY_MS = 86_400_000;

/** Narrows a search over all users. */
@InputType({ description: 'Narrows a search over all users.' })
export class TransactionSearchInput {
  @Field(() => TimeRangeInput, { description: 'Created in this span.' })
  created!: TimeRangeInput;

  @Field(() => ID, { nullable: true, description: 'Of this user.' })
  userId?: string | null;

  @Field(() => TransactionFilter, { nullable: true, description: 'Other conditions.' })
  filter?: TransactionFilter | null;

  @Field(() => String, { nullable: true, description: 'With this id at the provider.' })
  providerReference?: string | null;
}

/** What staff look for among the transactions of everybody. */
@Resolver()
export class TransactionSearchResolver {
  @Directive('@tag(name: "staff")')
  @Directive('@cost(weight: 20)')
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @RequiresScopes(STAFF)
  @Query(() => TransactionConnection, { description: 'Transactions of all users, newest first.' })
  async searchTransactions(
    @Arg('filter', () => TransactionSearchInput, {
      description: 'Narrow the list; a span of creation of at most 92 days is required.',
    })
    search: TransactionSearchInput,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() context: GraphContext,
  ): Promise<TransactionConnection> {
    const actor = requireActor(context);
    const { reads, commands } = context;
    const found = await pageFor(search, page, context);
    const userId = search.userId ?? null;
    const shownUserIds = [...new Set(found.rows.map((row) => row.userId))];
    // Before anything is shown: what staff looked for, and whose payments they were shown.
    await commands.auditSearch(actor, { userId, asked: JSON.stringify(search), shownUserIds });
    return new Connection(found, presentTransaction, reads.cursors);
  }
}

type FoundPage = Page<Awaited<ReturnType<GraphContext['reads']['searchTransactions']>>[number]>;

/** @throws BAD_USER_INPUT for a span that is longer than 92 days or ends before it begins, and for a wrong page */
async function pageFor(search: TransactionSearchInput, page: ForwardPageArgs, context: GraphContext): Promise<FoundPage> {
  const { reads } = context;
  const { from, to } = search.created;
  if (from >= to) throw badUserInput('A span of time begins before it ends.');
  if (to.getTime() - from.getTime() > MOST_DAYS * DAY_MS) throw badUserInput(`A search spans at most ${MOST_DAYS} days.`);
  const conditions = transactionConditions(search.filter ?? {});
  const { userId } = requireActor(context);
  const request = pageRequest(page, JSON.stringify(['transaction search', userId, search]), reads.cursors);
  const isNobody = search.userId != null && !USER_ID_FORM.test(search.userId);
  const rows = isNobody
    ? []
    : await reads.searchTransactions(request, {
        ...conditions,
        userId: search.userId ?? null,
        providerReference: search.providerReference ?? null,
        createdFrom: idFloor(from),
        createdTo: idFloor(to),
      });
  return pageOf(request, rows);
}
