// Says every name to the greeting server and prints what it has to say.
//   node dist/examples/greeting/client.js Ann Bob
// PORT is the server's port (default 9001).

import { TcpClient } from 'reactor-net/reactor';
import { FRAMING } from './framing.js';

const { PORT = '9001' } = process.env;

const client = new TcpClient({
  host: '127.0.0.1',
  port: Number(PORT),
  codec: FRAMING,
  reconnect: false,
  handlers: { onFrame: (_, frame) => console.log(frame.body.toString()) },
});
const connection = await client.connect();
for (const name of process.argv.slice(2)) connection.send(name);
connection.endOutput(); // the server answers what it has got, then closes, and so do we
