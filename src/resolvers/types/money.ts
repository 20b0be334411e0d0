import { Directive, Field, InputType, ObjectType } from 'type-graphql';
import { CurrencyCode, SafeInt } from './scalars.js';

/** An amount of one currency. */
@Directive('@shareable')
@ObjectType({ description: 'An amount of one currency.', simpleResolvers: true })
export class Money {
  @Field(() => SafeInt, { description: "Amount in the currency's smallest unit (cents for USD, yen for JPY, fils for KWD)." })
  amountMinor!: bigint;

  @Field(() => CurrencyCode, { description: 'Currency of the amount.' })
  currency!: string;

  @Field(() => String, {
    description: 'The same amount as an exact decimal string in major units, e.g. 4.99; for display, never for arithmetic.',
  })
  decimal!: string;
}

/** An amount given by a client. */
@InputType({ description: 'An amount given by a client.' })
export class MoneyInput {
  @Field(() => SafeInt, { description: "Amount in the currency's smallest unit; must be positive." })
  amountMinor!: number;

  @Field(() => CurrencyCode, { description: 'Currency of the amount.' })
  currency!: string;
}
