// Runs once on every thread of the chat. A thread knows the members it serves; a line said on one thread is
// broadcast to all threads, and each sends it to its own members.

import type { Connection, EventLoop, Handlers } from 'reactor-net/reactor';

export default function chat(loop: EventLoop): Handlers {
  const members = new Map<Connection, string>();

  loop.register('chat.line', (line) => {
    for (const member of members.keys()) member.send(line as string);
  });

  /** Says on how many threads the line was lost because their task queues were full. */
  const tellAll = (line: string): number => loop.broadcast('chat.line', line).length;

  return {
    onConnect(connection) {
      connection.send(`Welcome to thread ${loop.threadIndex}. What is your name?`);
    },

    onFrame(connection, frame) {
      const text = frame.body.toString().trim();
      const name = members.get(connection);
      if (text === '') return;
      if (name === undefined) {
        members.set(connection, text);
        tellAll(`* ${text} joins`);
      } else if (tellAll(`${name}: ${text}`) > 0) {
        connection.send('* That was too fast: not everybody has got it.');
      }
    },

    onClose(connection, reason) {
      const name = members.get(connection);
      if (!members.delete(connection)) return;
      tellAll(`* ${name} leaves (${reason})`);
    },
  };
}
