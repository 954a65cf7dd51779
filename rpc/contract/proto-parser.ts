// Turns the text of one .proto file into a FileDescriptorProto: protobufjs reads, this writes down what it found.
// Type names stay as the file has them; name-resolver.ts makes them full once all files are there.

import protobuf from 'protobufjs';
import protobufDescriptor from 'protobufjs/ext/descriptor.js';
import { RpcError } from '../errors.js';
import {
  camelCase,
  type EnumProto,
  FIELD_TYPE_NAMES,
  type FieldProto,
  type FileProto,
  LABEL_REPEATED,
  LABEL_REQUIRED,
  type MessageProto,
  messageOf,
  type OptionsProto,
  type ServiceProto,
} from './descriptor.js';
import { type ProtoPlaces, scanProto } from './proto-scanner.js';

export interface ParsedProto {
  readonly file: FileProto;
  /** By full name, as ProtoPlaces has them. */
  readonly comments: ReadonlyMap<string, string>;
  readonly places: ProtoPlaces;
}

const EDITIONS: Readonly<Record<string, number>> = { 2023: 1000, 2024: 1001 };
const LABEL_OPTIONAL = 1;

/**
 * @param name the file's name, as imports and messages of errors have it
 * @throws RpcError RPC_PROTO_INVALID naming file and line
 */
export function parseProto(name: string, source: string): ParsedProto {
  const root = new protobuf.Root();
  let parsed: protobuf.IParserResult;
  let places: ProtoPlaces;
  try {
    parsed = protobuf.parse(source, root, { keepCase: true, alternateCommentMode: true });
    places = scanProto(source);
  } catch (error) {
    throw unreadable(name, error);
  }
  const packageName = parsed.package ?? '';
  const scope = packageName === '' ? root : root.lookup(packageName);
  const file: FileProto = { name };
  if (packageName !== '') file.package = packageName;
  const dependencies = [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])];
  if (dependencies.length > 0) file.dependency = dependencies;
  const isPublic = dependencies.flatMap((each, index) => (places.publicImports.has(each) ? [index] : []));
  if (isPublic.length > 0) file.publicDependency = isPublic;
  const syntax = /^(?:\s|\/\/.*|\/\*[^]*?\*\/)*(syntax|edition)\s*=\s*["']([^"']*)["']/.exec(source);
  if (syntax?.[1] === 'edition') {
    file.syntax = 'editions';
    const edition = EDITIONS[syntax[2]!];
    if (edition === undefined) {
      throw new RpcError(
        'RPC_PROTO_INVALID',
        `${name}: edition ${syntax[2]} is not known: 2023 and 2024 are`,
      );
    }
    file.edition = edition;
  } else if (syntax?.[2] === 'proto3') file.syntax = 'proto3'; // proto2 is what no syntax means
  const comments = new Map<string, string>();
  if (scope instanceof protobuf.Namespace) {
    new Writer(comments, packageName).writeFile(file, scope);
    const options = optionsOf(scope.options, protobufDescriptor.FileOptions);
    if (options !== undefined) file.options = options;
  }
  return { file, comments, places };
}

function unreadable(name: string, error: unknown): RpcError {
  const text = messageOf(error);
  const line = /\(line (\d+)\)/.exec(text);
  const reason = text.replace(/ ?\(line \d+\)/, '');
  const place = line === null ? name : `${name}:${line[1]}`;
  return new RpcError('RPC_PROTO_INVALID', `${place}: ${reason}`, { cause: error });
}

/** Writes the parser's objects into descriptors, and their comments aside. */
class Writer {
  readonly #comments: Map<string, string>;
  readonly #packageName: string;

  constructor(comments: Map<string, string>, packageName: string) {
    this.#comments = comments;
    this.#packageName = packageName;
  }

