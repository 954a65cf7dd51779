// `reactor-net rpc generate | check` as commands: their flags. rpc-generate.ts and rpc-check.ts carry them out.

import { type CommandSpec, declareCommand, type Operands } from './command-spec.js';
import { type Flag, readChoice, readList, readSwitch, readText, UsageError } from './flags.js';

interface ContractFlags {
  /** Folders to look for imports in. */
  importPaths: readonly string[];
  json: boolean;
}

interface GenerateFlags extends ContractFlags {
  out: string;
  int64: 'bigint' | 'string';
  runtime: string;
  /** Write nothing; fail where something would be written. */
  check: boolean;
}

interface CheckFlags extends ContractFlags {
  /** A .proto file, or a folder of them. */
  against: string;
}

export interface GenerateFilesOptions extends GenerateFlags {
  readonly verb: 'generate';
  readonly files: readonly string[];
}

export interface CheckOptions extends CheckFlags {
  readonly verb: 'check';
  readonly files: readonly string[];
}

const GROUP = 'Options:';

const FILES: Operands = { name: 'file', summary: 'a .proto file, such as proto/echo.proto' };

/** Of every verb that reads .proto files. */
export const CONTRACT_FLAGS: { readonly [Key in keyof ContractFlags]: Flag<ContractFlags[Key]> } = {
  importPaths: {
    flag: 'import-path',
    value: 'DIR,…',
    group: GROUP,
    summary: 'folders to look for imports in',
    repeats: true,
    read: readList,
    fallback: [],
    fallbackText: "each file's own folder",
  },
  json: {
    flag: 'json',
    group: GROUP,
    summary: 'standard output is one JSON object per line',
    read: readSwitch,
    fallback: false,
  },
};

export const RPC_CONTRACT_COMMANDS: readonly CommandSpec[] = [
  declareCommand({
    words: ['rpc', 'generate'],
    summary: 'write TypeScript for .proto files: messages, handler interfaces, clients',
    operands: FILES,
    flags: {
      out: {
        flag: 'out',
        value: 'DIR',
        group: GROUP,
        summary: 'where to write, in the folders that the .proto files have under the import path',
        read: readText,
        fallback: '',
      },
      int64: {
        flag: 'int64',
        value: 'TYPE',
        group: GROUP,
        summary: 'what 64-bit integers are: bigint or string',
        choices: ['bigint', 'string'],
        read: readChoice(['bigint', 'string'] as const),
        fallback: 'bigint',
        fallbackText: 'bigint',
      },
      runtime: {
        flag: 'runtime',
        value: 'MODULE',
        group: GROUP,
        summary: 'what the modules import from; a relative one is relative to --out',
        read: readText,
        fallback: 'reactor-net/rpc',
        fallbackText: 'reactor-net/rpc',
      },
      check: {
        flag: 'check',
        group: GROUP,
        summary: 'write nothing, and fail when a module is not as it would be written',
        read: readSwitch,
        fallback: false,
      },
      ...CONTRACT_FLAGS,
    },
    complete: (flags: GenerateFlags, files) => {
      if (flags.out === '') throw new UsageError('--out: name the folder to write to');
      return { kind: 'rpc', options: { ...flags, verb: 'generate', files } };
    },
  }),
  declareCommand({
    words: ['rpc', 'check'],
    summary: 'find changes of .proto files that break peers of an older version',
    operands: FILES,
    flags: {
      against: {
        flag: 'against',
        value: 'OLD',
        group: GROUP,
        summary: 'the older version: a .proto file, or a folder with files of the same names',
        read: readText,
        fallback: '',
      },
      ...CONTRACT_FLAGS,
    },
    complete: (flags: CheckFlags, files) => {
      if (flags.against === '') throw new UsageError('--against: name the older .proto file or folder');
      return { kind: 'rpc', options: { ...flags, verb: 'check', files } };
    },
  }),
];
