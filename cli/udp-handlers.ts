// What `reactor-net serve` does with TLV datagrams: the same as with frames, answered to their sender.
// serve-app.ts names it as handler module; it runs on the thread that has the UDP socket.

import type { EventLoop, UdpHandlers } from '../reactor/index.js';
import { ECHO, SWALLOW, TIME, timeBody } from './serve-messages.js';

export default function createHandlers(_loop: EventLoop): UdpHandlers {
  return {
    onFrame: {
      [ECHO]: (peer, frame) => {
        peer.send(ECHO, frame.body);
      },
      [SWALLOW]: () => {},
      [TIME]: (peer) => {
        peer.send(TIME, timeBody());
      },
    },
  };
}
