// Runs once on every thread of the echo server.

import type { Handlers } from 'reactor-net/reactor';

export default (): Handlers => ({
  onFrame: (connection, frame) => connection.send(frame.msgId, frame.body),
});
