// PUBLISH goes through the log like a write, though it changes nothing: so every member hears of every message, and all
// hear of them in one order. Who listens is no part of the state; the machine hands messages out by a hook.

import type { RedisCommand } from './command.js';

export const publishCommand: RedisCommand = {
  name: 'publish',
  arity: 3,
  flags: ['write', 'fast'],
  keys: { first: 0, last: 0, step: 0 },
  summary: 'Sends a message to all who listen on a channel, on any member.',
  run: (context, args) => context.publish(args[1]!, args[2]!),
};
