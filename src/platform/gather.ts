interface Waiting<Item, Answer> {
  item: Item;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/**
 * Gives many single calls to work that does them together: whoever comes while a batch is under way goes with the next one, so nobody waits for
 * company, and a rush costs a few batches. A batch that fails is tried one by one: what is wrong with one is that one's alone.
 * @param together answers for each item, in their order
 * @param most largest batch
 */
export function gather<Item, Answer>(
  together: (items: Item[]) => Promise<Answer[]>,
  most: number,
): (item: Item) => Promise<Answer> {
  const waiting: Waiting<Item, Answer>[] = [];
  let isUnderWay = false;

  async function doBatch(batch: Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await together(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(answers[i] as Answer);
    } catch (error) {
      if (batch.length === 1) batch[0]?.reject(error);
      else for (const one of batch) await doBatch([one]);
    }
  }

  async function doAll(): Promise<void> {
    isUnderWay = true;
    while (waiting.length > 0) await doBatch(waiting.splice(0, most));
    isUnderWay = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!isUnderWay) void doAll();
    });
}
