import { applyCoupon } from './apply-coupon.js';
import { cancelPendingChange } from './cancel-pending-change.js';
import { auditSearch } from './audit-search.js';
import { cancelSubscription } from './cancel-subscription.js';
import type { Cashier } from './cashier.js';
import { claimGift } from './claim-gift.js';
import { giftSubscription } from './gift-subscription.js';
import { removePaymentMethod, setDefaultPaymentMethod } from './change-methods.js';
import { changeTier } from './change-tier.js';
import { completeSetup } from './complete-setup.js';
import { confirmPayment } from './confirm-payment.js';
import type { Commands } from './contract.js';
import { grantEntitlement } from './grant-entitlement.js';
import { couponPreview } from './coupon-preview.js';
import { openCustomerAccount } from './open-customer-account.js';
import { pauseSubscription } from './pause-subscription.js';
import { previewTierChange } from './preview-tier-change.js';
import { purchase } from './purchase.js';
import { refundTransaction } from './refund-transaction.js';
import { resumeSubscription } from './resume-subscription.js';
import { startSetup } from './start-setup.js';
import { subscribe } from './subscribe.js';

/** Every verb of the graph over one cashier. */
export function makeCommands(cashier: Cashier): Commands {
  return {
    subscribe: subscribe(cashier),
    purchase: purchase(cashier),
    cancelSubscription: cancelSubscription(cashier),
    pauseSubscription: pauseSubscription(cashier),
    resumeSubscription: resumeSubscription(cashier),
    giftSubscription: giftSubscription(cashier),
    claimGift: claimGift(cashier),
    changeTier: changeTier(cashier),
    cancelPendingTierChange: cancelPendingChange(cashier),
    previewTierChange: previewTierChange(cashier),
    confirmPayment: confirmPayment(cashier),
    startPaymentMethodSetup: startSetup(cashier),
    completePaymentMethodSetup: completeSetup(cashier),
    setDefaultPaymentMethod: setDefaultPaymentMethod(cashier),
    removePaymentMethod: removePaymentMethod(cashier),
    refund: refundTransaction(cashier),
    grantEntitlement: grantEntitlement(cashier),
    applyCoupon: applyCoupon(cashier),
    couponPreview: couponPreview(cashier),
    openCustomerAccount: openCustomerAccount(cashier),
    auditSearch: auditSearch(cashier),
  };
}
