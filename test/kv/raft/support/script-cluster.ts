// A cluster that a text script drives step by step: messages and writes wait until a command lets them go on, time stands
// still between ticks, and chance is always 0. Every command answers with what the members did, a line each.
// Commands are in the switch of `run`; test/kv/raft/scenarios/ holds the scripts.

import {
  bootstrap,
  type ConfigChange,
  type ConfigTransition,
  decodeMembership,
  type Effect,
  type Entry,
  type Membership,
  membershipOf,
  RaftCore,
  RaftError,
  type RaftMessage,
  type RaftOptions,
} from '../../../../kv/raft/index.js';

interface Member {
  readonly core: RaftCore;
  readonly writes: number[];
}

interface Flight {
  readonly from: number;
  readonly to: number;
  readonly message: RaftMessage;
}

const SNAPSHOT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

export class ScriptCluster {
  readonly #members = new Map<number, Member>();
  #flights: Flight[] = [];
  #options: Record<string, number | boolean> = { electionTicks: 4, snapshotEntries: 0, trailingEntries: 0 };
  #lines: string[] = [];

  run(command: string): string {
    this.#lines = [];
    const [verb = '', ...args] = command.split(/\s+/);
    try {
      this.#do(verb, args);
    } catch (error) {
      if (!(error instanceof RaftError)) throw error;
      this.#lines.push(error.code);
    }
    return this.#lines.length === 0 ? 'ok' : this.#lines.join('\n');
  }

  #do(verb: string, args: readonly string[]): void {
    const [id, ...rest] = args.map(Number) as [number, ...number[]]; // of those verbs that take numbers
    switch (verb) {
      case 'options': // name=value …
        for (const option of args) {
          const [name = '', value] = option.split('=');
          this.#options[name] = value === 'true' || value === 'false' ? value === 'true' : Number(value);
        }
        return;
      case 'members': // voters
        for (const each of [id, ...rest]) this.#add(each, membershipOf([id, ...rest]));
        return;
      case 'newcomer':
        this.#add(id, membershipOf([]));
        return;
      case 'tick': // id, times
        for (let count = rest[0] ?? 1; count > 0; count -= 1) this.#input(id, (core) => core.tick());
        return;
      case 'forget': // ticks until it knows no leader, and what it asks the others is lost
        this.#input(id, (core) => Array.from({ length: 4 }, () => core.tick()).flat());
        this.#flights = this.#flights.filter((flight) => flight.from !== id);
        return;
      case 'elect': // ticks until it campaigns, and lets everything happen
        this.#input(id, (core) => Array.from({ length: 4 }, () => core.tick()).flat());
        this.#settle();
        return;
      case 'propose': // id, data …
        this.#input(id, (core) => core.propose(args.slice(1).map((text) => Buffer.from(text))));
        return;
      case 'read': // id, context
        this.#input(id, (core) => core.readIndex(args[1]));
        return;
      case 'transfer':
        this.#input(id, (core) => core.transferLeadership(rest[0] ?? 0));
        return;
      case 'config': // id, +4 (voter) ~4 (learner) -4 …, joint, joint-explicit
        this.#changeConfig(id, args.slice(1));
        return;
      case 'snapshot': // id, index
        this.#input(id, (core) => core.snapshotted(rest[0] ?? 0, SNAPSHOT.length));
        return;
      case 'disk': // id, how many writes; all by default
        this.#disk(id, rest[0] ?? Infinity);
        return;
      case 'deliver': // from, to: what is under way between them now
        this.#deliver((flight) => flight.from === id && flight.to === rest[0]);
        return;
      case 'drop': // from, to
        this.#flights = this.#flights.filter((flight) => flight.from !== id || flight.to !== rest[0]);
        return;
      case 'settle': // deliver and write until nothing is under way; those named are cut off
        this.#settle(args.map(Number));
        return;
      case 'status':
        for (const [member, { core }] of this.#members) this.#lines.push(statusOf(member, core));
        return;
      case 'progress':
        for (const each of this.#member(id).core.status().progress) {
          const { state, match, next, inflightMessages } = each;
          this.#lines.push(`${each.id} ${state} match ${match} next ${next} inflight ${inflightMessages}`);
        }
        return;
      default:
        throw new Error(`there is no command ${verb}`);
    }
  }

