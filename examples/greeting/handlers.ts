// Runs once on every thread of the greeting server. `context` is what we remember of each peer.

import type { Connection, EventLoop, Frame, Handlers } from 'reactor-net/reactor';

interface Visit {
  greetings: number;
}

export default (loop: EventLoop): Handlers => ({
  onConnect(connection: Connection): void {
    connection.context = { greetings: 0 } satisfies Visit;
    connection.send(`Welcome to thread ${loop.threadIndex}. Who is there?`);
  },

  onFrame(connection: Connection, frame: Frame): void {
    const visit = connection.context as Visit; // set in onConnect, and only there
    visit.greetings += 1;
    connection.send(`Hello ${frame.body.toString()}, you are number ${visit.greetings} here.`);
  },
});
