import { openDispute } from './objects/disputes.js';
import { finishPayment } from './objects/payment-intents.js';
import { payOut } from './objects/payouts.js';
import { warnOfFraud } from './objects/radar.js';
import { failRefund, settleRefund } from './objects/refunds.js';
import type { Errand } from './shapes.js';
import type { State, Unit } from './state.js';

/** Does what the stand-in does by itself and is due: opening disputes, settling and failing refunds, paying out. */
export function runErrands(state: State, which: 'due' | 'all' = 'due'): void {
  const ready = [...state.errands.oldestFirst()].filter((errand) => which === 'all' || errand.dueAt <= state.now);
  for (const errand of ready.toSorted((a, b) => a.dueAt - b.dueAt)) {
    state.run({ requestId: null, idempotencyKey: null }, (unit) => {
      unit.remove(state.errands, errand.id);
      runErrand(unit, errand);
    });
  }
}

function runErrand(unit: Unit, errand: Errand): void {
  switch (errand.kind) {
    case 'finish_payment':
      return finishPayment(unit, errand.subject);
    case 'open_dispute':
      return openDispute(unit, errand);
    case 'warn_of_fraud':
      return warnOfFraud(unit, errand.subject);
    case 'pay_out':
      return payOut(unit, errand.subject);
    case 'settle_refund':
      return settleRefund(unit, errand.subject);
    case 'fail_refund':
      return failRefund(unit, errand.subject, errand.reason);
  }
}
