// Runs once on every thread of the proxy. Each visitor gets a connection of its own to the upstream; from then
// on both are treated alike, and each finds the other in its `context`.

import { type Connection, type EventLoop, type Handlers, TcpClient } from 'reactor-net/reactor';
import { RELAY, UPSTREAM } from './relay.js';

const relay: Handlers = {
  onFrame(from, frame) {
    if (otherOf(from).send(frame.body) === 'full') from.pause();
  },
  onDrain: (to) => otherOf(to).resume(),
  onHalfClose: (from) => otherOf(from).endOutput(),
  onClose(ended, reason) {
    if (reason !== 'peer-ended' && ended.context !== undefined) otherOf(ended).reset();
  },
};

export default (loop: EventLoop): Handlers => ({
  ...relay,

  async onConnect(visitor) {
    visitor.pause(); // until there is somebody to give its bytes to
    const upstream = new TcpClient({
      ...UPSTREAM,
      ...RELAY,
      reconnect: false,
      loop,
      handlers: { ...relay, onConnect: (connection) => couple(visitor, connection) },
    });
    await upstream.connect(); // when it rejects the visitor is closed, as after any failed handler
  },

  onError: (_, error) => console.error(error.code, error.message),
});

function couple(visitor: Connection, upstream: Connection): void {
  visitor.context = upstream;
  upstream.context = visitor;
  if (visitor.state === 'closed') upstream.reset();
  visitor.resume();
}

function otherOf(connection: Connection): Connection {
  return connection.context as Connection; // both are set before either reads
}
