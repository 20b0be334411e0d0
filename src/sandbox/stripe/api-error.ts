import type { Stripe } from 'stripe';

/** Fields of Stripe's error object. Source: Stripe API reference, "Errors". */
export interface ErrorFields {
  type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error' | 'rate_limit_error';
  message: string;
  code?: string;
  param?: string;
  decline_code?: string;
  advice_code?: string;
  network_advice_code?: string;
  network_decline_code?: string;
  charge?: string;
  doc_url?: string;
  payment_intent?: Stripe.PaymentIntent;
  setup_intent?: Stripe.SetupIntent;
  payment_method?: Stripe.PaymentMethod;
  payment_method_type?: string;
}

/** An answer other than 200. */
export class ApiError extends Error {
  /**
   * @param keepsEffects what was done before it stays done: a decline leaves a failed charge behind
   */
  constructor(
    readonly status: number,
    readonly fields: ErrorFields,
    readonly keepsEffects = false,
  ) {
    super(fields.message);
  }

  /** The body as sent. */
  get body(): { error: ErrorFields } {
    const { code } = this.fields;
    return {
      error: code ? { ...this.fields, doc_url: `https://docs.stripe.com/error-codes/${code.replaceAll('_', '-')}` } : this.fields,
    };
  }
}

/** 400: the request is wrong in itself, or not possible as things stand. */
export function invalidRequest(message: string, details: { code?: string; param?: string } = {}): ApiError {
  return new ApiError(400, { type: 'invalid_request_error', message, ...details });
}

/** No object of that id: 404 when the address names it, 400 when a parameter does. */
export function resourceMissing(kind: string, id: string, param?: string): ApiError {
  const status = param === undefined ? 404 : 400;
  return new ApiError(status, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such ${kind}: '${id}'`,
    param: param ?? 'id',
  });
}
