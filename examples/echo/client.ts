// Sends every word as a TLV frame and prints the frames that come back.
//   node dist/examples/echo/client.js hello world
// PORT is the server's port (default 9000).

import { TcpClient } from 'reactor-net/reactor';

const { PORT = '9000' } = process.env;

const client = new TcpClient({
  host: '127.0.0.1',
  port: Number(PORT),
  reconnect: false,
  handlers: { onFrame: (_, frame) => console.log(frame.msgId, frame.body.toString()) },
});
const connection = await client.connect();
for (const word of process.argv.slice(2)) connection.send(1, word);
connection.endOutput(); // the server answers what it has got, then closes, and so do we
