// All commands that a connection answers itself.

import type { LocalCommand } from '../command-set.js';
import { aclCommand } from './acl-command.js';
import { clientCommand } from './client-command.js';
import { commandCommand } from './command-command.js';
import { configCommand } from './config-command.js';
import { connectionCommands } from './connection-commands.js';
import { pubsubCommands } from './pubsub-commands.js';
import { raftCommands } from './raft-commands.js';
import { serverCommands } from './server-commands.js';
import { transactionCommands } from './transaction-commands.js';

export const localCommands: readonly LocalCommand[] = [
  ...connectionCommands,
  ...transactionCommands,
  ...pubsubCommands,
  ...serverCommands,
  ...raftCommands,
  aclCommand,
  clientCommand,
  commandCommand,
  configCommand,
];
