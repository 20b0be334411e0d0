import { Field, InputType } from 'type-graphql';
import { DateTime } from './scalars.js';

/** Half-open span of time: from <= t < to. */
@InputType({ description: 'Half-open span of time: from <= t < to.' })
export class TimeRangeInput {
  @Field(() => DateTime, { description: 'First instant inside the span.' })
  from!: Date;

  @Field(() => DateTime, { description: 'First instant after the span.' })
  to!: Date;
}
