/** The one source of the present instant. Real in production; in the sandbox it can be stood still and moved. */
export interface Clock {
  /** The present instant (UTC). */
  now(): Date;
}
