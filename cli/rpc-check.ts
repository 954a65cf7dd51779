// `reactor-net rpc check`: compares .proto files with their older version and prints what peers would suffer from.

import { statSync } from 'node:fs';
import path from 'node:path';
import { type Change, compareProtos, type Place, type ProtoFiles, readProtoFiles } from '../rpc/index.js';
import { UsageError } from './flags.js';
import { EXIT_FAILED, type Io } from './main.js';
import type { CheckOptions } from './rpc-contract-command.js';

/** @returns the exit code: 1 when a change is incompatible. @throws RpcError RPC_PROTO_INVALID */
export function rpcCheck(options: CheckOptions, io: Io): number {
  const newFiles = readProtoFiles(options.files, options.importPaths);
  const oldFiles = readOld(options, newFiles);
  const changes = oldFiles === null ? [] : compareProtos(oldFiles, newFiles);
  for (const change of changes) {
    io.stdout.write(`${options.json ? JSON.stringify({ event: 'change', ...change }) : lineOf(change)}\n`);
  }
  const incompatible = changes.filter(({ severity }) => severity === 'incompatible').length;
  const warnings = changes.length - incompatible;
  io.stdout.write(
    options.json
      ? `${JSON.stringify({ event: 'checked', incompatible, warnings })}\n`
      : `${incompatible} incompatible, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}\n`,
  );
  return incompatible > 0 ? EXIT_FAILED : 0;
}

/** Null when the older folder has none of the files: then all is new. */
function readOld({ against, importPaths }: CheckOptions, newFiles: ProtoFiles): ProtoFiles | null {
  const facts = statSync(against, { throwIfNoEntry: false });
  if (facts === undefined) throw new UsageError(`--against: there is no file or folder "${against}"`);
  if (!facts.isDirectory()) return readProtoFiles(against, [path.dirname(against), ...importPaths]);
  const files = newFiles.names
    .map((name) => path.join(against, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false }) !== undefined);
  return files.length === 0 ? null : readProtoFiles(files, [against, ...importPaths]);
}

function lineOf({ severity, name, message, oldPlace, newPlace, kind }: Change): string {
  return `${textOf(newPlace)}: ${severity}: ${name}: ${message} [${kind}] (was ${textOf(oldPlace)})`;
}

function textOf({ file, line }: Place): string {
  return `${file}:${line}`;
}
