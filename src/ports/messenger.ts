/** Something that a customer is told: which notice, of what, and to whom. Words and language are the carrier's. */
export interface Notice {
  /** The same for every try: a carrier tells one id once. */
  id: string;
  userId: string;
  subscriptionId: string | null;
  /** `trial_ending`, `renewal`, `price_rise`, `yearly_reminder` or `card_expiring`. */
  kind: string;
  /** When it was to be told. */
  dueAt: Date;
}

/** Carries notices to customers: mail, or whatever the platform has. */
export interface Messenger {
  /** @returns the carrier's id of the message, which proves that it was taken. @throws when it was not taken */
  send(notice: Notice): Promise<string>;
}
