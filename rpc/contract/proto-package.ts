// The door of this folder: contracts from .proto files, from descriptors that generated code embeds, and from descriptors
// that a reflection service sent. All three become one ProtoPackage.

import type { CallKind, MessageType, MethodContract, MethodTable, ServiceContract } from '../contract.js';
import { RpcError } from '../errors.js';
import { TypeFamily } from './compiled-type.js';
import { decodeFile, encodeFile, type FileProto } from './descriptor.js';
import type { JsonContext } from './json-mapping.js';
import { SchemaMessageType } from './message-codec.js';
import { descriptorsOf, type ProtoFile, readProtoFiles, wellKnownProto } from './proto-files.js';
import type { Int64Mode, MessageSchema, MethodSchema, Schema, ServiceSchema } from './schema.js';
import { buildSchema } from './schema-builder.js';

export interface ContractOptions {
  /** What 64-bit integers are in JavaScript. Default 'bigint'. */
  int64?: Int64Mode;
  /**
   * Whether JSON input may have names that its type has not, as peers with a newer .proto send. Default false: such a
   * name is RPC_MESSAGE_INVALID.
   */
  ignoreUnknownJson?: boolean;
}

export interface LoadOptions extends ContractOptions {
  /** Folders that imports are looked for in. Default: the folder of each file. */
  importPaths?: readonly string[];
}

export interface ProtoPackage {
  /** By full name, in the order of the files. */
  readonly services: ReadonlyMap<string, ServiceContract>;
  /** @throws RpcError RPC_PROTO_INVALID naming the services there are */
  service(fullName: string): ServiceContract;
  /** @throws RpcError RPC_PROTO_INVALID */
  messageType(fullName: string): MessageType;
  /** All types, for tools. */
  readonly schema: Schema;
}

/**
 * Reads .proto files and all that they import.
 * @throws RpcError RPC_PROTO_INVALID naming file and line
 */
export function loadProto(files: ProtoFile | readonly ProtoFile[], options: LoadOptions = {}): ProtoPackage {
  return new DescriptorPackage(
    descriptorsOf(readProtoFiles(files, options.importPaths)).map((file) => ({ file, bytes: null })),
    options,
  );
}

/**
 * Takes serialized FileDescriptorProtos in any order, as reflection services send them.
 * @throws RpcError RPC_PROTO_INVALID
 */
export function loadDescriptors(files: readonly Uint8Array[], options: ContractOptions = {}): ProtoPackage {
  const byName = new Map<string, DescribedFile>();
  for (const bytes of files) {
    const file = decodeFile(bytes);
    byName.set(file.name, { file, bytes });
  }
  return new DescriptorPackage(dependenciesFirst(byName), options);
}

/** The descriptor that a generated module embeds, and what its own imports embed. */
export interface GeneratedFile {
  readonly descriptors: readonly Uint8Array[];
  /** The type arguments are the generator's word. */
  messageType<T>(fullName: string): MessageType<T>;
  service<Handlers extends object, Methods extends MethodTable>(
    fullName: string,
  ): ServiceContract<Handlers, Methods>;
}

/**
 * For generated code.
 * @param descriptor the serialized FileDescriptorProto, in base64
 * @param imports the generated modules whose types it uses
 */
export function contractFromDescriptor(
  descriptor: string,
  imports: readonly GeneratedFile[],
  options: ContractOptions = {},
): GeneratedFile {
  const descriptors = [
    ...new Set(imports.flatMap((each) => each.descriptors)),
    Uint8Array.from(Buffer.from(descriptor, 'base64')),
  ];
  const loaded = loadDescriptors(descriptors, options);
  return {
    descriptors,
    messageType: <T>(fullName: string) => loaded.messageType(fullName) as MessageType<T>,
    service: <Handlers extends object, Methods extends MethodTable>(fullName: string) =>
      loaded.service(fullName) as ServiceContract<Handlers, Methods>,
  };
}

interface DescribedFile {
  readonly file: FileProto;
  /** As they came; null until somebody asks. */
  readonly bytes: Uint8Array | null;
}

class DescriptorPackage implements ProtoPackage {
  readonly schema: Schema;
  readonly services: ReadonlyMap<string, ServiceContract>;
  readonly #family: TypeFamily;
  readonly #context: JsonContext;
  readonly #types = new Map<MessageSchema, SchemaMessageType>();

