// Gives every type that parsed .proto files name its full name, by protobuf's scoping rule, and says whether it is a
// message or an enum. proto-files.ts calls it once all imported files are parsed.

import { RpcError } from '../errors.js';
import { FIELD_TYPE_NAMES, type FieldProto, type FileProto, type MessageProto } from './descriptor.js';
import type { ParsedProto } from './proto-parser.js';

interface Symbol {
  readonly kind: 'message' | 'enum' | 'service';
  readonly fileName: string;
}

const MESSAGE = FIELD_TYPE_NAMES.indexOf('message');
const ENUM = FIELD_TYPE_NAMES.indexOf('enum');

/**
 * Changes the descriptors in place.
 * @param parsed all files, by name, imports included
 * @throws RpcError RPC_PROTO_INVALID naming file and line of a type that is nowhere, or not imported
 */
export function resolveNames(parsed: ReadonlyMap<string, ParsedProto>): void {
  const symbols = new Map<string, Symbol>();
  for (const proto of parsed.values()) declare(proto, symbols, parsed);
  for (const proto of parsed.values())
    new FileResolver(proto, symbols, visibleFrom(proto.file, parsed)).run();
}

function declare(
  { file, places }: ParsedProto,
  symbols: Map<string, Symbol>,
  parsed: ReadonlyMap<string, ParsedProto>,
): void {
  const add = (fullName: string, kind: Symbol['kind']): void => {
    const known = symbols.get(fullName);
    if (known !== undefined) {
      const elsewhere = lineOf(parsed.get(known.fileName), fullName);
      throw invalid(
        `${file.name}:${places.lines.get(fullName) ?? 1}: ${fullName} is already defined at ${known.fileName}:${elsewhere}`,
      );
    }
    symbols.set(fullName, { kind, fileName: file.name });
  };
  const addMessage = (message: MessageProto, scope: string): void => {
    const fullName = join(scope, message.name);
    add(fullName, 'message');
    for (const nested of message.nestedType ?? []) addMessage(nested, fullName);
    for (const nested of message.enumType ?? []) add(join(fullName, nested.name), 'enum');
  };
  const scope = file.package ?? '';
  for (const message of file.messageType ?? []) addMessage(message, scope);
  for (const each of file.enumType ?? []) add(join(scope, each.name), 'enum');
  for (const service of file.service ?? []) add(join(scope, service.name), 'service');
}

/** The file itself, what it imports, and what those import publicly. */
function visibleFrom(file: FileProto, parsed: ReadonlyMap<string, ParsedProto>): ReadonlySet<string> {
  const visible = new Set([file.name]);
  const addPublic = (name: string): void => {
    if (visible.has(name)) return;
    visible.add(name);
    const imported = parsed.get(name)?.file;
    for (const index of imported?.publicDependency ?? []) addPublic(imported!.dependency![index]!);
  };
  for (const name of file.dependency ?? []) addPublic(name);
  return visible;
}

class FileResolver {
  readonly #proto: ParsedProto;
  readonly #symbols: ReadonlyMap<string, Symbol>;
  readonly #visible: ReadonlySet<string>;

  constructor(proto: ParsedProto, symbols: ReadonlyMap<string, Symbol>, visible: ReadonlySet<string>) {
    this.#proto = proto;
    this.#symbols = symbols;
    this.#visible = visible;
  }

  run(): void {
    const { file } = this.#proto;
    const scope = file.package ?? '';
    for (const message of file.messageType ?? []) this.#message(message, scope);
    for (const field of file.extension ?? []) this.#field(field, scope);
    for (const service of file.service ?? []) {
      const serviceName = join(scope, service.name);
      for (const method of service.method ?? []) {
        const place = join(serviceName, method.name);
        method.inputType = this.#messageName(method.inputType, serviceName, place);
        method.outputType = this.#messageName(method.outputType, serviceName, place);
      }
    }
  }

  #message(message: MessageProto, scope: string): void {
    const fullName = join(scope, message.name);
    for (const field of message.field ?? []) this.#field(field, fullName);
    for (const field of message.extension ?? []) this.#field(field, fullName);
    for (const nested of message.nestedType ?? []) this.#message(nested, fullName);
  }

  #field(field: FieldProto, scope: string): void {
    const place = join(scope, field.name);
    if (field.extendee !== undefined) field.extendee = this.#messageName(field.extendee, scope, place);
    if (field.typeName === undefined) return;
    const fullName = this.#find(field.typeName, scope, place);
    const { kind } = this.#symbols.get(fullName)!;
    if (kind === 'service') throw this.#at(place, `${field.typeName} is a service, not a type`);
    field.typeName = `.${fullName}`;
    field.type ??= kind === 'enum' ? ENUM : MESSAGE;
  }

  #messageName(name: string, scope: string, place: string): string {
    const fullName = this.#find(name, scope, place);
    const { kind } = this.#symbols.get(fullName)!;
    if (kind !== 'message')
      throw this.#at(place, `${name} is not a message but a${kind === 'enum' ? 'n' : ''} ${kind}`);
    return `.${fullName}`;
  }

  #find(name: string, scope: string, place: string): string {
    const candidates = name.startsWith('.') ? [name.slice(1)] : candidatesOf(name, scope);
    const found = candidates.filter((candidate) => this.#symbols.has(candidate));
    const visible = found.find((candidate) => this.#visible.has(this.#symbols.get(candidate)!.fileName));
    if (visible !== undefined) return visible;
    const hidden = found[0];
    throw this.#at(
      place,
      hidden === undefined
        ? `no such type: ${name}`
        : `${hidden} is in ${this.#symbols.get(hidden)!.fileName}, which is not imported`,
    );
  }

  #at(place: string, reason: string): RpcError {
    return invalid(`${this.#proto.file.name}:${lineOf(this.#proto, place)}: ${reason}`);
  }
}

/** From the innermost scope outwards. */
function candidatesOf(name: string, scope: string): string[] {
  const parts = scope === '' ? [] : scope.split('.');
  return Array.from({ length: parts.length + 1 }, (_, outer) =>
    [...parts.slice(0, parts.length - outer), name].join('.'),
  );
}

function lineOf(proto: ParsedProto | undefined, place: string): number {
  // A map's entry is nowhere in the text, but its message is.
  for (let name = place; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const line = proto?.places.lines.get(name);
    if (line !== undefined) return line;
  }
  return 1;
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_PROTO_INVALID', message);
}
