// `reactor-net rpc generate`: writes the modules that differ from what is there, or only says which they are.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generate, readProtoFiles } from '../rpc/index.js';
import { EXIT_FAILED, type Io } from './main.js';
import type { GenerateFilesOptions } from './rpc-contract-command.js';

/** @returns the exit code: 1 when `--check` found a module out of date. @throws RpcError RPC_PROTO_INVALID */
export function rpcGenerate(options: GenerateFilesOptions, io: Io): number {
  const { out, json, check, int64, runtime } = options;
  const modules = generate(readProtoFiles(options.files, options.importPaths), { int64, runtime });
  const say = (event: string, file: string): void => {
    io.stdout.write(json ? `${JSON.stringify({ event, file })}\n` : `${event} ${file}\n`);
  };
  let staleCount = 0;
  for (const { path: relative, text } of modules) {
    const file = path.join(out, relative);
    if (textOf(file) === text) {
      say('unchanged', file);
      continue;
    }
    staleCount += 1;
    if (check) say('stale', file);
    else {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
      say('written', file);
    }
  }
  return check && staleCount > 0 ? EXIT_FAILED : 0;
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // to be written, and that tells what is wrong if it cannot be
  }
}
