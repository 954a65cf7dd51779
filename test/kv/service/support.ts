// A service in front of a member of its own, over a real socket, and a client of it.

import type { TestContext } from 'node:test';
import { KvService, type KvServiceOptions } from '../../../kv/service/kv-service.js';
import { KvClient } from '../../../kv/proto/kv.js';
import { RpcClient, RpcServer } from '../../../rpc/index.js';
import { LocalBackend } from '../support/local-backend.js';

export { bytes, text } from '../machine/native-harness.js';

export interface Served {
  readonly backend: LocalBackend;
  readonly service: KvService;
  readonly client: KvClient;
}

/** Everything is closed when the test ends. */
export async function served(
  t: TestContext,
  backend: LocalBackend = new LocalBackend(),
  options: KvServiceOptions = {},
): Promise<Served> {
  const service = new KvService(backend, options);
  const server = new RpcServer({
    host: '127.0.0.1',
    port: 0,
    threads: 0,
    services: [service.implementation()],
  });
  const address = await server.listen();
  const rpc = new RpcClient({ target: `127.0.0.1:${(address as { port: number }).port}` });
  t.after(async () => {
    service.stop();
    await rpc.close(0);
    await server.force();
    backend.close();
  });
  return { backend, service, client: new KvClient(rpc) };
}
