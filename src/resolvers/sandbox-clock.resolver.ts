import { Temporal } from 'temporal-polyfill';
import { Arg, Directive, Mutation, Resolver } from 'type-graphql';
import { Authenticated } from './authorization.js';
import { badUserInput } from './errors.js';
import { DateTime } from './types/scalars.js';

/** What the sandbox's mutation needs: moves time by a duration and answers with the instant at which it stands then. */
export type AdvanceClock = (by: Temporal.Duration) => Promise<Date>;

/**
 * The mutation that moves the sandbox's clock. It is made where the sandbox is on and nowhere else: no part of the contract, and never in schema/.
 */
export function sandboxClockResolver(advance: AdvanceClock): new () => object {
  @Resolver()
  class SandboxClockResolver {
    @Authenticated()
    @Directive('@cost(weight: 50)')
    @Mutation(() => DateTime, {
      description:
        'Sandbox only. Move the time of gateway, workers and stand-ins ahead, from one instant at which something is due to the next. Answers with where it stands: short of the wish when the way is long, then ask again for the rest.',
    })
    async advanceSandboxClock(
      @Arg('by', () => String, { description: 'An ISO 8601 duration, e.g. P1M (a month), P3D (three days), PT1H (an hour).' })
      by: string,
    ): Promise<Date> {
      return advance(durationOf(by));
    }
  }
  return SandboxClockResolver;
}

function durationOf(text: string): Temporal.Duration {
  try {
    const duration = Temporal.Duration.from(text);
    if (duration.sign > 0) return duration;
  } catch {
    // Told below, together with durations that lead nowhere.
  }
  throw badUserInput('"by" is an ISO 8601 duration that leads ahead, e.g. P1M, P3D or PT1H.');
}
