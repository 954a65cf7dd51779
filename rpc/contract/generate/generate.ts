// What `reactor-net rpc generate` writes: one TypeScript module for each .proto file that was named, or whose types the
// others use. Pure: the same files always give the same text, and the command does the writing.

import path from 'node:path';
import { encodeFile } from '../descriptor.js';
import type { ParsedProto } from '../proto-parser.js';
import type { ProtoFiles } from '../proto-files.js';
import type { EnumSchema, FieldSchema, Int64Mode, MessageSchema, Schema, ServiceSchema } from '../schema.js';
import { buildSchema } from '../schema-builder.js';
import { writeModule } from './module-writer.js';

export interface GenerateOptions {
  /** What 64-bit integers are in JavaScript. Default 'bigint'. */
  int64?: Int64Mode;
  /** Where generated modules import from; a relative one is relative to the output folder. Default 'reactor-net/rpc'. */
  runtime?: string;
}

export interface GeneratedModule {
  /** Relative to the output folder, with slashes: `demo/echo.ts`. */
  readonly path: string;
  readonly text: string;
}

/** What of a schema one file declares. */
export interface FileTypes {
  readonly name: string;
  readonly messages: readonly MessageSchema[];
  readonly enums: readonly EnumSchema[];
  readonly services: readonly ServiceSchema[];
}

/** @throws RpcError RPC_PROTO_INVALID */
export function generate(files: ProtoFiles, options: GenerateOptions = {}): GeneratedModule[] {
  const { int64 = 'bigint', runtime = 'reactor-net/rpc' } = options;
  const schema = buildSchema(Array.from(files.parsed.values(), ({ file }) => file));
  const byFile = new Map(
    Array.from(files.parsed.keys(), (name): [string, FileTypes] => [name, typesOf(name, schema)]),
  );
  const wanted = new Set<string>();
  const add = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const used of filesUsedBy(byFile.get(name)!)) add(used);
  };
  for (const name of files.names) add(name);
  return [...wanted].toSorted().map((name) => ({
    path: modulePathOf(name),
    text: writeModule({
      types: byFile.get(name)!,
      parsed: files.parsed.get(name)!,
      imports: importsOf(name, byFile, files.parsed, wanted),
      descriptor: Buffer.from(encodeFile(files.parsed.get(name)!.file)).toString('base64'),
      runtime: runtime.startsWith('.') ? relativeTo(name, runtime) : runtime,
      int64,
    }),
  }));
}

/** A generated module that another imports. */
export interface ModuleImport {
  readonly types: FileTypes;
  /** `./types.js` */
  readonly specifier: string;
  readonly packageName: string;
}

function importsOf(
  name: string,
  byFile: ReadonlyMap<string, FileTypes>,
  parsed: ReadonlyMap<string, ParsedProto>,
  wanted: ReadonlySet<string>,
): ModuleImport[] {
  // Types may come by way of a public import; where they are defined is where they are imported from.
  const used = new Set(filesUsedBy(byFile.get(name)!));
  for (const dependency of parsed.get(name)!.file.dependency ?? [])
    if (wanted.has(dependency)) used.add(dependency);
  used.delete(name);
  return [...used].toSorted().map((fileName) => ({
    types: byFile.get(fileName)!,
    specifier: relativeTo(name, `./${modulePathOf(fileName).replace(/\.ts$/, '.js')}`),
    packageName: parsed.get(fileName)!.file.package ?? '',
  }));
}

function typesOf(name: string, schema: Schema): FileTypes {
  const isHere = ({ fileName }: { fileName: string }): boolean => fileName === name;
  return {
    name,
    messages: [...schema.messages.values()].filter(isHere).filter(({ isMapEntry }) => !isMapEntry),
    enums: [...schema.enums.values()].filter(isHere),
    services: [...schema.services.values()].filter(isHere),
  };
}

/** The files whose types this file's own declarations name. */
function filesUsedBy({ messages, services }: FileTypes): string[] {
  const names = new Set<string>();
  const addField = ({ value }: FieldSchema): void => {
    if (value.kind !== 'scalar') names.add(value.type.fileName);
  };
  for (const message of messages) for (const field of message.fields) addField(field);
  for (const service of services) {
    for (const { request, response } of service.methods) names.add(request.fileName).add(response.fileName);
  }
  return [...names];
}

function modulePathOf(name: string): string {
  return `${name.replace(/\.proto$/, '')}.ts`;
}

/** `specifier`, which is relative to the output folder, as seen from the module of `name`. */
function relativeTo(name: string, specifier: string): string {
  const folder = path.posix.dirname(name);
  // Pure: node's `relative` would ask for the current folder, so all is put below one of our own; what leads out of the
  // output folder keeps its way.
  const relative = specifier.startsWith('../')
    ? path.posix.join(folder === '.' ? '' : folder.replace(/[^/]+/g, '..'), specifier)
    : path.posix.relative(path.posix.join('/', folder), path.posix.join('/', specifier));
  return relative.startsWith('.') ? relative : `./${relative}`;
}
