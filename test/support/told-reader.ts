import { Reader } from '../../src/store/reader.js';

/** Tells which statements were sent, each time one was. */
export class ToldReader extends Reader {
  readonly names: string[] = [];

  protected override send<Row>(asked: { name: string; text: string }, values: unknown[]): Promise<Row[]> {
    this.names.push(asked.name);
    return super.send(asked, values);
  }
}