  #add(id: number, membership: Membership): void {
    const options = { ...this.#options, id } as RaftOptions; // the core checks them
    this.#members.set(id, { core: new RaftCore(options, () => 0, bootstrap(membership)), writes: [] });
  }

  #member(id: number): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }

  #input(id: number, call: (core: RaftCore) => readonly Effect[]): void {
    const member = this.#member(id);
    for (const effect of call(member.core)) this.#perform(id, member, effect);
  }

  #perform(id: number, member: Member, effect: Effect): void {
    const line = describe(effect);
    if (line !== null) this.#lines.push(`${id} ${line}`);
    switch (effect.kind) {
      case 'persist':
      case 'store-chunk':
      case 'install':
        member.writes.push(effect.token);
        return;
      case 'send': {
        const { message } = effect;
        const data =
          message.type === 'snapshot'
            ? SNAPSHOT.subarray(message.offset, message.offset + message.byteCount)
            : null;
        const filled = message.type === 'snapshot' && data !== null ? { ...message, data } : message;
        this.#flights.push({ from: id, to: effect.to, message: filled });
        return;
      }
      case 'apply':
        this.#input(id, (core) => core.applied(effect.entries.at(-1)!.index)); // never empty
        return;
      default:
    }
  }

  #disk(id: number, count: number): void {
    const { writes } = this.#member(id);
    for (const token of writes.splice(0, count)) this.#input(id, (core) => core.persisted(token));
  }

  #deliver(isMeant: (flight: Flight) => boolean): void {
    const now = this.#flights.filter(isMeant);
    this.#flights = this.#flights.filter((flight) => !isMeant(flight));
    for (const { from, to, message } of now) {
      if (this.#members.has(to)) this.#input(to, (core) => core.receive(from, message));
    }
  }

  #settle(cutOff: readonly number[] = []): void {
    this.#flights = this.#flights.filter(({ from, to }) => !cutOff.includes(from) && !cutOff.includes(to));
    for (let rounds = 0; rounds < 1000; rounds += 1) {
      for (const id of this.#members.keys()) if (!cutOff.includes(id)) this.#disk(id, Infinity);
      this.#flights = this.#flights.filter(({ from, to }) => !cutOff.includes(from) && !cutOff.includes(to));
      const isWriting = [...this.#members].some(
        ([id, { writes }]) => !cutOff.includes(id) && writes.length > 0,
      );
      if (this.#flights.length === 0 && !isWriting) return;
      this.#deliver(() => true);
    }
    throw new Error('the members never stop talking');
  }

  #changeConfig(id: number, words: readonly string[]): void {
    const changes: ConfigChange[] = [];
    let transition: ConfigTransition = 'auto';
    for (const word of words) {
      if (word.startsWith('joint'))
        transition = word as ConfigTransition; // the core checks it
      else if (word.startsWith('+')) changes.push({ type: 'add-voter', id: Number(word.slice(1)) });
      else if (word.startsWith('~')) changes.push({ type: 'add-learner', id: Number(word.slice(1)) });
      else changes.push({ type: 'remove', id: Number(word.slice(1)) });
    }
    this.#input(id, (core) => core.changeConfig(changes, transition));
  }
}

