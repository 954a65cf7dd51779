// Reads the PROXY protocol header, version 2, that a load balancer sends before a connection's own bytes.
// The connection's preface feeds it what arrived first; the bytes after the header go on to the codec.
// Pure: no socket, no timer, so a test may cut the header at any byte. Type-length-values are skipped.
// Wire, big-endian: 12 signature bytes | version and command u8 | family u8 | restBytes u16 | addresses | TLVs.

import assert from 'node:assert/strict';
import { ReactorError } from './errors.js';

/** Bytes a whole header may have; the largest address block is 216, so this leaves room for TLVs. */
export const PROXY_HEADER_BYTES_MAX: number = 4096;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = 16;
const UNIX_PATH_BYTES = 108;

export type ProxyFamily = 'tcp4' | 'tcp6' | 'udp4' | 'udp6' | 'unix' | 'unspecified';

/** What the header said. For 'local' and for an unspecified family the real socket addresses hold. */
export interface ProxyHeader {
  /** 'local': the balancer speaks for itself (a health check); 'proxy': it relays a client. */
  readonly command: 'local' | 'proxy';
  readonly family: ProxyFamily;
  /** The client's address or socket path, '' when not given. */
  readonly sourceAddress: string;
  readonly sourcePort: number;
  /** Where the client connected to, '' when not given. */
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

const LAYOUTS: Record<number, { readonly family: ProxyFamily; readonly bytes: number }> = {
  0x00: { family: 'unspecified', bytes: 0 },
  0x11: { family: 'tcp4', bytes: 12 },
  0x12: { family: 'udp4', bytes: 12 },
  0x21: { family: 'tcp6', bytes: 36 },
  0x22: { family: 'udp6', bytes: 36 },
  0x31: { family: 'unix', bytes: 2 * UNIX_PATH_BYTES },
  0x32: { family: 'unix', bytes: 2 * UNIX_PATH_BYTES },
};

/** One connection's parser; drop it when `header` is there. */
export class ProxyHeaderParser {
  #kept: Buffer = Buffer.alloc(0);
  #header: ProxyHeader | null = null;

  /** The header, once it was complete. */
  get header(): ProxyHeader | null {
    return this.#header;
  }

  /**
   * Takes one chunk and returns how many of its bytes belong to the header: all of them while `header` is
   * null, and when it is not, the rest of the chunk are the connection's first own bytes. `chunk` is not kept.
   * @throws ReactorError REACTOR_PROXY_HEADER_INVALID at the first byte that cannot be right: close the connection.
   */
  feed(chunk: Buffer): number {
    assert(this.#header === null, 'a complete header takes no more bytes');
    const keptBytes = this.#kept.length;
    // The sum of both is small: nothing beyond the largest header is ever copied.
    const bytes =
      keptBytes === 0 ? chunk : Buffer.concat([this.#kept, chunk.subarray(0, PROXY_HEADER_BYTES_MAX)]);
    checkSignature(bytes);
    const headerBytes = bytes.length < FIXED_BYTES ? 0 : announcedBytes(bytes);
    if (headerBytes === 0 || bytes.length < headerBytes) {
      this.#kept = keptBytes === 0 ? Buffer.from(chunk) : bytes;
      return chunk.length;
    }
    this.#header = decode(bytes);
    this.#kept = Buffer.alloc(0);
    return headerBytes - keptBytes;
  }
}

function checkSignature(bytes: Buffer): void {
  const length = Math.min(bytes.length, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, length, 0, length) !== 0)
    throw invalid('does not start with the version 2 signature');
}

/** Bytes of the whole header; everything the fixed part can tell is checked here. */
function announcedBytes(bytes: Buffer): number {
  const versionAndCommand = bytes.readUInt8(12);
  if (versionAndCommand >> 4 !== 2) throw invalid(`has version ${versionAndCommand >> 4}, not 2`);
  if ((versionAndCommand & 0x0f) > 1) throw invalid(`has the unknown command ${versionAndCommand & 0x0f}`);
  const headerBytes = FIXED_BYTES + bytes.readUInt16BE(14);
  if (headerBytes > PROXY_HEADER_BYTES_MAX)
    throw invalid(`has ${headerBytes} bytes, more than ${PROXY_HEADER_BYTES_MAX}`);
  if ((versionAndCommand & 0x0f) === 1) {
    const layout = LAYOUTS[bytes.readUInt8(13)];
    if (layout === undefined) throw invalid(`has the unknown family 0x${bytes.readUInt8(13).toString(16)}`);
    if (headerBytes < FIXED_BYTES + layout.bytes)
      throw invalid(`is too short for a ${layout.family} address`);
  }
  return headerBytes;
}

function decode(bytes: Buffer): ProxyHeader {
  const command = (bytes.readUInt8(12) & 0x0f) === 1 ? 'proxy' : 'local';
  // A receiver ignores whatever a LOCAL header says about addresses, so its family is not even checked.
  const family =
    command === 'local' ? 'unspecified' : (LAYOUTS[bytes.readUInt8(13)]?.family ?? 'unspecified');
  switch (family) {
    case 'unspecified':
      return addressed(command, family, '', 0, '', 0);
    case 'tcp4':
    case 'udp4':
      return addressed(
        command,
        family,
        ipv4(bytes, 16),
        bytes.readUInt16BE(24),
        ipv4(bytes, 20),
        bytes.readUInt16BE(26),
      );
    case 'tcp6':
    case 'udp6':
      return addressed(
        command,
        family,
        ipv6(bytes, 16),
        bytes.readUInt16BE(48),
        ipv6(bytes, 32),
        bytes.readUInt16BE(50),
      );
    case 'unix':
      return addressed(command, family, unixPath(bytes, 16), 0, unixPath(bytes, 16 + UNIX_PATH_BYTES), 0);
    default:
      return family satisfies never;
  }
}

function addressed(
  command: ProxyHeader['command'],
  family: ProxyFamily,
  sourceAddress: string,
  sourcePort: number,
  destinationAddress: string,
  destinationPort: number,
): ProxyHeader {
  return { command, family, sourceAddress, sourcePort, destinationAddress, destinationPort };
}

function ipv4(bytes: Buffer, offset: number): string {
  return bytes.subarray(offset, offset + 4).join('.');
}

/** The short form of RFC 5952: the longest run of at least two zero groups becomes `::`. */
function ipv6(bytes: Buffer, offset: number): string {
  const isMappedIpv4 = bytes.readUIntBE(offset, 6) === 0 && bytes.readUIntBE(offset + 6, 6) === 0xffff;
  if (isMappedIpv4) return `::ffff:${ipv4(bytes, offset + 12)}`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(offset + 2 * index).toString(16));
  let runStart = 0;
  let runLength = 0;
  for (let start = 0; start < 8; start += 1) {
    let end = start;
    while (end < 8 && groups[end] === '0') end += 1;
    if (end - start > runLength) [runStart, runLength] = [start, end - start];
  }
  if (runLength < 2) return groups.join(':');
  return `${groups.slice(0, runStart).join(':')}::${groups.slice(runStart + runLength).join(':')}`;
}

/** A socket path ends at its first zero byte; an abstract name begins with one and keeps it. */
function unixPath(bytes: Buffer, offset: number): string {
  const field = bytes.subarray(offset, offset + UNIX_PATH_BYTES);
  const end = field.indexOf(0, 1);
  const name = field.toString('utf8', 0, end < 0 ? UNIX_PATH_BYTES : end);
  return name === '\0' ? '' : name;
}

function invalid(what: string): ReactorError {
  return new ReactorError('REACTOR_PROXY_HEADER_INVALID', `the PROXY header ${what}`);
}
