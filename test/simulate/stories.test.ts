import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { Databases } from '../../src/simulate/databases.js';
import { liveStory, parseStory } from '../../src/simulate/story.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const FILES = readdirSync('stories').map((file) => `stories/${file}`);

let server: TestDatabase;
let databases: Databases;
beforeAll(async () => {
  server = await testDatabase();
  databases = await Databases.open(server.options, new Date('2027-01-01T00:00:00Z'));
});
afterAll(async () => {
  await databases.close();
  await server.drop();
});

async function live(text: string): Promise<string> {
  const database = await databases.make();
  try {
    return await liveStory(parseStory(text), database.options);
  } finally {
    await database.drop();
  }
}

test.each(FILES)('what %s tells is what happens', async (file) => {
  const text = readFileSync(file, 'utf8');
  expect(await live(text)).toBe(text);
});

test('a story that tells too little gets the rest from the rows', async () => {
  const acts = ['2027-01-31 09:00  Ana adds a card: visa', '2027-01-31 09:00  Ana subscribes: basic by the month in USD'];
  const diary = await live(['Short', '', ...acts, '2027-03-01 00:00  The end', ''].join('\n'));
  expect(diary).toContain('    charge of 3.00 USD: succeeded\n');
  expect(diary).toContain('2027-02-28 09:00\n    charge of 3.00 USD: pending\n');
});

test.each([
  ['Title\n\n2027-01-31 09:00  Ana dances\n2027-02-01 00:00  The end\n', 'No story knows "dances". It knows: adds a card: visa;'],
  ['Title\n\n2027-02-01 00:00  The end\n', 'A story has a title, an empty line, acts'],
  ['Title\n\n2027-01-31 09:00  Ana resumes\n', 'A story has a title, an empty line, acts'],
])('a text that is no story is refused in one line', async (text, words) => {
  await expect(live(text)).rejects.toThrow(words);
});
