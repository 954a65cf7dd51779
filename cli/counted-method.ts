// A method whose messages are counted as they cross, and whose requests are encoded once for all calls of a bench.
// rpc-bench.ts calls it in place of the original. Bytes are those of messages, without frames, headers and TLS.

import type {
  EncodedMessage,
  MessageCodec,
  MessageType,
  MethodContract,
  SerializerName,
} from '../rpc/index.js';

export class MessageCounts {
  messagesSent = 0;
  bytesSent = 0;
  messagesReceived = 0;
  bytesReceived = 0;
}

/** @param method is only called with messages that stay as they are */
export function countedMethod(method: MethodContract, counts: MessageCounts): MethodContract {
  return {
    ...method,
    requestType: countedType(method.requestType, (codec) => new KeptEncodings(codec, counts)),
    responseType: countedType(method.responseType, (codec) => ({
      encode: (message) => codec.encode(message),
      decode: (bytes) => {
        counts.messagesReceived += 1;
        counts.bytesReceived += bytes.length;
        return codec.decode(bytes);
      },
    })),
  };
}

function countedType(type: MessageType, counted: (codec: MessageCodec) => MessageCodec): MessageType {
  const codecs = new Map<SerializerName, MessageCodec>();
  return {
    fullName: type.fullName,
    toJson: (message) => type.toJson(message),
    fromJson: (json) => type.fromJson(json),
    codec(serializer) {
      let codec = codecs.get(serializer);
      if (codec === undefined) {
        codec = counted(type.codec(serializer));
        codecs.set(serializer, codec);
      }
      return codec;
    },
  };
}

class KeptEncodings implements MessageCodec {
  readonly #codec: MessageCodec;
  readonly #counts: MessageCounts;
  readonly #kept = new Map<unknown, EncodedMessage>();

  constructor(codec: MessageCodec, counts: MessageCounts) {
    this.#codec = codec;
    this.#counts = counts;
  }

  encode(message: unknown): EncodedMessage {
    let encoded = this.#kept.get(message);
    if (encoded === undefined) {
      encoded = copyOf(this.#codec.encode(message));
      this.#kept.set(message, encoded);
    }
    this.#counts.messagesSent += 1;
    this.#counts.bytesSent += encoded.bytes;
    return encoded;
  }

  decode(bytes: Uint8Array): unknown {
    return this.#codec.decode(bytes);
  }
}

function copyOf(encoded: EncodedMessage): EncodedMessage {
  const kept = new Uint8Array(encoded.bytes);
  encoded.writeTo(kept, 0);
  return { bytes: kept.length, writeTo: (target, offset) => target.set(kept, offset) };
}
