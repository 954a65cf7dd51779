// Reads .proto files and all that they import, from search paths and from the well-known ones.
// proto-package.ts makes contracts of them; generate/ and compatibility/ want comments and lines too.

import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RpcError } from '../errors.js';
import type { FileProto } from './descriptor.js';
import { messageOf } from './descriptor.js';
import { resolveNames } from './name-resolver.js';
import { type ParsedProto, parseProto } from './proto-parser.js';
import { wellKnownSource } from './well-known.js';

export type ProtoFile = string | URL;

export interface ProtoFiles {
  /** The files that were asked for, by the names that imports would have for them. */
  readonly names: readonly string[];
  /** All files, dependencies first. */
  readonly parsed: ReadonlyMap<string, ParsedProto>;
}

/** A file that imports a file that … may go this deep: far beyond any real one. */
const IMPORT_DEPTH_MAX = 100;

/**
 * Files are named relative to the first import path they are under; files outside all of them by their base name, and
 * their own folder is searched after the import paths.
 * @throws RpcError RPC_PROTO_INVALID naming file and line
 */
export function readProtoFiles(
  files: ProtoFile | readonly ProtoFile[],
  importPaths: readonly string[] = [],
): ProtoFiles {
  const list = (Array.isArray(files) ? files : [files]) as readonly ProtoFile[];
  if (list.length === 0) throw invalid('name at least one .proto file');
  const paths = list.map((file) => path.resolve(file instanceof URL ? fileURLToPath(file) : file));
  const search = importPaths.map((each) => path.resolve(each));
  const roots = [...search];
  for (const file of paths) {
    if (search.every((root) => !isUnder(file, root))) roots.push(path.dirname(file));
  }
  const reader = new Reader([...new Set(roots)]);
  const names = paths.map((file) => reader.readFile(file));
  resolveNames(reader.parsed);
  return { names, parsed: reader.parsed };
}

/** A well-known file and what it imports, resolved; undefined when there is none of that name. */
export function wellKnownProto(name: string): ReadonlyMap<string, ParsedProto> | undefined {
  const source = wellKnownSource(name);
  if (source === undefined) return undefined;
  const reader = new Reader([]);
  reader.add(name, source);
  resolveNames(reader.parsed);
  return reader.parsed;
}

class Reader {
  readonly parsed: Map<string, ParsedProto> = new Map();
  readonly #roots: readonly string[];
  /** Names of the files being read, outermost first. */
  readonly #open: string[] = [];

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  /** @returns the name that imports have for it */
  readFile(file: string): string {
    const root = this.#roots.find((each) => isUnder(file, each))!;
    const name = path.relative(root, file).split(path.sep).join('/');
    const first = this.#find(name);
    if (first !== undefined && first !== file && realpathSync(first) !== realpathSync(file)) {
      throw invalid(
        `${file}: imports of ${name} would find ${first} instead: put its folder first in the import paths`,
      );
    }
    if (first === undefined) throw invalid(`${file}: no such file`);
    this.add(name, this.#read(file));
    return name;
  }

  add(name: string, source: string): void {
    if (this.parsed.has(name)) return;
    const proto = parseProto(name, source);
    this.#open.push(name);
    if (this.#open.length > IMPORT_DEPTH_MAX) throw invalid(`${name}: imports are nested too deep`);
    for (const dependency of proto.file.dependency ?? []) this.#import(dependency, proto);
    this.#open.pop();
    this.parsed.set(name, proto); // behind what it imports
  }

  #import(name: string, from: ParsedProto): void {
    const place = `${from.file.name}:${from.places.importLines.get(name) ?? 1}`;
    const cycle = this.#open.indexOf(name);
    if (cycle >= 0) {
      throw invalid(`${place}: files import each other: ${[...this.#open.slice(cycle), name].join(' -> ')}`);
    }
    const found = this.#find(name);
    if (found !== undefined) {
      this.add(name, this.#read(found));
      return;
    }
    const source = wellKnownSource(name);
    if (source === undefined) {
      throw invalid(`${place}: cannot find "${name}" in ${this.#roots.join(', ')}`);
    }
    this.add(name, source);
  }

  #find(name: string): string | undefined {
    return this.#roots.map((root) => path.join(root, name)).find(exists);
  }

  #read(file: string): string {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new RpcError('RPC_PROTO_INVALID', `${file}: cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

function exists(file: string): boolean {
  try {
    realpathSync(file);
    return true;
  } catch {
    return false; // whatever the reason, it is not there for us
  }
}

function isUnder(file: string, folder: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

/** The descriptors of `parsed`, dependencies first. */
export function descriptorsOf({ parsed }: ProtoFiles): FileProto[] {
  return Array.from(parsed.values(), ({ file }) => file);
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_PROTO_INVALID', message);
}
