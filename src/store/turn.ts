/** Work of which one worker at a time has the turn. */
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const TAKE_TURN = statement<[number], { isOurs: boolean }>('take_turn', 'select pg_try_advisory_xact_lock($1) as "isOurs"');

/** Takes the turn at something until the commit; false while somebody else has it. @param lock its number, the same for ever */
export async function takeTurn(uow: UnitOfWork, lock: number): Promise<boolean> {
  return (await uow.run(TAKE_TURN, [lock]))[0]?.isOurs === true;
}
