// The serializers: messages to bytes and back, as protobuf or as JSON. calls use one codec per message type and thread.
// Codecs turn what went wrong inside into RpcErrors.

import type { EncodedMessage, MessageCodec, MessageType, SerializerName } from '../contract.js';
import type { CompiledType, TypeFamily } from './compiled-type.js';
import { messageInvalid } from './field-error.js';
import { type JsonContext, messageFromJson, messageToJson } from './json-mapping.js';
import type { MessageSchema } from './schema.js';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

/** One for the thread: decoding never calls foreign code, so it never begins inside itself. */
const READER = new WireReader();

export class ProtobufCodec implements MessageCodec, EncodedMessage {
  bytes: number = 0;
  readonly #type: CompiledType;
  #writer: WireWriter = new WireWriter();
  #isEncoding: boolean = false;

  constructor(type: CompiledType) {
    this.#type = type;
  }

  encode(message: unknown): EncodedMessage {
    // Only a getter of the message can bring us here twice; its inner message gets a writer of its own.
    if (this.#isEncoding) return new ProtobufCodec(this.#type).encode(message);
    const writer = this.#writer;
    writer.start();
    this.#isEncoding = true;
    try {
      this.#type.encode(writer, message, 0);
    } catch (error) {
      throw messageInvalid(error, this.#type.schema.fullName, 'encode');
    } finally {
      this.#isEncoding = false;
    }
    this.bytes = writer.pos;
    return this;
  }

  writeTo(target: Uint8Array, offset: number): void {
    this.#writer.copyTo(target, offset);
  }

  decode(bytes: Uint8Array): unknown {
    const reader = READER;
    reader.start(bytes);
    try {
      return this.#type.decode(reader, 0, undefined);
    } catch (error) {
      throw messageInvalid(error, this.#type.schema.fullName, 'decode');
    } finally {
      reader.finish();
    }
  }
}

class JsonCodec implements MessageCodec {
  readonly #type: MessageType;

  constructor(type: MessageType) {
    this.#type = type;
  }

  encode(message: unknown): EncodedMessage {
    const text = JSON.stringify(this.#type.toJson(message));
    const encoded = Buffer.from(text);
    return {
      bytes: encoded.length,
      writeTo: (target, offset) => target.set(encoded, offset),
    };
  }

  decode(bytes: Uint8Array): unknown {
    let json: unknown;
    try {
      json = JSON.parse(STRICT_UTF8.decode(bytes));
    } catch (error) {
      throw messageInvalid(error, this.#type.fullName, 'decode');
    }
    return this.#type.fromJson(json);
  }
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

export class SchemaMessageType implements MessageType {
  readonly fullName: string;
  readonly schema: MessageSchema;
  readonly #context: JsonContext;
  readonly #codecs: Readonly<Record<SerializerName, MessageCodec>>;

  constructor(schema: MessageSchema, family: TypeFamily, context: JsonContext) {
    this.fullName = schema.fullName;
    this.schema = schema;
    this.#context = context;
    this.#codecs = { protobuf: new ProtobufCodec(family.of(schema)), json: new JsonCodec(this) };
  }

  codec(serializer: SerializerName): MessageCodec {
    return this.#codecs[serializer];
  }

  toJson(message: unknown): unknown {
    try {
      return messageToJson(this.schema, message, this.#context);
    } catch (error) {
      throw messageInvalid(error, this.fullName, 'write as JSON');
    }
  }

  fromJson(json: unknown): unknown {
    try {
      return messageFromJson(this.schema, json, this.#context);
    } catch (error) {
      throw messageInvalid(error, this.fullName, 'read from JSON');
    }
  }
}
