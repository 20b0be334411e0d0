import { GraphQLError } from 'graphql';

/** Stable codes of top-level errors that resolvers throw; what a user can act on is a userError instead. */
type ErrorCode = 'UNAUTHENTICATED' | 'FORBIDDEN' | 'BAD_USER_INPUT' | 'CURSOR_INVALID' | 'OPERATION_TOO_COMPLEX';

const error = (code: ErrorCode, message: string, extensions: Record<string, unknown> = {}): GraphQLError =>
  new GraphQLError(message, { extensions: { code, ...extensions } });

/** A field that needs a signed-in caller was asked for without a valid token. */
export const unauthenticated = (): GraphQLError => error('UNAUTHENTICATED', 'Sign in first: this needs a valid token.');

/** The token's scopes do not reach that far. Never says whether an object exists. */
export const forbidden = (message = 'The scopes of the token do not allow this.'): GraphQLError => error('FORBIDDEN', message);

/** An argument of a query has a form that no answer can be given to. */
export const badUserInput = (message: string): GraphQLError => error('BAD_USER_INPUT', message);

/** A cursor of another list, filter or user, or not made here. */
export const cursorInvalid = (): GraphQLError =>
  error('CURSOR_INVALID', 'The cursor does not belong to this list with these arguments; start again without it.');

/** A list in the request is longer than allowed. */
export const tooMany = (limit: string, actual: number, maximum: number): GraphQLError =>
  error('OPERATION_TOO_COMPLEX', `At most ${maximum} of ${limit} in one request.`, { limit, actual, maximum });
