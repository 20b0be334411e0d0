import net from 'node:net';
import { OneLineError } from './one-line-error.js';

/** Connections that may wait to be taken: of a rush, what does not fit is dropped by the kernel and tried again after seconds. */
const BACKLOG = 4_096;

/** An address to listen on, with the name of the setting that people change when it is taken. */
export interface ListenAddress {
  host: string;
  /** 0: any free one. */
  port: number;
  setting: string;
}

/**
 * Listens, and answers with the server's address, e.g. http://127.0.0.1:4000.
 * @throws OneLineError naming the setting when the port is taken, may not be used, or the host is not this machine's
 */
export async function listenOn(
  server: { listen(options: { host: string; port: number; backlog: number }): Promise<string> },
  address: ListenAddress,
): Promise<string> {
  try {
    return await server.listen({ host: address.host, port: address.port, backlog: BACKLOG });
  } catch (error) {
    throw explained(error, address);
  }
}

/** @throws OneLineError as `listenOn` would; lets a port be checked before the work of a start is done */
export async function requireFreePort(address: ListenAddress): Promise<void> {
  const probe = net.createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host: address.host, port: address.port, exclusive: true }, resolve);
    });
  } catch (error) {
    throw explained(error, address);
  }
  await new Promise((resolve) => probe.close(resolve));
}

function explained(error: unknown, { host, port, setting }: ListenAddress): unknown {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE') {
    return new OneLineError(`Port ${port} on ${host} is taken by another program: stop it, or set ${setting} to a free port.`);
  }
  if (code === 'EACCES')
    return new OneLineError(`Port ${port} may not be used by this user: set ${setting} to a port above 1023.`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new OneLineError(`HOST ${host} is not an address of this machine.`);
  return error;
}