  writeFile(file: FileProto, scope: protobuf.Namespace): void {
    for (const object of scope.nestedArray) {
      if (object instanceof protobuf.Type)
        (file.messageType ??= []).push(this.#message(object, this.#packageName));
      else if (object instanceof protobuf.Enum)
        (file.enumType ??= []).push(this.#enum(object, this.#packageName));
      else if (object instanceof protobuf.Service) (file.service ??= []).push(this.#service(object));
      else if (object instanceof protobuf.Field) (file.extension ??= []).push(this.#field(object, scope));
    }
  }

  #message(type: protobuf.Type, scope: string): MessageProto {
    const fullName = this.#comment(scope, type.name, type.comment);
    const message: MessageProto = { name: type.name };
    // Synthetic oneofs, one around each proto3 `optional`, come behind the real ones.
    const oneofs = type.oneofsArray
      .filter((oneof) => !isSynthetic(oneof))
      .concat(type.oneofsArray.filter(isSynthetic));
    if (oneofs.length > 0) message.oneofDecl = oneofs.map(({ name }) => ({ name }));
    for (const oneof of oneofs) this.#comment(fullName, oneof.name, oneof.comment);
    for (const field of type.fieldsArray) {
      if (field.declaringField !== null && field.declaringField !== undefined) continue; // an extension's shadow
      const written = this.#field(field, type);
      this.#comment(fullName, field.name, field.comment);
      if (field.partOf !== null) written.oneofIndex = oneofs.indexOf(field.partOf);
      if (field instanceof protobuf.MapField) {
        written.typeName = entryName(field.name);
        (message.nestedType ??= []).push(this.#mapEntry(field, type));
      }
      (message.field ??= []).push(written);
    }
    for (const object of type.nestedArray) {
      if (object instanceof protobuf.Type) (message.nestedType ??= []).push(this.#message(object, fullName));
      else if (object instanceof protobuf.Enum) (message.enumType ??= []).push(this.#enum(object, fullName));
      else if (object instanceof protobuf.Field) (message.extension ??= []).push(this.#field(object, type));
    }
    const ranges = (type.extensions ?? []) as [number, number][];
    if (ranges.length > 0) message.extensionRange = ranges.map(([start, end]) => ({ start, end: end + 1 }));
    writeReserved(message, type.reserved, 1);
    const options = optionsOf(type.options, protobufDescriptor.MessageOptions);
    if (options !== undefined) message.options = options;
    return message;
  }

  #field(field: protobuf.Field, parent: protobuf.NamespaceBase): FieldProto {
    const written: FieldProto = { name: field.name, number: field.id, label: labelOf(field) };
    if (field instanceof protobuf.MapField) {
      written.label = LABEL_REPEATED;
      written.type = FIELD_TYPE_NAMES.indexOf('message');
    } else setType(written, field.type);
    const named = parent.get(field.type);
    if (isGroup(named)) written.type = FIELD_TYPE_NAMES.indexOf('group');
    if (field.extend !== undefined) written.extendee = field.extend;
    // What protobufjs reads of a field's own options stays in them under their written names.
    const given = (field.options ?? {}) as Record<string, unknown>;
    written.jsonName = typeof given['json_name'] === 'string' ? given['json_name'] : camelCase(field.name);
    const fallback = given['default'];
    if (typeof fallback === 'string') written.defaultValue = fallback;
    if (typeof fallback === 'number' || typeof fallback === 'boolean')
      written.defaultValue = String(fallback);
    if (given['proto3_optional'] === true) written.proto3Optional = true;
    const options = optionsOf(given, protobufDescriptor.FieldOptions);
    if (options !== undefined) written.options = options;
    return written;
  }

  #mapEntry(field: protobuf.MapField, parent: protobuf.Type): MessageProto {
    const value: FieldProto = { name: 'value', number: 2, label: LABEL_OPTIONAL, jsonName: 'value' };
    setType(value, field.type);
    const named = parent.get(field.type);
    if (isGroup(named)) value.type = FIELD_TYPE_NAMES.indexOf('group');
    const key: FieldProto = { name: 'key', number: 1, label: LABEL_OPTIONAL, jsonName: 'key' };
    setType(key, field.keyType);
    return { name: entryName(field.name), field: [key, value], options: { mapEntry: true } };
  }

  #enum(type: protobuf.Enum, scope: string): EnumProto {
    const fullName = this.#comment(scope, type.name, type.comment);
    const written: EnumProto = { name: type.name, value: [] };
    for (const [name, number] of Object.entries(type.values)) {
      const options = optionsOf(type.valuesOptions?.[name], protobufDescriptor.EnumValueOptions);
      written.value!.push(options === undefined ? { name, number } : { name, number, options });
      this.#comment(fullName, name, type.comments[name] ?? null);
    }
    writeReserved(written, type.reserved, 0);
    const options = optionsOf(type.options, protobufDescriptor.EnumOptions);
    if (options !== undefined) written.options = options;
    return written;
  }

  #service(service: protobuf.Service): ServiceProto {
    const fullName = this.#comment(this.#packageName, service.name, service.comment);
    const written: ServiceProto = { name: service.name, method: [] };
    for (const method of service.methodsArray) {
      this.#comment(fullName, method.name, method.comment);
      const options = optionsOf(method.options, protobufDescriptor.MethodOptions);
      written.method!.push({
        name: method.name,
        inputType: method.requestType,
        outputType: method.responseType,
        ...(method.requestStream === true ? { clientStreaming: true } : {}),
        ...(method.responseStream === true ? { serverStreaming: true } : {}),
        ...(options === undefined ? {} : { options }),
      });
    }
    const options = optionsOf(service.options, protobufDescriptor.ServiceOptions);
    if (options !== undefined) written.options = options;
    return written;
  }

  #comment(scope: string, name: string, comment: string | null): string {
    const fullName = scope === '' ? name : `${scope}.${name}`;
    if (typeof comment === 'string' && comment.trim() !== '') this.#comments.set(fullName, comment.trim());
    return fullName;
  }
}

function isSynthetic(oneof: protobuf.OneOf): boolean {
  const [only] = oneof.fieldsArray;
  return oneof.fieldsArray.length === 1 && only?.options?.['proto3_optional'] === true;
}

/** Its types do not say so, but protobufjs marks what `group` declares. */
function isGroup(object: protobuf.ReflectionObject | null): boolean {
  return object instanceof protobuf.Type && (object as protobuf.Type & { group?: boolean }).group === true;
}

function labelOf(field: protobuf.Field): number {
  if (field.rule === 'repeated') return LABEL_REPEATED;
  return field.rule === 'required' ? LABEL_REQUIRED : LABEL_OPTIONAL;
}

function setType(field: FieldProto, type: string): void {
  const number = FIELD_TYPE_NAMES.indexOf(type as (typeof FIELD_TYPE_NAMES)[number]);
  const isScalar = number > 0 && type !== 'group' && type !== 'message' && type !== 'enum';
  if (isScalar) field.type = number;
  else field.typeName = type; // whether message or enum, name-resolver.ts finds out
}

/** protoc's name of the message that one entry of a map is. */
function entryName(fieldName: string): string {
  const camel = camelCase(fieldName);
  return `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`;
}

function writeReserved(
  target: EnumProto | MessageProto,
  reserved: readonly (readonly number[] | string)[] | undefined,
  endOffset: number,
): void {
  for (const each of reserved ?? []) {
    if (typeof each === 'string') (target.reservedName ??= []).push(each);
    else (target.reservedRange ??= []).push({ start: each[0]!, end: each[1]! + endOffset });
  }
}

/** The options that descriptor.proto knows; a file's own are for its own tools. */
function optionsOf(
  given: Readonly<Record<string, unknown>> | undefined,
  type: protobuf.Type,
): OptionsProto | undefined {
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given ?? {})) {
    if (key === 'features' && typeof value === 'object' && value !== null) {
      known['features'] = featuresOf(value);
      continue;
    }
    const field = type.fields[camelCase(key)];
    if (field === undefined || field.repeated) continue;
    const { resolvedType } = field.resolve();
    if (resolvedType instanceof protobuf.Type) continue;
    known[field.name] = resolvedType instanceof protobuf.Enum ? resolvedType.values[String(value)] : value;
  }
  return Object.keys(known).length === 0 ? undefined : known;
}

function featuresOf(given: object): Record<string, number> {
  const features: Record<string, number> = {};
  for (const [key, value] of Object.entries(given)) {
    const name = camelCase(key);
    const type = protobufDescriptor.FeatureSet.fields[name]?.resolve().resolvedType;
    const number = type instanceof protobuf.Enum ? type.values[String(value)] : undefined;
    if (number !== undefined) features[name] = number;
  }
  return features;
}
