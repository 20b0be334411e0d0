import { Arg, Args, Ctx, Directive, FieldResolver, ID, Query, Resolver, Root } from 'type-graphql';
import { parsePublicId, publicId } from '../domain/ids.js';
import { settledOf } from '../domain/invoice/invoice.js';
import type { InvoiceRow } from '../store/invoices.reads.js';
import { Authenticated, requireActor } from './authorization.js';
import type { GraphContext } from './context.js';
import { Connection, ForwardPageArgs, pageRequest } from './paging.js';
import { presentSubscription, presentTransaction } from './present-account.js';
import { presentInvoiceLine } from './present-invoice-preview.js';
import { presentMoney } from './present-money.js';
import { InvoiceLine } from './types/invoice-preview.js';
import { Invoice, InvoiceConnection, InvoiceStatus } from './types/invoice.js';
import { Transaction } from './types/transaction.js';
import { User } from './types/user.js';
import { UserSubscription } from './types/user-subscription.js';
import { openUser } from './user.resolver.js';
import { lower, upper } from './words.js';

/** Invoices, and the entry point to one. */
@Resolver(() => Invoice)
export class InvoiceResolver {
  @Authenticated()
  @Query(() => Invoice, {
    nullable: true,
    description: "An invoice by id; null when it does not exist or is not the caller's.",
  })
  async invoice(
    @Arg('id', () => ID, { description: 'Opaque id.' }) id: string,
    @Ctx() context: GraphContext,
  ): Promise<Invoice | null> {
    return ownInvoice(requireActor(context).userId, id, context);
  }

  @FieldResolver(() => User, { description: 'Who owes.' })
  payer(@Root() { row }: Invoice): User {
    return openUser(row.userId);
  }

  @FieldResolver(() => UserSubscription, {
    nullable: true,
    description: 'The subscription it bills; null for one-time purchases.',
  })
  async subscription(@Root() { row }: Invoice, @Ctx() context: GraphContext): Promise<UserSubscription | null> {
    const subscription = row.subscriptionId === null ? null : await context.reads.subscriptionOf(row.userId, row.subscriptionId);
    return subscription && presentSubscription(subscription);
  }

  @Directive('@listSize(assumedSize: 10)')
  @FieldResolver(() => [InvoiceLine], { description: 'Lines; they add up to subtotal.' })
  async lines(@Root() { row }: Invoice, @Ctx() context: GraphContext): Promise<InvoiceLine[]> {
    const lines = await context.reads.invoiceLinesOf(row.userId, row.id);
    return lines.map(({ description, net, discount, periodStart, periodEnd, isProration }) =>
      presentInvoiceLine(
        {
          description,
          netMinor: net,
          discountMinor: discount,
          covers: periodStart && periodEnd && { start: periodStart, end: periodEnd },
          isProration,
        },
        row.currency,
      ),
    );
  }

  @Directive('@listSize(assumedSize: 10)')
  @FieldResolver(() => [Transaction], { description: 'Payments tried for it, newest first.' })
  async transactions(@Root() { row }: Invoice, @Ctx() context: GraphContext): Promise<Transaction[]> {
    return (await context.reads.chargesForInvoice(row.userId, row.id)).map(presentTransaction);
  }
}

/** The invoices of a user. */
@Resolver(() => User)
export class UserInvoicesResolver {
  @Authenticated()
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => InvoiceConnection, {
    nullable: true,
    description: 'Invoices of the user, newest first. The user and staff only.',
  })
  async invoices(
    @Root() user: User,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Arg('statuses', () => [InvoiceStatus], { nullable: true, description: 'Only these states.' })
    statuses: InvoiceStatus[] | null | undefined,
    @Ctx() { reads }: GraphContext,
  ): Promise<InvoiceConnection | null> {
    if (!user.isOpen) return null;
    const words = statuses ? statuses.map(lower) : null;
    const request = pageRequest(page, JSON.stringify(['invoices', user.id, words]), reads.cursors);
    const found = await reads.invoicePage(user.id, request, { statuses: words, subscriptionId: null });
    return new Connection(found, presentInvoice, reads.cursors);
  }
}

/** The invoices of a subscription: those that its user owes or owed. */
@Resolver(() => UserSubscription)
export class SubscriptionInvoicesResolver {
  @Directive(
    '@listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"], requireOneSlicingArgument: false, assumedSize: 20)',
  )
  @FieldResolver(() => InvoiceConnection, { nullable: true, description: 'Invoices, newest first.' })
  async invoices(
    @Root() { row }: UserSubscription,
    @Args(() => ForwardPageArgs) page: ForwardPageArgs,
    @Ctx() { reads }: GraphContext,
  ): Promise<InvoiceConnection | null> {
    const request = pageRequest(page, JSON.stringify(['subscription invoices', row.userId, row.id]), reads.cursors);
    const found = await reads.invoicePage(row.userId, request, { statuses: null, subscriptionId: row.id });
    return new Connection(found, presentInvoice, reads.cursors);
  }
}

/** The invoice behind a transaction. */
@Resolver(() => Transaction)
export class TransactionInvoiceResolver {
  @FieldResolver(() => Invoice, { nullable: true, description: 'The invoice it pays.' })
  async invoice(@Root() { row }: Transaction, @Ctx() { reads }: GraphContext): Promise<Invoice | null> {
    const invoice = row.invoiceId === null ? null : await reads.invoiceOf(row.userId, row.invoiceId);
    return invoice && presentInvoice(invoice);
  }
}

/** The user's own invoice by its public id; null for any other id, whatever its form. */
export async function ownInvoice(userId: string, id: string, context: GraphContext): Promise<Invoice | null> {
  const invoiceId = parsePublicId('inv', id);
  const row = invoiceId && (await context.reads.invoiceOf(userId, invoiceId));
  return row && presentInvoice(row);
}

/** An invoice as the graph shows it. */
export function presentInvoice(row: InvoiceRow): Invoice {
  const money = (minor: bigint) => presentMoney(minor, row.currency);
  const { paidMinor, dueMinor } = settledOf({ status: row.status, totalMinor: row.total, creditAppliedMinor: row.creditApplied });
  return {
    __typename: 'Invoice',
    row,
    id: publicId('inv', row.id),
    number: row.number,
    status: upper(row.status),
    subtotal: money(row.subtotal),
    discountTotal: money(row.discount),
    taxTotal: money(row.tax),
    total: money(row.total),
    amountPaid: money(paidMinor),
    amountDue: money(dueMinor),
    finalizedAt: row.finalizedAt,
    paidAt: row.paidAt,
    pdfUrl: null,
  };
}
