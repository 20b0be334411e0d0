import { Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';
import type { TransactionRow } from '../../store/transactions.reads.js';
import { Money, MoneyInput } from './money.js';
import { Node } from './node.js';
import { PageInfo } from './page-info.js';
import { PaymentProvider } from './payment-method.js';
import { DateTime } from './scalars.js';
import { TimeRangeInput } from './time-range.js';

/** Kinds of transaction. */
export const TransactionKind = {
  CHARGE: 'CHARGE',
  REFUND: 'REFUND',
  DISPUTE: 'DISPUTE',
  DISPUTE_REVERSAL: 'DISPUTE_REVERSAL',
} as const;
export type TransactionKind = keyof typeof TransactionKind;
registerEnumType(TransactionKind, {
  name: 'TransactionKind',
  description: 'Kinds of transaction.',
  valuesConfig: {
    CHARGE: { description: 'Money from the user.' },
    REFUND: { description: 'Money back to the user.' },
    DISPUTE: { description: "Money taken back by the user's bank." },
    DISPUTE_REVERSAL: { description: 'Disputed money returned to us.' },
  },
});

/** How a transaction stands. New values are added over time. */
export const TransactionStatus = {
  PENDING: 'PENDING',
  REQUIRES_ACTION: 'REQUIRES_ACTION',
  PROCESSING: 'PROCESSING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  CANCELED: 'CANCELED',
  UNKNOWN: 'UNKNOWN',
} as const;
export type TransactionStatus = keyof typeof TransactionStatus;
registerEnumType(TransactionStatus, {
  name: 'TransactionStatus',
  description: 'How a transaction stands. New values are added over time.',
  valuesConfig: {
    PENDING: { description: 'Accepted here, not yet sent.' },
    REQUIRES_ACTION: { description: 'Waiting for a step by the user.' },
    PROCESSING: { description: 'At the provider; direct debit may stay here for days.' },
    SUCCEEDED: { description: 'Done.' },
    FAILED: { description: 'Declined or broken off for good.' },
    CANCELED: { description: 'Withdrawn before it was done.' },
    UNKNOWN: { description: "The provider's answer was lost; being found out. Never retried with a new key until known." },
  },
});

/** What caused a change of status. */
export const TransactionEventCause = {
  USER: 'USER',
  RENEWAL: 'RENEWAL',
  RETRY: 'RETRY',
  PROVIDER_EVENT: 'PROVIDER_EVENT',
  STAFF: 'STAFF',
  RECONCILIATION: 'RECONCILIATION',
  TIMEOUT: 'TIMEOUT',
} as const;
export type TransactionEventCause = keyof typeof TransactionEventCause;
registerEnumType(TransactionEventCause, {
  name: 'TransactionEventCause',
  description: 'What caused a change of status.',
  valuesConfig: {
    USER: { description: 'A request of the user.' },
    RENEWAL: { description: 'The renewal run.' },
    RETRY: { description: 'A planned retry.' },
    PROVIDER_EVENT: { description: 'A webhook of the provider.' },
    STAFF: { description: 'A staff member.' },
    RECONCILIATION: { description: 'Reconciliation found it.' },
    TIMEOUT: { description: 'A time limit passed.' },
  },
});

/** One change of a transaction's status. */
@ObjectType({ description: "One change of a transaction's status.", simpleResolvers: true })
export class TransactionStatusEvent {
  @Field(() => TransactionStatus, { description: 'The new status.' })
  status!: TransactionStatus;

  @Field(() => DateTime, { description: 'When.' })
  occurredAt!: Date;

  @Field(() => TransactionEventCause, { description: 'What caused it.' })
  cause!: TransactionEventCause;
}

/** A movement of money, or the attempt at one. Refunds and disputes are transactions of their own. */
@ObjectType({
  description: 'A movement of money, or the attempt at one. Refunds and disputes are transactions of their own.',
  implements: Node,
  simpleResolvers: true,
})
export class Transaction {
  readonly __typename!: 'Transaction';
  /** The row it was made from; not part of the graph. */
  readonly row!: TransactionRow;

  @Field(() => ID, { description: 'Opaque id, prefix txn_.' })
  id!: string;

  @Field(() => TransactionKind, { description: 'What it is.' })
  kind!: TransactionKind;

  @Field(() => TransactionStatus, { description: 'How it stands.' })
  status!: TransactionStatus;

  @Field(() => Money, { description: 'Amount; always positive, kind gives the direction.' })
  amount!: Money;

  @Field(() => PaymentProvider, { description: 'Who moved the money.' })
  provider!: PaymentProvider;

  @Field(() => String, { nullable: true, description: "Text on the user's bank statement." })
  statementDescriptor!: string | null;

  @Field(() => DateTime, { description: 'When it was created here.' })
  createdAt!: Date;

  @Field(() => DateTime, { nullable: true, description: "When the provider's answer was final." })
  settledAt!: Date | null;
}

/** Narrows a list of transactions; conditions are combined with AND, values inside one with OR. */
@InputType({ description: 'Narrows a list of transactions; conditions are combined with AND, values inside one with OR.' })
export class TransactionFilter {
  @Field(() => [TransactionKind], { nullable: true, description: 'Only these kinds.' })
  kinds?: TransactionKind[] | null;

  @Field(() => [TransactionStatus], { nullable: true, description: 'Only these states.' })
  statuses?: TransactionStatus[] | null;

  @Field(() => TimeRangeInput, { nullable: true, description: 'Only those created in this span.' })
  created?: TimeRangeInput | null;

  @Field(() => ID, { nullable: true, description: 'Only those of this subscription.' })
  subscriptionId?: string | null;

  @Field(() => [PaymentProvider], { nullable: true, description: 'Only those of this provider.' })
  providers?: PaymentProvider[] | null;

  @Field(() => MoneyInput, { nullable: true, description: 'Only those of at least this amount (and in its currency).' })
  minAmount?: MoneyInput | null;
}

/** Page of transactions. */
@ObjectType({ description: 'Page of transactions.', simpleResolvers: true })
export class TransactionConnection {
  @Field(() => [TransactionEdge], { description: 'Items with their cursors.' })
  edges!: TransactionEdge[];

  @Field(() => [Transaction], { description: 'Items alone.' })
  nodes!: Transaction[];

  @Field(() => PageInfo, { description: 'Where the page stands.' })
  pageInfo!: PageInfo;
}

/** A transaction in a page. */
@ObjectType({ description: 'A transaction in a page.', simpleResolvers: true })
export class TransactionEdge {
  @Field(() => String, { description: 'Place in the list.' })
  cursor!: string;

  @Field(() => Transaction, { description: 'The item.' })
  node!: Transaction;
}
