// Greets the first name by a unary call and all of them by a stream.
//   node dist/examples/rpc/client.js ada grace
// PORT is the server's port (default 9090).

import { RpcClient } from 'reactor-net/rpc';
import { GreeterClient } from './greeter.js';

const { PORT = '9090' } = process.env;
const names = process.argv.slice(2);

const client = new RpcClient({ target: `127.0.0.1:${PORT}`, timeoutMs: 5_000 });
const greeter = new GreeterClient(client);

const { text } = await greeter.greet({ name: names[0] ?? 'world' });
console.log(text);
for await (const greeting of greeter.greetAll(names.map((name) => ({ name })))) console.log(greeting.text);

await client.close();
