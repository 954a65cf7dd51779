// The native commands of a simulated member: the real ones, watched as entries come, and with the bugs that the mutation
// gate switches on, each where a wrong state machine would have it.

import { Keyspace } from '../../../kv/machine/keyspace.js';
import { nativePart } from '../../../kv/machine/native/native-executor.js';
import { NativeReply } from '../../../kv/machine/reply.js';
import type { NativePart, NativePartFactory } from '../../../kv/machine/section.js';
import type { ValueWriter } from '../../../kv/machine/value.js';

export interface MachineBugs {
  readonly forgetsSessions?: boolean;
  readonly expiresByLocalClock?: boolean;
  readonly executesEvicted?: boolean;
}

export function watchedNative(
  applies: (index: number) => void,
  bugs: MachineBugs,
  localMs: () => number,
): NativePartFactory {
  return (keyspace: Keyspace): NativePart => {
    const real = nativePart(keyspace);
    const sections = real.sections.map((section) => {
      if (bugs.forgetsSessions !== true || section.name !== 'native-sessions') return section;
      // As it is in a machine that never heard of sessions.
      const fresh = nativePart(new Keyspace()).sections.find(({ name }) => name === section.name)!; // the same parts
      return Object.assign(Object.create(section) as typeof section, {
        encode: (writer: ValueWriter) => fresh.encode(writer),
      });
    });
    return {
      sections,
      begin: (index, term) => {
        if (bugs.expiresByLocalClock === true) keyspace.advance(localMs());
        applies(index);
        real.begin?.(index, term);
      },
      execute: (context, item) => {
        const reply = real.execute(context, item);
        if (bugs.executesEvicted !== true || item.clientId === 0) return reply;
        const isEvicted = reply instanceof NativeReply && codeOf(reply) === 'KV_SESSION_EXPIRED';
        return isEvicted ? real.execute(context, { ...item, clientId: 0 }) : reply;
      },
      query: (context, command) => real.query(context, command),
    };
  };
}

function codeOf(reply: NativeReply): string {
  return (reply.outcome as { readonly error?: { readonly code?: string } }).error?.code ?? '';
}
