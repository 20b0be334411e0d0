import { Field, ID, Int, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';
import { Node, typeNameOf } from './node.js';
import { CountryCode, DateTime } from './scalars.js';

/** Kinds of payment method. */
export const PaymentMethodKind = {
  CARD: 'CARD',
  PAYPAL: 'PAYPAL',
  BANK_ACCOUNT: 'BANK_ACCOUNT',
} as const;
export type PaymentMethodKind = keyof typeof PaymentMethodKind;
registerEnumType(PaymentMethodKind, {
  name: 'PaymentMethodKind',
  description: 'Kinds of payment method.',
  valuesConfig: {
    CARD: { description: 'Card, typed in or through a wallet.' },
    PAYPAL: { description: 'PayPal account.' },
    BANK_ACCOUNT: { description: 'Bank account, direct debit.' },
  },
});

/** Companies that move the money. */
export const PaymentProvider = {
  STRIPE: 'STRIPE',
  PAYPAL: 'PAYPAL',
  PLAID: 'PLAID',
} as const;
export type PaymentProvider = keyof typeof PaymentProvider;
registerEnumType(PaymentProvider, {
  name: 'PaymentProvider',
  description: 'Companies that move the money.',
  valuesConfig: {
    STRIPE: { description: 'Stripe.' },
    PAYPAL: { description: 'PayPal.' },
    PLAID: { description: 'Plaid, for linking and checking bank accounts.' },
  },
});

/** Whether a payment method can be charged. */
export const PaymentMethodStatus = {
  PENDING_VERIFICATION: 'PENDING_VERIFICATION',
  ACTIVE: 'ACTIVE',
  EXPIRED: 'EXPIRED',
  FAILED: 'FAILED',
  REMOVED: 'REMOVED',
} as const;
export type PaymentMethodStatus = keyof typeof PaymentMethodStatus;
registerEnumType(PaymentMethodStatus, {
  name: 'PaymentMethodStatus',
  description: 'Whether a payment method can be charged.',
  valuesConfig: {
    PENDING_VERIFICATION: { description: 'Being added; the user still has a step to do.' },
    ACTIVE: { description: 'Usable.' },
    EXPIRED: { description: 'Card past its date, or agreement ended at the provider.' },
    FAILED: { description: 'Adding failed or the provider blocks it.' },
    REMOVED: { description: 'Removed by the user; kept for history only.' },
  },
});

/** A way to pay kept on file at the provider. Numbers never reach this graph. */
@InterfaceType({
  description: 'A way to pay kept on file at the provider. Numbers never reach this graph.',
  implements: Node,
  resolveType: typeNameOf,
})
export abstract class PaymentMethod {
  /** Name of the concrete type. */
  readonly __typename!: string;

  @Field(() => ID, { description: 'Opaque id, prefix pm_.' })
  id!: string;

  @Field(() => PaymentMethodKind, { description: 'What kind it is.' })
  kind!: PaymentMethodKind;

  @Field(() => PaymentProvider, { description: 'Who keeps it.' })
  provider!: PaymentProvider;

  @Field(() => PaymentMethodStatus, { description: 'Whether it can be charged.' })
  status!: PaymentMethodStatus;

  @Field(() => String, { description: 'Short text for lists, e.g. Visa ending 4242.' })
  displayName!: string;

  @Field(() => Boolean, { description: 'Whether renewals use it first.' })
  isDefault!: boolean;

  @Field(() => DateTime, { description: 'When it was added.' })
  createdAt!: Date;
}

/** A payment card. */
@ObjectType({ description: 'A payment card.', implements: [PaymentMethod, Node], simpleResolvers: true })
export class CardPaymentMethod {
  readonly __typename!: 'CardPaymentMethod';

  @Field(() => ID, { description: 'Opaque id, prefix pm_.' })
  id!: string;

  @Field(() => PaymentMethodKind, { description: 'Always CARD.' })
  kind!: PaymentMethodKind;

  @Field(() => PaymentProvider, { description: 'Who keeps it.' })
  provider!: PaymentProvider;

  @Field(() => PaymentMethodStatus, { description: 'Whether it can be charged.' })
  status!: PaymentMethodStatus;

  @Field(() => String, { description: 'Short text for lists.' })
  displayName!: string;

  @Field(() => Boolean, { description: 'Whether renewals use it first.' })
  isDefault!: boolean;

  @Field(() => DateTime, { description: 'When it was added.' })
  createdAt!: Date;

  @Field(() => String, { description: 'Card scheme in lower case, e.g. visa. A string: schemes come and go.' })
  brand!: string;

  @Field(() => String, { description: 'Last four digits.' })
  last4!: string;

  @Field(() => Int, { description: 'Month of expiry, 1 to 12.' })
  expiryMonth!: number;

  @Field(() => Int, { description: 'Four-digit year of expiry.' })
  expiryYear!: number;

  @Field(() => String, { nullable: true, description: 'Wallet it came through, e.g. apple_pay; null for a card typed in.' })
  wallet!: string | null;

  @Field(() => CountryCode, { nullable: true, description: 'Country of the issuing bank.' })
  issuingCountry!: string | null;
}
