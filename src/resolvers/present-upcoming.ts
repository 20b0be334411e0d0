import { invariant } from '../domain/invariant.js';
import type { UpcomingInvoice } from '../domain/subscription/upcoming.js';
import type { GraphContext } from './context.js';
import { presentInvoicePreview } from './present-invoice-preview.js';
import type { InvoicePreview } from './types/invoice-preview.js';

/** The next invoice of a subscription as the graph shows it. */
export async function presentUpcoming(next: UpcomingInvoice, { reads }: GraphContext): Promise<InvoicePreview> {
  const tier = await reads.fromCatalogue((catalogue) => catalogue.tier(catalogue.price(next.price.id)?.tierId ?? ''));
  invariant(tier !== null, 'what renews is a tier of the catalogue', { priceId: next.price.id });
  const line = { ...next.line, description: tier.name, covers: { start: next.line.start, end: next.line.end } };
  return presentInvoicePreview({ lines: [line], sums: next.sums, chargeAt: next.chargeAt }, next.price.currency);
}
