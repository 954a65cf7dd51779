// What `reactor-net serve` does with TLV frames on TCP and Unix sockets; runs once on every sub-reactor.
// serve-app.ts names it as handler module, unless --handlers names another.

import type { EventLoop, Handlers } from '../reactor/index.js';
import { ECHO, SWALLOW, TIME, timeBody } from './serve-messages.js';

export default function createHandlers(_loop: EventLoop): Handlers {
  return {
    onFrame: {
      [ECHO]: (connection, frame) => {
        connection.send(ECHO, frame.body);
      },
      [SWALLOW]: () => {},
      [TIME]: (connection) => {
        connection.send(TIME, timeBody());
      },
    },
  };
}
