// The order in which files of tests begin, two at a time. A fresh clone knows no durations, and jest would begin with the largest files: the last
// minutes would belong to a few small files that start the whole product, beside each other, with a core idle beside the very last of them.
import { default as jestSequencer } from '@jest/test-sequencer';

const Sequencer = jestSequencer.default ?? jestSequencer;
/** They kill processes by the clock on the wall: the less of the machine they have, the more is killed before they are done. */
const KILLING = /\/test\/(?:chaos\/chaos|scenario\/(?:renewals-killed|killed|database-killed))\./;
/** They start processes, or live years. */
const LONG = /\/test\/(?:scenario|main|simulate|crash|tools)\//;
/** So many of the others last about as long as one that kills. */
const BESIDE = 16;

export default class LongOnesApart extends Sequencer {
  async sort(tests) {
    const sorted = await super.sort(tests);
    const [killing, others] = parted(sorted, KILLING);
    const [long, light] = parted(others, LONG);
    const apart = killing.flatMap((one) => [one, ...light.splice(0, BESIDE)]);
    return [...apart, ...long, ...light];
  }
}

function parted(tests, form) {
  return [tests.filter(({ path }) => form.test(path)), tests.filter(({ path }) => !form.test(path))];
}
