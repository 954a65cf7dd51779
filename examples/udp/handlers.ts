// Runs once on the thread of the UDP server. A peer is an address and a port: nobody connects, nobody leaves.

import type { UdpHandlers } from 'reactor-net/reactor';

export default (): UdpHandlers => ({
  onFrame: (peer, frame) => peer.send(frame.msgId, frame.body),
});
