import pg from 'pg';

/**
 * A database connection whose loss is told by the query that fails, and never ends the process. A server that goes says so on connections
 * where nobody asked anything, too; what then has no listener would be thrown. Pools and ORMs have moments without one: between a
 * connection's being ready and its first query, which may lie in the same packet as the server's last words.
 */
export class SteadyClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}
