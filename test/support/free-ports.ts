import net, { type AddressInfo } from 'node:net';

/** A free port whose next thousandth (the worker's) is free too. Another program may still be faster; then a test fails loudly. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = await listening(0);
    const { port } = server.address() as AddressInfo;
    const second = port + 1000 <= 65_535 ? await listening(port + 1000).catch(() => null) : null;
    for (const each of [server, second]) if (each) await new Promise((resolve) => each.close(resolve));
    if (second) return port;
  }
}

function listening(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
