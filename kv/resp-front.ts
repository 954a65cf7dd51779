// The Redis protocol in front of a member: a RespServer with what operators' commands reach, and its file of users.
// kv-server.ts makes it where `resp` is given.

import { readFile } from 'node:fs/promises';
import { formatAddress, type Logger, type TlsServerOptions } from '../reactor/index.js';
import { KvError } from './errors.js';
import type { KvFront } from './kv-server.js';
import type { KvNode } from './node/kv-node.js';
import { AccessList } from './resp/access-list.js';
import type { RaftAdmin } from './resp/raft-admin.js';
import { RespServer } from './resp/resp-server.js';

export interface RespFrontOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsServerOptions | null;
  /** YAML, as docs/kv-resp.md has it; null: everybody may do everything. */
  readonly usersFile: string | null;
}

export class RespFront implements KvFront {
  readonly name = 'resp';
  readonly #server: RespServer;
  readonly #usersFile: string | null;

  /** @throws KvError KV_OPTION_INVALID: the file of users is wrong. KV_IO: it cannot be read. */
  static async open(node: KvNode, logger: Logger, options: RespFrontOptions): Promise<RespFront> {
    const { host, port, tls, usersFile } = options;
    const access = usersFile === null ? AccessList.open() : await readUsers(usersFile);
    const server = new RespServer(node, logger, {
      host,
      port,
      access,
      admin: adminOf(node),
      ...(tls === null ? {} : { tls }),
    });
    return new RespFront(server, usersFile);
  }

  private constructor(server: RespServer, usersFile: string | null) {
    this.#server = server;
    this.#usersFile = usersFile;
  }

  get server(): RespServer {
    return this.#server;
  }

  async listen(): Promise<string> {
    return formatAddress(await this.#server.listen());
  }

  /** Reads the file of users again. @throws KvError KV_OPTION_INVALID, KV_IO: the old ones stay. */
  async reload(): Promise<void> {
    if (this.#usersFile !== null) this.#server.setAccess(await readUsers(this.#usersFile));
  }

  async close(graceMs: number): Promise<number> {
    const { drained } = await this.#server.close(graceMs);
    return drained ? 0 : 1;
  }
}

function adminOf(node: KvNode): RaftAdmin {
  return {
    members: () => {
      const { members, learners } = node.status();
      return members.map(({ id, rpc }) => ({ id, address: rpc, isLearner: learners.includes(id) }));
    },
    transfer: (to) =>
      new Promise((resolve, reject) => {
        node.transfer(to, (error) => (error === null ? resolve() : reject(error)));
      }),
    snapshotNow: async () => {
      await node.snapshotNow();
    },
  };
}

async function readUsers(file: string): Promise<AccessList> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new KvError('KV_IO', `the users in ${file} cannot be read: ${String(error)}`, {
      cause: error,
      file,
    });
  }
  return AccessList.parse(text, file);
}
