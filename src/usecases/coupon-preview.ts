import { NO_ZONE, residenceNow } from '../domain/customer/residence.js';
import { previewCoupon } from '../domain/subscription/subscribe.js';
import { loadCustomer } from '../store/customers.store.js';
import { loadTierPrice } from '../store/subscriptions.store.js';
import { beginInTx } from '../store/unit-of-work.js';
import { own, type Cashier } from './cashier.js';
import type { Actor, CouponPreviewCommand, PreviewedInvoice } from './contract.js';
import { describedLine } from './issue-invoice.js';
import { targetPrice } from './billed-price.js';
import { loadCouponFacts, loadTerms, personOf } from './load-terms.js';
import { methodFor } from './subscribe.js';

/** What subscribing at a price with a code would be invoiced now; null when the code does not apply. Nothing is written or locked. */
export const couponPreview =
  (cashier: Cashier) =>
  async (actor: Actor, { code, priceId }: CouponPreviewCommand): Promise<PreviewedInvoice | null> => {
    const { userId } = actor;
    return beginInTx(cashier.tx, own(userId), async (uow) => {
      const found = await loadTierPrice(uow, priceId);
      if (found === null) return null;
      const known = (await loadCustomer(uow, userId)) ?? { country: null, zone: NO_ZONE, defaultPaymentMethodId: null };
      const customer = { userId, defaultPaymentMethodId: known.defaultPaymentMethodId, ...residenceNow(known, actor.residence) };
      const { currency } = found.price;
      const method = await methodFor(uow, customer, null);
      const preview = previewCoupon({
        price: targetPrice(found),
        coupon: await loadCouponFacts(uow, code, personOf(userId, method)),
        country: customer.country,
        zone: customer.zone,
        ...(await loadTerms(uow, customer, currency, uow.now)),
        now: uow.now,
      });
      if (preview.kind === 'refused') return null;
      const { line, sums, chargeAt } = preview;
      return { lines: [describedLine(line, found.tier.name)], sums, chargeAt, currency };
    });
  };
