/** Names of countries and time zones, as tokens tell them. */

/** Whether a text has the form of a country's code of ISO 3166-1 alpha-2. ZZ, which stands for any country in the catalogue, is none. */
export function isCountryCode(text: string): boolean {
  return /^[A-Z]{2}$/.test(text) && text !== 'ZZ';
}

/** Whether this machine knows an IANA time zone of that name; an offset such as +01:00 is none. */
export function isZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
