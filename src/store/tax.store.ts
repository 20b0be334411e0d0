import type { TaxRate } from '../domain/tax/tax.js';
import { statement } from './statement.js';
import type { UnitOfWork } from './unit-of-work.js';

const LIST_RATES = statement<[string[]], TaxRate>(
  'list_tax_rates',
  `select country, nullif(region, '') as region, tax_code as "taxCode", valid_from::text as "validFrom", rate_ppm as "ratePpm"
   from tax_rate where country = any($1)`,
);

/** Every tax rate of these countries, past and to come. */
export async function listTaxRates(uow: UnitOfWork, countries: string[]): Promise<TaxRate[]> {
  return countries.length === 0 ? [] : uow.run(LIST_RATES, [countries]);
}
