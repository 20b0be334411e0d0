/** The caller's scopes do not reach that far (a refund above the agent's limit). Becomes the top-level error FORBIDDEN. */
export class Forbidden extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Forbidden';
  }
}
