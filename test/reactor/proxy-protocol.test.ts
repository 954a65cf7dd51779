import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROXY_HEADER_BYTES_MAX, type ProxyHeader, ProxyHeaderParser } from '../../reactor/proxy-protocol.js';

const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const APPLICATION = Buffer.from('first bytes of the application');

function header(versionAndCommand: number, family: number, rest: Uint8Array): Buffer {
  const fixed = Buffer.from([versionAndCommand, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

function tcp4(tlvs: Uint8Array = Buffer.alloc(0)): Buffer {
  const addresses = Buffer.from([192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb]);
  return header(0x21, 0x11, Buffer.concat([addresses, tlvs]));
}

function tcp6(source: string, destination: string): Buffer {
  return header(0x21, 0x21, Buffer.from(`${source}${destination}1f900050`, 'hex'));
}

/** Feeds the whole wire at once; gives the header and the bytes after it. */
function parse(wire: Buffer): { parsed: ProxyHeader | null; rest: Buffer } {
  const parser = new ProxyHeaderParser();
  const used = parser.feed(wire);
  return { parsed: parser.header, rest: wire.subarray(used) };
}

const TCP4: ProxyHeader = {
  command: 'proxy',
  family: 'tcp4',
  sourceAddress: '192.0.2.7',
  sourcePort: 56_324,
  destinationAddress: '10.0.0.1',
  destinationPort: 443,
};

test('a TCP4 header gives both addresses and leaves the application bytes alone', () => {
  const { parsed, rest } = parse(Buffer.concat([tcp4(), APPLICATION]));
  assert.deepEqual(parsed, TCP4);
  assert.deepEqual(rest, APPLICATION);
});

test('a header cut at every byte, and one byte at a time, gives the same answer', () => {
  const wire = Buffer.concat([tcp4(Buffer.from([0x04, 0, 3, 1, 2, 3])), APPLICATION]);
  for (let cut = 1; cut < wire.length; cut += 1) {
    assert.deepEqual(parseInPieces([wire.subarray(0, cut), wire.subarray(cut)]), {
      parsed: TCP4,
      rest: APPLICATION,
    });
  }
  const bytes = Array.from(wire, (_, index) => wire.subarray(index, index + 1));
  assert.deepEqual(parseInPieces(bytes), { parsed: TCP4, rest: APPLICATION });
});

test('what was fed is not kept: the read buffer may be overwritten between two chunks', () => {
  const wire = tcp4();
  const readBuffer = Buffer.alloc(64);
  const parser = new ProxyHeaderParser();
  wire.copy(readBuffer, 0, 0, 14);
  parser.feed(readBuffer.subarray(0, 14));
  readBuffer.fill(0xff);
  wire.copy(readBuffer, 0, 14);
  parser.feed(readBuffer.subarray(0, wire.length - 14));
  assert.deepEqual(parser.header, TCP4);
});

test('type-length-values are skipped up to the bound and refused beyond it, judged on the fixed part alone', () => {
  const largest = tcp4(Buffer.alloc(PROXY_HEADER_BYTES_MAX - 28));
  assert.equal(largest.length, PROXY_HEADER_BYTES_MAX);
  assert.deepEqual(parse(largest).parsed, TCP4);
  const tooLarge = tcp4(Buffer.alloc(PROXY_HEADER_BYTES_MAX - 27)).subarray(0, 16);
  assert.throws(() => parse(tooLarge), { code: 'REACTOR_PROXY_HEADER_INVALID' });
});

test('IPv6 addresses come out in their short form', () => {
  const cases = [
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['00000000000000000000000000000001', '::1'],
    ['00000000000000000000000000000000', '::'],
    ['fe800000000000000202b3fffe1e8329', 'fe80::202:b3ff:fe1e:8329'],
    ['20010db8000100010001000100010000', '2001:db8:1:1:1:1:1:0'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'],
    ['00000000000000000000ffffc0000207', '::ffff:192.0.2.7'],
  ] as const;
  for (const [hex, text] of cases) {
    const { parsed } = parse(tcp6(hex, '20010db8000000000000000000000001'));
    assert.equal(parsed?.sourceAddress, text);
    assert.equal(parsed?.destinationAddress, '2001:db8::1');
    assert.deepEqual([parsed?.sourcePort, parsed?.destinationPort], [8080, 80]);
  }
});

test('a Unix header gives the socket paths without their padding, abstract names with their zero byte', () => {
  const rest = Buffer.alloc(216);
  rest.write('/run/client.sock', 0);
  rest.write('\0abstract', 108);
  const { parsed } = parse(header(0x21, 0x31, rest));
  assert.equal(parsed?.family, 'unix');
  assert.equal(parsed?.sourceAddress, '/run/client.sock');
  assert.equal(parsed?.destinationAddress, '\0abstract');
});

test('a LOCAL header and an unspecified family claim no address, whatever follows', () => {
  const junk = Buffer.from([1, 2, 3]);
  for (const wire of [header(0x20, 0x11, junk), header(0x20, 0x77, junk), header(0x21, 0x00, junk)]) {
    const { parsed, rest } = parse(Buffer.concat([wire, APPLICATION]));
    assert.equal(parsed?.family, 'unspecified');
    assert.equal(parsed?.sourceAddress, '');
    assert.deepEqual(rest, APPLICATION);
  }
});

test('a header that cannot be right is refused at its first wrong byte', () => {
  const wrong: [string, Buffer][] = [
    ['plain application bytes', Buffer.from('GET / HTTP/1.1\r\n')],
    ['one wrong first byte', Buffer.from([0x00])],
    ['a version 1 header', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n')],
    ['a wrong last signature byte', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from([0x0b])])],
    ['version 1 in a binary header', header(0x11, 0x11, Buffer.alloc(12))],
    ['an unknown command', header(0x22, 0x11, Buffer.alloc(12))],
    ['an unknown family', header(0x21, 0x41, Buffer.alloc(12))],
    ['a TCP4 header of 11 bytes', header(0x21, 0x11, Buffer.alloc(11))],
    ['a TCP6 header of 12 bytes', header(0x21, 0x21, Buffer.alloc(12))],
    ['a Unix header of 36 bytes', header(0x21, 0x31, Buffer.alloc(36))],
  ];
  for (const [what, wire] of wrong) {
    assert.throws(() => parse(wire), { code: 'REACTOR_PROXY_HEADER_INVALID' }, what);
  }
});

function parseInPieces(pieces: readonly Buffer[]): { parsed: ProxyHeader | null; rest: Buffer } {
  const parser = new ProxyHeaderParser();
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    const used = parser.header === null ? parser.feed(piece) : 0;
    rest.push(piece.subarray(used));
  }
  return { parsed: parser.header, rest: Buffer.concat(rest) };
}
