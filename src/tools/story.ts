/** `npm run story -- <name>`: lives a told life on a database of its own and prints its diary. Exits with 1 when the diary is not what the story's file tells. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { OneLineError } from '../platform/one-line-error.js';
import { fail } from '../platform/run-process.js';
import { liveStory, parseStory, STORY_VERBS, type Story } from '../simulate/story.js';
import { withOwnDatabases } from './own-databases.js';

const FOLDER = 'stories';
const ENDING = '.txt';

interface Options {
  list: boolean;
  verbs: boolean;
  write: boolean;
}

async function names(): Promise<string[]> {
  const files = await readdir(FOLDER);
  return files
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .toSorted();
}

async function read(name: string): Promise<{ file: string; text: string; story: Story }> {
  const known = await names();
  if (!known.includes(name)) throw new OneLineError(`There is no story "${name}". There are: ${known.join(', ')}.`);
  const file = path.join(FOLDER, `${name}${ENDING}`);
  const text = await readFile(file, 'utf8');
  return { file, text, story: parseStory(text) };
}

async function list(): Promise<void> {
  const known = await names();
  const width = Math.max(...known.map((name) => name.length));
  for (const name of known) console.log(`${name.padEnd(width)}  ${(await read(name)).story.title}`);
}

const program = new Command('story')
  .description(
    'Lives a told life (stories/*.txt) on a clock and a database of its own and prints its diary, from the rows. Exits with 1 when the diary is not what the file tells.',
  )
  .argument('[name]', 'which story')
  .option('--list', 'the stories there are', false)
  .option('--verbs', 'what people in stories can do, as it is written', false)
  .option('--write', 'writes the diary into the file: review the difference', false)
  .action(async (name: string | undefined, options: Options) => {
    if (options.verbs) return STORY_VERBS.forEach(({ form }) => console.log(form));
    if (options.list || name === undefined) return list();
    const { file, text, story } = await read(name);
    const [first] = story.acts;
    const diary = await withOwnDatabases(first?.at ?? story.endsAt, async (databases) => {
      const database = await databases.make();
      return liveStory(story, database.options);
    });
    process.stdout.write(diary);
    if (diary === text) return;
    if (options.write) {
      await writeFile(file, diary);
      console.error(`${file} was written anew: review the difference.`);
      return;
    }
    process.exitCode = 1;
    console.error(`This is not what ${file} tells. If it is right so: npm run story -- ${name} --write`);
  });

program.parseAsync().catch(fail);
