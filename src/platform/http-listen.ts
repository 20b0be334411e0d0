import { once } from 'node:events';
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
 * Sockets that listen on a busy server's address. In each turn of its loop Node takes one connection from each (libuv 1.52): with one socket alone a
 * process whose turns take 20 ms takes 50 connections a second, and of a rush most wait for many seconds before anybody could as much as refuse them.
 */
const DOORS = 16;
/** Where several sockets of one process may listen on one address, and the kernel spreads connections over them. */
const CAN_SHARE = process.platform === 'linux';

interface Listener {
  listen(options: { host: string; port: number; backlog: number; reusePort?: boolean }): Promise<string>;
}

/**
 * Listens, and answers with the server's address, e.g. http://127.0.0.1:4000.
 * @throws OneLineError naming the setting when the port is taken, may not be used, or the host is not this machine's
 */
export async function listenOn(server: Listener, address: ListenAddress): Promise<string> {
  try {
    return await server.listen({ host: address.host, port: address.port, backlog: BACKLOG });
  } catch (error) {
    throw explained(error, address);
  }
}

/**
 * The same for a server that must not keep a rush waiting for its turn to be refused.
 * @returns its address, and what closes the sockets that `app.close()` knows nothing of
 * @throws OneLineError as `listenOn` does
 */
export async function listenByManyDoors(
  app: Listener & { server: net.Server },
  address: ListenAddress,
): Promise<{ url: string; closeDoors: () => void }> {
  if (!CAN_SHARE) return { url: await listenOn(app, address), closeDoors: () => undefined };
  await requireFreePort(address); // a socket that shares its port would share it with any other program that does
  const options = { host: address.host, port: address.port, backlog: BACKLOG, reusePort: true };
  const url = await app.listen(options).catch((error: unknown) => {
    throw explained(error, address);
  });
  const port = Number(new URL(url).port);
  const doors = Array.from({ length: DOORS - 1 }, () => net.createServer((socket) => void app.server.emit('connection', socket)));
  for (const door of doors) {
    door.listen({ ...options, port });
    await once(door, 'listening');
  }
  return { url, closeDoors: () => doors.forEach((door) => door.close()) };
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
