import { createHash } from 'node:crypto';
import type { State, Unit } from './state.js';
import { answerPaymentAuthentication } from './objects/payment-intents.js';
import { answerSetupAuthentication } from './objects/setup-intents.js';

/**
 * The page where a payer authenticates (3-D Secure): what the card's bank would show. Two buttons, no script. After the click the
 * browser goes back to the return address with the same three parameters that Stripe adds.
 */

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;background:#f6f8fa;color:#1a1f36;margin:0;display:grid;place-items:center;min-height:100vh}
main{background:#fff;border:1px solid #d8dee4;border-radius:12px;padding:2rem;max-width:26rem;margin:1rem}
h1{font-size:1.25rem;margin:0 0 .5rem}dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}dt{color:#596171}dd{margin:0;overflow-wrap:anywhere}
form{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}button{font:inherit;padding:.6rem 1rem;border-radius:8px;border:1px solid #596171;background:#fff;color:inherit;cursor:pointer}
button.main{background:#4b45c6;border-color:#4b45c6;color:#fff}button:focus-visible{outline:3px solid #99a5ff;outline-offset:2px}p.note{color:#596171;font-size:.875rem}`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** An answer to a browser. */
export interface PageAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

interface Waiting {
  id: string;
  kind: 'payment_intent' | 'setup_intent';
  secret: string;
  isWaiting: boolean;
  details: [label: string, value: string][];
  returnUrl: string | null;
}

/** What waits under this id, when the secret is right; null otherwise. */
function waitingFor(state: State, id: string, secret: string): Waiting | null {
  const intent = state.paymentIntents.get(id);
  const setup = state.setupIntents.get(id);
  const found = intent ?? setup;
  if (!found || found.client_secret !== secret) return null;
  const method = state.paymentMethods.get(found.payment_method ?? '');
  const details: Waiting['details'] = intent
    ? [['Amount', `${intent.amount} ${intent.currency.toUpperCase()} (smallest unit)`]]
    : [['For', 'saving this card for later payments']];
  if (method) details.push(['Card', `${method.card.brand} •••• ${method.card.last4}`]);
  details.push(['Reference', id]);
  return {
    id,
    kind: intent ? 'payment_intent' : 'setup_intent',
    secret,
    isWaiting: found.status === 'requires_action',
    details,
    returnUrl: found.next_action?.redirect_to_url?.return_url ?? null,
  };
}

/** The page, or a 404 when id and secret do not belong together. */
export function showAuthenticationPage(state: State, id: string, secret: string): PageAnswer {
  const waiting = waitingFor(state, id, secret);
  if (!waiting) return html(404, 'Not found', '<p>There is nothing to authenticate here.</p>', null);
  if (!waiting.isWaiting)
    return html(200, 'Nothing to do', '<p>This step is done or no longer needed. You may close the page.</p>', null);
  const rows = waiting.details.map(([label, value]) => `<dt>${escaped(label)}</dt><dd>${escaped(value)}</dd>`).join('');
  return html(
    200,
    'Confirm it is you',
    `<p>Your bank asks you to confirm this step.</p><dl>${rows}</dl>
<form method="post"><button class="main" name="outcome" value="complete">Complete authentication</button><button name="outcome" value="fail">Fail authentication</button></form>
<p class="note">Sandbox page: no bank is involved and no money moves.</p>`,
    waiting.returnUrl,
  );
}

/** The payer's click: acts, then leads back. A second click finds nothing waiting and changes nothing. */
export function actOnAuthenticationPage(state: State, id: string, secret: string, outcome: string | null): PageAnswer {
  const waiting = waitingFor(state, id, secret);
  if (!waiting) return showAuthenticationPage(state, id, secret);
  if (outcome !== 'complete' && outcome !== 'fail') return html(400, 'Bad request', '<p>Press one of the two buttons.</p>', null);
  const isPassed = outcome === 'complete';
  const act = (unit: Unit): boolean | null =>
    waiting.kind === 'payment_intent'
      ? answerPaymentAuthentication(unit, id, isPassed)
      : answerSetupAuthentication(unit, id, isPassed);
  const isDone = state.run({ requestId: null, idempotencyKey: null }, act);
  if (isDone === null) return showAuthenticationPage(state, id, secret);
  if (waiting.returnUrl === null) {
    return html(
      200,
      isDone ? 'Done' : 'Not confirmed',
      `<p>${isDone ? 'Thank you.' : 'The step was not confirmed.'} You may close the page.</p>`,
      null,
    );
  }
  const target = new URL(waiting.returnUrl);
  target.searchParams.set(waiting.kind, id);
  target.searchParams.set(`${waiting.kind}_client_secret`, secret);
  target.searchParams.set('redirect_status', isDone ? 'succeeded' : 'failed');
  return { status: 303, headers: { location: target.href, 'cache-control': 'no-store' }, body: '' };
}

function html(status: number, title: string, content: string, returnUrl: string | null): PageAnswer {
  // Browsers hold form-action against redirects after the post too, so the place to go back to must be named.
  const target = returnUrl === null ? null : new URL(returnUrl);
  const back = target === null ? '' : target.origin === 'null' ? ` ${target.protocol}` : ` ${target.origin}`;
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'${back}; base-uri 'none'; frame-ancestors 'none'`,
    },
    body: `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title><style>${STYLE}</style></head><body><main><h1>${title}</h1>${content}</main></body></html>`,
  };
}

function escaped(value: string): string {
  return value.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
