// Where the members are. At first as the flags say; then as the replicated settings `member:<id>` say, which every
// member keeps right for itself. Ids that were removed stay listed in `removed-members`, since they are never used again.
// kv-node.ts asks it for addresses and tells it when the machine may hold other ones.

import type { ItemWriter } from '../machine/batch.js';
import { PROTOCOL_VERSION_MIN } from '../machine/protocol-version.js';
import type { Machine } from '../machine/machine.js';
import type { Settings } from '../machine/settings.js';
import type { NodeId } from '../raft/index.js';

export interface MemberAddress {
  readonly id: NodeId;
  readonly rpc: string;
  readonly resp: string;
  /** It votes, or is to vote as soon as it may; else it stays a learner. */
  readonly isVoter: boolean;
  /** The newest protocol version it knows, as it says itself; 1 until it has. */
  readonly version: number;
}

const PREFIX = 'member:';
const REMOVED = 'removed-members';

export class MemberList {
  /** What flags say, or the member that was asked to take this one in. */
  readonly #first: Map<NodeId, string>;
  #listed = new Map<NodeId, MemberAddress>();
  #removed: ReadonlySet<NodeId> = new Set();
  /** The settings that were read last, and what was in them. */
  #read: { readonly settings: Settings; readonly changes: number } | null = null;
  #version = '';

  constructor(first: ReadonlyMap<NodeId, string>) {
    this.#first = new Map(first);
  }

  learn(id: NodeId, rpc: string): void {
    if (rpc !== '') this.#first.set(id, rpc);
  }

  /** True if the settings say something else than before. */
  read({ settings }: Machine): boolean {
    const { changes } = settings;
    if (this.#read?.settings === settings && this.#read.changes === changes) return false;
    this.#read = { settings, changes };
    const texts: string[] = [];
    for (const [name, value] of settings.entries()) {
      if (name.startsWith(PREFIX) || name === REMOVED) texts.push(`${name}=${value}`);
    }
    const version = texts.toSorted().join('\n');
    if (version === this.#version) return false;
    this.#version = version;
    this.#listed = new Map();
    this.#removed = new Set();
    for (const text of texts) {
      const at = text.indexOf('=');
      const name = text.slice(0, at);
      if (name === REMOVED) {
        this.#removed = new Set(
          text
            .slice(at + 1)
            .split(',')
            .map(Number),
        );
        continue;
      }
      const member = parseMember(Number(name.slice(PREFIX.length)), text.slice(at + 1));
      if (member !== null) this.#listed.set(member.id, member);
    }
    return true;
  }

  get(id: NodeId): MemberAddress | null {
    const listed = this.#listed.get(id);
    if (listed !== undefined) return listed;
    const rpc = this.#first.get(id);
    return rpc === undefined ? null : { id, rpc, resp: '', isVoter: true, version: PROTOCOL_VERSION_MIN };
  }

  /** Whether the replicated settings have it. */
  isListed(id: NodeId): boolean {
    return this.#listed.has(id);
  }

  isRemoved(id: NodeId): boolean {
    return this.#removed.has(id);
  }

  list(ids: readonly NodeId[]): readonly MemberAddress[] {
    return ids.map(
      (id) => this.get(id) ?? { id, rpc: '', resp: '', isVoter: false, version: PROTOCOL_VERSION_MIN },
    );
  }

  /** The newest protocol version that all of these members know. */
  versionOf(ids: readonly NodeId[]): number {
    return Math.min(...ids.map((id) => this.get(id)?.version ?? PROTOCOL_VERSION_MIN));
  }

  /** host:port of the others among `ids`. While nobody is known to belong, all that the flags named. */
  addresses(ids: readonly NodeId[], own: NodeId): Map<NodeId, string> {
    const addresses = new Map<NodeId, string>();
    for (const id of ids.length === 0 ? this.#first.keys() : ids) {
      const rpc = this.get(id)?.rpc ?? '';
      if (id !== own && rpc !== '') addresses.set(id, rpc);
    }
    return addresses;
  }

  write(writer: ItemWriter, { id, rpc, resp, isVoter, version }: MemberAddress): void {
    writer.setting(`${PREFIX}${id}`, JSON.stringify({ rpc, resp, voter: isVoter, version }));
  }

  writeRemoval(writer: ItemWriter, id: NodeId): void {
    writer.setting(`${PREFIX}${id}`, '');
    writer.setting(REMOVED, [...new Set([...this.#removed, id])].toSorted((a, b) => a - b).join(','));
  }
}

function parseMember(id: number, text: string): MemberAddress | null {
  try {
    const { rpc, resp, voter, version } = JSON.parse(text) as Record<string, unknown>;
    if (typeof rpc !== 'string' || typeof resp !== 'string') return null;
    return {
      id,
      rpc,
      resp,
      isVoter: voter === true,
      version: typeof version === 'number' ? version : PROTOCOL_VERSION_MIN,
    };
  } catch {
    return null; // written by a version that has another form: the flags count
  }
}
