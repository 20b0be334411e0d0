/** Why a payment failed, in provider-independent terms that a client can act on. */
export interface PaymentFailure {
  category:
    | 'INSUFFICIENT_FUNDS'
    | 'METHOD_INVALID'
    | 'AUTHENTICATION_REQUIRED'
    | 'AUTHENTICATION_FAILED'
    | 'DO_NOT_HONOR'
    | 'FRAUD'
    | 'PROVIDER_ERROR'
    | 'OTHER';
  /** The provider's decline code as this reader may see it. */
  declineCode: string | null;
  isRetryable: boolean;
  advice: 'WAIT' | 'AUTHENTICATE' | 'UPDATE_METHOD' | 'USE_ANOTHER_METHOD' | 'CONTACT_BANK' | 'CONTACT_SUPPORT';
}
