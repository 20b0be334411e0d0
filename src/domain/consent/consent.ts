/** What customers agree to (rules 8: subscribe). */

/**
 * Version of the words that stand above the button with which a user subscribes: docs/lifecycle.md, "Consent". It is kept with every
 * subscription, so that it can be shown later what was agreed to; other words are another version.
 */
export const CONSENT_TEXT_VERSION = '2026-11-27';
