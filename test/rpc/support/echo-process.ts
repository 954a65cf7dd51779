// A program: the Echo service on 127.0.0.1, on one thread, drained by SIGTERM and cut by a second one.
// Arguments: port, transport. Prints one ready line; at the end how many calls were cut.

import type { TransportName } from '../../../reactor/index.js';
import { RpcServer } from '../../../rpc/index.js';

const [port = '0', transport = 'net'] = process.argv.slice(2);
const server = new RpcServer({
  host: '127.0.0.1',
  port: Number(port),
  threads: 1,
  transport: transport as TransportName, // a test's own words
  services: new URL('./echo-module.js', import.meta.url),
});
const address = await server.listen();
let isStopping = false;
process.on('SIGTERM', () => {
  const closing = isStopping ? server.force() : server.close({ graceMs: 10_000 });
  isStopping = true;
  void closing.then(({ cut }) => {
    console.log(JSON.stringify({ event: 'closed', cut }));
    process.exit(0);
  });
});
console.log(JSON.stringify({ event: 'ready', port: address.port }));
