import { invalidRequest } from '../api-error.js';

/** Where the authentication page of an intent is. */
function authenticationPage(baseUrl: string, intent: { id: string; client_secret: string | null }): string {
  return `${baseUrl}/sandbox/3ds/${intent.id}?secret=${intent.client_secret ?? ''}`;
}

/** What the payer must do: go to the page and come back, or leave it to the client's SDK when no return address was given. */
export function authenticationStep(
  baseUrl: string,
  intent: { id: string; client_secret: string | null },
  returnUrl: string | null,
): { type: string; redirect_to_url?: { url: string; return_url: string }; use_stripe_sdk?: Record<string, unknown> } {
  const url = authenticationPage(baseUrl, intent);
  return returnUrl === null
    ? { type: 'use_stripe_sdk', use_stripe_sdk: { type: 'three_d_secure_redirect', stripe_js: url } }
    : { type: 'redirect_to_url', redirect_to_url: { url, return_url: returnUrl } };
}

/** An address to come back to: of a web page, or of an app by its own scheme. Nothing that a browser would run. */
export function requireReturnUrl(url: string): string {
  if (!URL.canParse(url) || /^(javascript|data|vbscript|blob|file):/i.test(url))
    throw invalidRequest('Not a valid URL', { code: 'url_invalid', param: 'return_url' });
  return url;
}