function describe(effect: Effect): string | null {
  switch (effect.kind) {
    case 'persist': {
      const { term, vote } = effect.hardState;
      const state = effect.hardStateChanged ? [`term ${term} vote ${vote ?? '-'}`] : [];
      return `writes ${[...state, ...effect.entries.map(entryText)].join(', ')}`;
    }
    case 'send':
      return `-> ${effect.to} ${messageText(effect.message)}`;
    case 'apply':
      return `applies ${effect.entries.map(entryText).join(', ')}`;
    case 'store-chunk':
      return `stores bytes ${effect.offset} to ${effect.offset + effect.data.length} of snapshot ${effect.snapshot.index}`;
    case 'install':
      return `installs snapshot ${effect.snapshot.index}`;
    case 'take-snapshot':
      return `takes a snapshot at ${effect.index}`;
    case 'compact':
      return `compacts to ${effect.index}`;
    case 'role': {
      const why = effect.reason === null ? '' : `, ${effect.reason}`;
      return `is ${effect.role} in term ${effect.term}, leader ${effect.leader ?? '-'}${why}`;
    }
    case 'membership':
      return `has ${membershipText(effect.membership)}${effect.committed ? ', committed' : ''}`;
    case 'reads-ready':
      return `reads ${effect.contexts.join(' ')} at ${effect.index}`;
    case 'reads-failed':
      return `fails reads ${effect.contexts.join(' ')}, ${effect.code}`;
    case 'transfer':
      return `transfer to ${effect.to} ${effect.outcome}`;
    case 'proposed':
    case 'forwarded':
    case 'forward-answered':
      return null;
    default:
      return effect satisfies never;
  }
}

function messageText(message: RaftMessage): string {
  switch (message.type) {
    case 'vote':
    case 'pre-vote':
      return `${message.type} in ${message.term}, log ends ${message.lastIndex}@${message.lastTerm}`;
    case 'vote-response':
    case 'pre-vote-response':
      return `${message.type} in ${message.term}, ${message.granted ? 'granted' : 'refused'}`;
    case 'append': {
      const { prevIndex, prevTerm, entries, commit } = message;
      return `append behind ${prevIndex}@${prevTerm} [${entries.map(entryText).join(', ')}] commit ${commit}`;
    }
    case 'append-response': {
      const { success, matchIndex, conflictTerm, conflictIndex } = message;
      if (success) return `matches to ${matchIndex}`;
      return `refuses ${matchIndex} in ${message.term}, conflict term ${conflictTerm} index ${conflictIndex}`;
    }
    case 'heartbeat':
      return `heartbeat ${message.round} commit ${message.commit}`;
    case 'heartbeat-response':
      return `heartbeat-response ${message.round}`;
    case 'snapshot':
      return `snapshot ${message.snapshot.index} from ${message.offset}, ${message.byteCount} bytes`;
    case 'snapshot-response':
      return `wants snapshot ${message.index} from ${message.nextOffset}`;
    case 'timeout-now':
      return 'timeout-now';
    case 'propose':
      return `propose ${message.data.map((data) => Buffer.from(data).toString()).join(' ')}`;
    case 'propose-response':
      return `proposed at ${message.index}`;
    case 'read':
      return 'read';
    case 'read-response':
      return `read at ${message.index}`;
    default:
      return message satisfies never;
  }
}

function entryText(entry: Entry): string {
  const { index, term, kind, data } = entry;
  const text = kind === 'config' ? membershipText(decodeMembership(data)) : Buffer.from(data).toString();
  return `${index}@${term} ${kind === 'noop' ? 'noop' : text}`;
}

function membershipText({ voters, outgoing, learners, learnersNext }: Membership): string {
  const parts = [`voters ${voters.join(' ')}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(' ')}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(' ')}`);
  if (learnersNext.length > 0) parts.push(`learners next ${learnersNext.join(' ')}`);
  return `(${parts.join(', ')})`;
}

function statusOf(id: number, core: RaftCore): string {
  const { role, term, firstIndex, lastIndex, lastTerm, durableIndex, commitIndex, appliedIndex } =
    core.status();
  const log = `log ${firstIndex}-${lastIndex}@${lastTerm} durable ${durableIndex}`;
  return `${id} ${role} term ${term} ${log} commit ${commitIndex} applied ${appliedIndex}`;
}
