import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import pg from 'pg';
import Stripe from 'stripe';
import { Client, type Scene } from '../../src/chaos/client.js';
import { letRest } from '../../src/chaos/quiet.js';
import { Seeded } from '../../src/chaos/seeded.js';
import { Stage } from '../../src/chaos/stage.js';
import { tellStory } from '../../src/chaos/story.js';
import { judge } from '../../src/chaos/verdict.js';
import { pgConfig } from '../../src/platform/database-options.js';
import { removeEmbeddedPostgres } from '../../src/platform/embedded-postgres.js';
import { issueSandboxToken } from '../../src/platform/sandbox-issuer.js';
import { parseInvariants } from '../../src/store/invariants.js';
import { migrate } from '../../src/store/migrate.js';
import { keepPartitions } from '../../src/store/partitions.js';
import { publishCatalogue, readCatalogue } from '../../src/usecases/publish-catalogue.js';
import { publicId } from '../../src/domain/ids.js';

const LIMIT_MS = 300_000;
const TWO_DAYS_MS = 2 * 86_400_000;

test(
  'real processes that are killed and disturbed charge nobody twice, lose nothing, and answer each key alike',
  async () => {
    const args = ['dist/src/tools/chaos.js', '--seed', '7', '--minutes', '0.17', '--kill-every', '3s'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const [told, how, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    // With the stories of what is wrong, which are gone otherwise.
    if (code !== 0) throw new Error(told);
    expect(told.split('\n').at(-2)).toBe('Seed 7: every cent is explained.');
    const figure = (name: string): number => Number(new RegExp(`^${name} +(\\d+)$`, 'm').exec(told)?.[1]);
    for (const kind of ['double_charge', 'lost_charge', 'lost_refund', 'two_answers', 'invariant'])
      expect([kind, figure(kind)]).toEqual([kind, 0]);
    expect(figure('processes killed')).toBeGreaterThan(0);
    expect(figure('charges succeeded')).toBeGreaterThan(0);
    expect(how).toContain('comparing the books');
  },
  LIMIT_MS,
);

test(
  'a charge that the product did not make, and an answer that changes, are found and their story is told',
  async () => {
    const dataDir = await mkdtemp(path.join(os.tmpdir(), 'chaos-judged-'));
    const stage = await Stage.open({
      dataDir,
      programs: path.resolve('dist/src'),
      chance: new Seeded('judged'),
      prepare: async (database, now) => {
        await migrate(database, now);
        const client = new pg.Client(pgConfig(database));
        await client.connect();
        await publishCatalogue(client, readCatalogue(await readFile('data/catalogue.json', 'utf8')), now);
        await client.end();
      },
    });
    try {
      const scene: Scene = {
        gateways: stage.gateways,
        chronicle: stage.chronicle,
        kept: [],
        token: (userId, scopes) => issueSandboxToken({ dataDir, userId, scopes, ttlSeconds: 3_600, now: new Date() }),
      };
      const ana = new Client(scene, 'ana', new Seeded('ana'));
      const started = await ana.settle(ana.keep('startPaymentMethodSetup', { kind: 'CARD' }), () => false);
      await ana.ask('completePaymentMethodSetup', { setupId: started?.setupId, providerToken: 'pm_card_visa' }, 3, () => false);
      const [price] = await stage.database.query<{ id: string }>(
        "select id::text from price where product_id is not null and currency = 'USD' order by id limit 1",
      );
      const bought = ana.keep('purchase', { priceId: publicId('price', price?.id ?? '') });
      const payload = await ana.settle(bought, () => false);
      expect(payload?.transaction?.status).toBe('SUCCEEDED');
      const invariants = parseInvariants(await readFile('data/invariants.sql', 'utf8'));
      const judged = async () => judge(stage, { kept: scene.kept, invariants, unrest: await letRest(stage, () => undefined) });
      expect(await judged()).toEqual([]);

      // Days that have just passed are closed before anything is judged.
      const later = new Date(stage.clock.now().getTime() + TWO_DAYS_MS);
      await stage.database.connected((client) => keepPartitions(client, later));
      await stage.moveClock(TWO_DAYS_MS);
      expect(await judged()).toEqual([]);

      // Somebody charges the card a second time behind the product's back, for the same invoice.
      const stripe = new Stripe('sk_test_sandbox', { host: '127.0.0.1', port: new URL(stage.standInUrl).port, protocol: 'http' });
      const [first] = (await stage.truth()).paymentIntents;
      const known = await stripe.paymentIntents.retrieve(first?.id ?? '');
      const again = await stripe.paymentIntents.create({
        amount: known.amount,
        currency: known.currency,
        customer: idOf(known.customer),
        payment_method: idOf(known.payment_method),
        metadata: { invoice_id: known.metadata['invoice_id'] ?? '' },
        confirm: true,
        off_session: true,
      });
      bought.answers.push({
        at: stage.clock.now(),
        gateway: 'elsewhere',
        ids: { transaction: 'txn_other' },
        refusals: [],
        status: 'SUCCEEDED',
      });
      const problems = await judged();
      expect(problems.map(({ kind }) => kind).toSorted()).toEqual(
        expect.arrayContaining(['clearing', 'double_charge', 'lost_charge', 'two_answers']),
      );
      const lost = problems.find(({ kind }) => kind === 'lost_charge');
      expect(lost?.subject).toBe(idOf(again.latest_charge));
      const double = problems.find(({ kind }) => kind === 'double_charge');
      const story = double ? await tellStory(stage, double, scene.kept) : '';
      expect(story).toMatch(/row +charge [0-9a-f-]{36} \d+: succeeded \(user\)/);
      expect(story).toMatch(/Stripe +payment_intent\.succeeded/);
      expect(story).toMatch(/client +purchase [0-9a-f]{32} at http:\/\/127\.0\.0\.1:\d+: SUCCEEDED/);
    } finally {
      await stage.close();
      await removeEmbeddedPostgres(dataDir);
      await rm(dataDir, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);

/** A reference of Stripe's that was not expanded. */
function idOf(reference: unknown): string {
  if (typeof reference !== 'string') throw new Error('the reference is no id');
  return reference;
}
