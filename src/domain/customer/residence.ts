/** Where a customer lives: the country decides tax, prices and the right to withdraw, the zone when periods begin. */

/** As it is kept. */
export interface Residence {
  /** ISO 3166-1 alpha-2, e.g. DE; null: not known, so nothing is taxed. */
  country: string | null;
  /** IANA time zone, e.g. Europe/Berlin. */
  zone: string;
}

/** What the platform says of a user; null where it says nothing. */
export interface ToldResidence {
  country: string | null;
  zone: string | null;
}

/** The zone of a customer of whom none was ever told. */
export const NO_ZONE = 'UTC';

/** Where a customer lives now: as told, and where nothing is told as it was. What was told once is not forgotten by silence. */
export function residenceNow(known: Residence, told: ToldResidence | undefined): Residence {
  return { country: told?.country ?? known.country, zone: told?.zone ?? known.zone };
}
