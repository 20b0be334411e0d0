import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { OneLineError } from '../platform/one-line-error.js';
import { fail } from '../platform/run-process.js';
import { loadDotEnv } from '../platform/settings.js';
import { publishCatalogue, readCatalogue } from '../usecases/publish-catalogue.js';
import { withConnection } from './with-connection.js';

const program = new Command('catalogue')
  .description(
    'Publishes tiers, products, prices, coupons and tax rates from a file. May be repeated: only what differs is changed.',
  )
  .option('--file <path>', 'the catalogue', 'data/catalogue.json')
  .action(async ({ file }: { file: string }) => {
    const text = await readFile(file, 'utf8').catch((error: Error) => {
      throw new OneLineError(`The catalogue cannot be read: ${error.message}`);
    });
    const catalogue = readCatalogue(text);
    const published = await withConnection(({ client, now }) => publishCatalogue(client, catalogue, now));
    const { pricesAdded, pricesEnded, couponsAdded, couponsEnded, taxRatesAdded, ledgerAccountsAdded } = published;
    console.log(
      `Published: ${pricesAdded} prices added, ${pricesEnded} ended, ${couponsAdded} coupons added, ${couponsEnded} ended, ` +
        `${taxRatesAdded} tax rates and ${ledgerAccountsAdded} ledger accounts added.`,
    );
  });

loadDotEnv();
program.parseAsync().catch(fail);
