// What both sides agree on: services, their methods, and how messages become bytes.
// contract/ makes these from .proto files, at run time or as generated code; client/, server/ and grpc/ only use them.

export type CallKind = 'unary' | 'server-stream' | 'client-stream' | 'bidi-stream';

/** What the .proto says of repeating a call: its option `idempotency_level`. */
export type Idempotency = 'unknown' | 'idempotent' | 'no-side-effects';

export const SERIALIZERS = ['protobuf', 'json'] as const;
export type SerializerName = (typeof SERIALIZERS)[number];

/** An encoded message that is not written yet. Valid until the same codec encodes again. */
export interface EncodedMessage {
  readonly bytes: number;
  /** The caller made room for `bytes` at `offset`. */
  writeTo(target: Uint8Array, offset: number): void;
}

/** One message type in one serializer. Codecs are made once and shared by all calls of a thread. */
export interface MessageCodec<T = unknown> {
  /** @throws RpcError RPC_MESSAGE_INVALID: the value does not fit the type */
  encode(message: T): EncodedMessage;
  /** Keeps nothing of `bytes`: byte fields are copies. @throws RpcError RPC_MESSAGE_INVALID */
  decode(bytes: Uint8Array): T;
}

export interface MessageType<T = unknown> {
  /** Without a leading dot: `demo.HelloRequest`. */
  readonly fullName: string;
  codec(serializer: SerializerName): MessageCodec<T>;
  /** For tools and the JSON serializer: proto3 JSON both ways. @throws RpcError RPC_MESSAGE_INVALID */
  toJson(message: T): unknown;
  fromJson(json: unknown): T;
}

export interface MethodContract<Request = unknown, Response = unknown> {
  /** `/demo.Greeter/SayHello` */
  readonly path: string;
  /** As the .proto has it: `SayHello`. */
  readonly name: string;
  /** As TypeScript calls it: `sayHello`. */
  readonly localName: string;
  readonly kind: CallKind;
  readonly idempotency: Idempotency;
  readonly requestType: MessageType<Request>;
  readonly responseType: MessageType<Response>;
}

/** By local name. */
export type MethodTable = Readonly<Record<string, MethodContract>>;

/** Generated code knows the types of its handlers and methods; of contracts made at run time they are not known. */
export interface ServiceContract<
  Handlers extends object = object,
  Methods extends MethodTable = MethodTable,
> {
  /** `demo.Greeter` */
  readonly fullName: string;
  readonly methods: Methods;
  /**
   * The serialized google.protobuf.FileDescriptorProto of its file and of everything that imports, dependencies
   * first: what reflection hands out.
   */
  fileDescriptors(): readonly Uint8Array[];
  /** Never there: tells `implement` the type of the handlers. */
  readonly handlersType?: Handlers;
}

/**
 * What may be sent as a message of type T: any of its fields may be left out, at any depth. Messages that come have all
 * fields that have a default.
 */
export type MessageInit<T> = { readonly [K in keyof T]?: FieldInit<T[K]> | undefined };

type FieldInit<V> = V extends bigint | boolean | number | string | Uint8Array | undefined
  ? V
  : V extends readonly (infer Item)[]
    ? ListInit<Item>
    : string extends keyof V
      ? { readonly [K in keyof V]: FieldInit<V[K]> } // a map
      : MessageInit<V>;

/** A list of numbers may come as a typed array; one of an enum's may not. */
type ListInit<Item> =
  | readonly FieldInit<Item>[]
  | (number extends Item ? NumberArray : never)
  | (bigint extends Item ? BigInt64Array | BigUint64Array : never);

type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint16Array
  | Uint32Array;