  constructor(files: readonly DescribedFile[], options: ContractOptions) {
    const { int64 = 'bigint', ignoreUnknownJson = false } = options;
    if (int64 !== 'bigint' && int64 !== 'string')
      throw new RpcError('RPC_OPTION_INVALID', `int64: ${String(int64)} should be bigint or string`);
    this.schema = buildSchema(files.map(({ file }) => file));
    this.#family = new TypeFamily(int64);
    this.#context = {
      int64,
      ignoreUnknown: ignoreUnknownJson,
      messageSchema: (fullName) => this.schema.messages.get(fullName),
      encode: (schema, message) => {
        const encoded = this.#typeOf(schema).codec('protobuf').encode(message);
        const bytes = new Uint8Array(encoded.bytes);
        encoded.writeTo(bytes, 0);
        return bytes;
      },
      decode: (schema, bytes) => this.#typeOf(schema).codec('protobuf').decode(bytes),
    };
    const archive = new Archive(files);
    this.services = new Map(
      Array.from(this.schema.services.values(), (service) => [
        service.fullName,
        this.#contractOf(service, archive),
      ]),
    );
  }

  service(fullName: string): ServiceContract {
    const found = this.services.get(fullName);
    if (found !== undefined) return found;
    const names = [...this.services.keys()];
    const others = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    throw new RpcError('RPC_PROTO_INVALID', `no service ${fullName}: ${others}`);
  }

  messageType(fullName: string): MessageType {
    const schema = this.schema.messages.get(fullName);
    if (schema === undefined) throw new RpcError('RPC_PROTO_INVALID', `no message ${fullName}`);
    return this.#typeOf(schema);
  }

  #typeOf(schema: MessageSchema): SchemaMessageType {
    let type = this.#types.get(schema);
    if (type === undefined) {
      type = new SchemaMessageType(schema, this.#family, this.#context);
      this.#types.set(schema, type);
    }
    return type;
  }

  #contractOf(service: ServiceSchema, archive: Archive): ServiceContract {
    // Without a prototype, so that no name finds what is not a method.
    const methods = Object.create(null) as Record<string, MethodContract>;
    for (const method of service.methods) methods[method.localName] = this.#methodOf(method, service);
    return {
      fullName: service.fullName,
      methods,
      fileDescriptors: () => archive.closureOf(service.fileName),
    };
  }

  #methodOf(method: MethodSchema, service: ServiceSchema): MethodContract {
    return {
      path: `/${service.fullName}/${method.name}`,
      name: method.name,
      localName: method.localName,
      kind: kindOf(method),
      idempotency: method.idempotency,
      requestType: this.#typeOf(method.request),
      responseType: this.#typeOf(method.response),
    };
  }
}

export function kindOf({ clientStreams, serverStreams }: MethodSchema): CallKind {
  if (clientStreams) return serverStreams ? 'bidi-stream' : 'client-stream';
  return serverStreams ? 'server-stream' : 'unary';
}

/** The bytes of the files, made when they are asked for. */
class Archive {
  readonly #files: ReadonlyMap<string, DescribedFile>;
  readonly #bytes = new Map<string, Uint8Array>();

  constructor(files: readonly DescribedFile[]) {
    this.#files = new Map(files.map((each) => [each.file.name, each]));
  }

  closureOf(name: string): readonly Uint8Array[] {
    const names = new Set<string>();
    const add = (each: string): void => {
      const found = this.#files.get(each);
      if (found === undefined || names.has(each)) return;
      for (const dependency of found.file.dependency ?? []) add(dependency);
      names.add(each); // behind what it imports
    };
    add(name);
    return Array.from(names, (each) => this.#bytesOf(each));
  }

  #bytesOf(name: string): Uint8Array {
    const { file, bytes } = this.#files.get(name)!;
    if (bytes !== null) return bytes;
    let encoded = this.#bytes.get(name);
    if (encoded === undefined) {
      encoded = encodeFile(file);
      this.#bytes.set(name, encoded);
    }
    return encoded;
  }
}

/** Well-known files may be missing: not every reflection service hands them out, and generated code has no need to. */
function dependenciesFirst(files: ReadonlyMap<string, DescribedFile>): DescribedFile[] {
  const ordered = new Map<string, DescribedFile>();
  const open = new Set<string>();
  const add = (name: string): void => {
    if (ordered.has(name)) return;
    const described = files.get(name) ?? wellKnownFile(name);
    if (described === undefined) return; // what it defines will be missed, if anything
    if (open.has(name)) throw new RpcError('RPC_PROTO_INVALID', `${name}: files import each other`);
    open.add(name);
    for (const dependency of described.file.dependency ?? []) add(dependency);
    open.delete(name);
    ordered.set(name, described);
  };
  for (const name of files.keys()) add(name);
  return [...ordered.values()];
}

function wellKnownFile(name: string): DescribedFile | undefined {
  const parsed = wellKnownProto(name)?.get(name);
  return parsed === undefined ? undefined : { file: parsed.file, bytes: null };
}
