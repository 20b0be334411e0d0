import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { accountOf, addCustomers, ChangeWriter, haveAll, LiveClient } from '../../bench/live-load.js';
import { Seeded } from '../../src/chaos/seeded.js';
import { eachAtMost } from '../../src/platform/repeat.js';
import { eventually } from '../support/eventually.js';
import { startProduct, type Product } from '../support/product.js';

const CLIENTS = 50;
const CHANGES = 400;

let product: Product;
let writer: ChangeWriter;
beforeAll(async () => {
  product = await startProduct({ withSecondGateway: true });
  writer = await ChangeWriter.open(product.db.options, 4);
});
afterAll(async () => {
  await writer.close();
  await product.stop();
});

// `npm run bench -- live` has a thousand of them, and ten thousand changes.
test('clients that are cut off at random and come back by either of two gateways see each change once and in order', async () => {
  const userIds = Array.from({ length: CLIENTS }, (_, index) => `storm-${index}`);
  await addCustomers(product.db.ownerPool, userIds);
  const random = new Seeded('live storm');
  const gateways = [new URL(product.url), new URL(product.secondUrl)];
  const habits = { cutShare: 0.3, longestPauseMs: 100 };
  const clients: LiveClient[] = [];
  for (const userId of userIds) {
    clients.push(new LiveClient(userId, { gateways, token: await product.token(userId), random, habits }));
  }
  try {
    await eachAtMost(clients, 20, (client) => client.start());
    const users = Array.from({ length: CHANGES }, () => userIds[Math.floor(random.fraction() * CLIENTS)] ?? '');
    await eachAtMost(users, 4, (userId) => writer.write(userId));
    await eventually(() => expect(haveAll(clients, writer.commits)).toBe(true), 20_000);
  } finally {
    for (const client of clients) client.close();
  }
  const { expected, missed, disorders, resets, reconnects } = accountOf(clients, writer.commits);
  expect({ expected, missed, disorders, resets }).toEqual({ expected: CHANGES, missed: 0, disorders: 0, resets: 0 });
  expect(reconnects).toBeGreaterThan(CHANGES / 10);
});
