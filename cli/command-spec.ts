// What a command of the program is: its words, its flags, and what becomes of them.
// serve-command.ts, shm-command.ts and the like declare theirs; args.ts shows them to yargs and reads with them.

import { type Flag, type FlagSources, type FlagTable, resolveFlags } from './flags.js';
import type { KvOptions } from './kv-command.js';
import type { RegistryServeOptions } from './registry-command.js';
import type { RenderOptions } from './render-command.js';
import type { RpcOptions } from './rpc-command.js';
import type { ServeOptions } from './serve-options.js';
import type { ShmOptions } from './shm-command.js';

export type Command =
  | { readonly kind: 'serve'; readonly options: ServeOptions }
  | { readonly kind: 'rpc'; readonly options: RpcOptions }
  | { readonly kind: 'shm'; readonly options: ShmOptions }
  | { readonly kind: 'registry-serve'; readonly options: RegistryServeOptions }
  | { readonly kind: 'kv'; readonly options: KvOptions }
  | { readonly kind: 'render'; readonly options: RenderOptions }
  | { readonly kind: 'bench'; readonly args: readonly string[] }
  | { readonly kind: 'print'; readonly text: string };

export interface ArgsContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly version: string;
  /** Columns of the terminal, for help. */
  readonly columns: number;
  readFile(path: string): string;
}

/** The words that follow a command, beside its flags. */
export interface Operands {
  /** How many there are. Default 'some': one or more. */
  readonly count?: 'some' | 'one' | 'optional';
  /** As help shows it. */
  readonly name: string;
  /** What is missing when there is none, with an example. */
  readonly summary: string;
}

/** A command for args.ts, which does not know what options it has. */
export interface CommandSpec {
  /** `['serve']`, or area and verb. */
  readonly words: readonly [string] | readonly [string, string];
  readonly summary: string;
  readonly flags: readonly Flag<unknown>[];
  readonly operands: Operands | null;
  /** @throws UsageError */
  read(sources: FlagSources, operands: readonly string[], context: ArgsContext): Command;
}

interface CommandDeclaration<Options extends object> extends Pick<CommandSpec, 'words' | 'summary'> {
  readonly flags: FlagTable<Options>;
  readonly operands?: Operands;
  /** What follows from the flags together. @throws UsageError */
  complete(flags: Options, operands: readonly string[], context: ArgsContext): Command;
}

export function declareCommand<Options extends object>(declared: CommandDeclaration<Options>): CommandSpec {
  const { words, summary, flags, operands = null } = declared;
  return {
    words,
    summary,
    flags: Object.values<Flag<unknown>>(flags),
    operands,
    read: (sources, operandTexts, context) =>
      declared.complete(resolveFlags(flags, sources), operandTexts, context),
  };
}
