// Sends every word in a datagram of its own and prints the answers in the order in which they come.
//   node dist/examples/udp/client.js hello world
// PORT is the server's port (default 9003). Ends with 1 when an answer is missing after a second.

import { UdpClient } from 'reactor-net/reactor';

const { PORT = '9003' } = process.env;
const unanswered = new Set(process.argv.slice(2));

const client = new UdpClient({
  host: '127.0.0.1',
  port: Number(PORT),
  handlers: {
    onFrame(_, frame) {
      const word = frame.body.toString();
      console.log(word);
      unanswered.delete(word);
      if (unanswered.size === 0) stop();
    },
    onError(_, error) {
      console.error(error.message); // nobody listens there
      stop();
    },
  },
});
await client.connect();
const patience = setTimeout(stop, 1000); // UDP promises nothing: an answer that is lost never comes
for (const word of unanswered) client.send(1, word);

function stop(): void {
  clearTimeout(patience);
  for (const word of unanswered) {
    console.error(`no answer to ${word}`);
    process.exitCode = 1;
  }
  unanswered.clear();
  void client.close();
}
