/** Something that the person who started the process can put right. The message is one line and says how; no stack is shown. */
export class OneLineError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OneLineError';
  }
}
