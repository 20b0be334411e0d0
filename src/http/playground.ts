/** The playground: GraphiQL in one page, with the way to a first payment laid out in tabs. Nothing is loaded from elsewhere. */
import { createHash, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { parse, print } from 'graphql';

/** What the page is made with. */
export interface PlaygroundOptions {
  /** Tokens ready to use, by role; empty outside the sandbox, where the visitor brings one. */
  tokens: Readonly<Partial<Record<PlaygroundRole, string>>>;
}

/** In whose name a tab asks. */
export type PlaygroundRole = 'customer' | 'support' | 'finance';

/** The page, ready to send. */
export interface PlaygroundPage {
  html: string;
  gzipped: Buffer;
  etag: string;
  headers: Record<string, string>;
}

interface Tab {
  role: PlaygroundRole;
  query: string;
  variables: Record<string, unknown>;
}

const ERRORS = 'userErrors { code message field }';
const STEP = 'nextAction { type clientSecret redirectUrl }';

/** The tabs in order. Keys are new for every page, so that each first visit is a first payment. */
export function playgroundTabs(): Tab[] {
  const key = (verb: string): string => `${verb}-${randomUUID()}`;
  return [
    {
      role: 'customer',
      query: `# 1. What is for sale. Copy the id of a price for step 4.
query Tiers {
  tiers { id key name prices { id amount { decimal currency } interval intervalCount } }
}
`,
      variables: {},
    },
    {
      role: 'customer',
      query: `# 2. Begin to add a card. Copy the setupId for step 3.
mutation StartSetup($input: StartPaymentMethodSetupInput!) {
  startPaymentMethodSetup(input: $input) { setupId ${STEP} ${ERRORS} }
}
`,
      variables: { input: { kind: 'CARD', idempotencyKey: key('setup') } },
    },
    {
      role: 'customer',
      query: `# 3. Finish with a test card. Others: pm_card_chargeDeclined, pm_card_threeDSecure2Required.
mutation CompleteSetup($input: CompletePaymentMethodSetupInput!) {
  completePaymentMethodSetup(input: $input) { paymentMethod { id displayName isDefault } ${STEP} ${ERRORS} }
}
`,
      variables: { input: { setupId: 'set_ (from step 2)', providerToken: 'pm_card_visa' } },
    },
    {
      role: 'customer',
      query: `# 4. Subscribe and pay. Send it twice: the key makes the second time harmless.
mutation Subscribe($input: SubscribeInput!) {
  subscribe(input: $input) {
    subscription { id status currentPeriodEnd }
    transaction { id status amount { decimal currency } }
    ${STEP}
    ${ERRORS}
  }
}
`,
      variables: { input: { priceId: 'price_ (from step 1)', idempotencyKey: key('subscribe') } },
    },
    {
      role: 'customer',
      query: `# 5. Watch payments live: start this, then pay in another tab.
subscription Payments {
  paymentStatusChanged(heartbeatSeconds: 15) { type sequence status previousStatus transaction { id status } cursor }
}
`,
      variables: {},
    },
    {
      role: 'customer',
      query: `# 6. What came of it.
query Viewer {
  viewer {
    currentSubscription { id status tier { name } currentPeriodEnd }
    transactions(first: 5) { nodes { id kind status amount { decimal currency } createdAt } }
  }
}
`,
      variables: {},
    },
    {
      role: 'support',
      query: `# 7. As support: give money back. Copy the transaction's id from step 6.
mutation Refund($input: RefundInput!) {
  refund(input: $input) { refund { id status amount { decimal currency } } original { id status } ${ERRORS} }
}
`,
      variables: { input: { transactionId: 'txn_ (from step 6)', reason: 'REQUESTED', idempotencyKey: key('refund') } },
    },
  ];
}

/** Makes the page; takes about a third of a second and some megabytes. */
export async function playgroundPage({ tokens }: PlaygroundOptions): Promise<PlaygroundPage> {
  // Loaded here, because the editor's scripts are several megabytes.
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const tabs = playgroundTabs().map(({ role, query, variables }) => ({
    query: laidOut(query),
    variables: JSON.stringify(variables, null, 2),
    headers: headersFor(tokens[role]),
  }));
  const page = renderGraphiQL({
    title: 'Monetization playground',
    endpoint: '/graphql',
    subscriptionsProtocol: 'SSE', // the one of its ways that sends the headers of the tab
    defaultTabs: tabs,
    defaultHeaders: headersFor(tokens.customer),
  });
  const html = page.replace('<div id="root"></div>', `<div id="root"></div>\n${forgetOldTokens(tokens)}`);
  return {
    html,
    gzipped: await promisify(gzip)(html),
    etag: `"${createHash('sha256').update(html).digest('base64url').slice(0, 22)}"`,
    headers: {
      'content-security-policy': policyFor(html),
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    },
  };
}

/** One field a line below the comment that opens the text. */
function laidOut(query: string): string {
  const [comment = ''] = query.split('\n', 1);
  return `${comment}\n${print(parse(query))}\n`;
}

/** The text of the headers editor; outside the sandbox with a place to put a token (empty counts as none). */
function headersFor(token: string | undefined): string {
  return JSON.stringify({ authorization: token === undefined ? '' : `Bearer ${token}` }, null, 2);
}

/** The editor keeps its tabs in the browser; tabs with tokens of an earlier sandbox would only be refused. */
function forgetOldTokens(tokens: PlaygroundOptions['tokens']): string {
  const mark = createHash('sha256').update(JSON.stringify(tokens)).digest('hex').slice(0, 16);
  return `<script>
if (localStorage.getItem('playground') !== '${mark}') { localStorage.clear(); localStorage.setItem('playground', '${mark}'); }
</script>`;
}

/** Only the scripts that are in the page, told by their hashes, may run; it may talk to nobody but us and be framed by nobody. (W3C CSP 3) */
function policyFor(html: string): string {
  const hashes = [...html.matchAll(/<script(?:\s[^>]*)?>([\s\S]*?)<\/script>/g)].map(
    ([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  );
  return [
    "default-src 'none'",
    `script-src ${hashes.join(' ')}`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'font-src data:',
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
