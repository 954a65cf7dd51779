// Requests that two parsers in a row may read differently, after the families known from public reports:
// framing headers that contradict each other or are spelled oddly, line ends and control bytes, chunks, versions,
// targets and hosts. Each is to be refused, and what follows it is never to be read as a request.

export interface SmugglingCase {
  readonly title: string;
  readonly wire: string;
}

const HOST = 'Host: example.com\r\n';
const CHUNKED = `POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;

/** A whole POST with these header lines and 5 bytes of body. */
function post(lines: string, body = 'hello'): string {
  return `POST /echo HTTP/1.1\r\n${HOST}${lines}\r\n${body}`;
}

/** A whole GET with these header lines. */
function get(lines: string): string {
  return `GET / HTTP/1.1\r\n${HOST}${lines}\r\n`;
}

/** A GET whose request line is this one, with its end. */
function line(requestLine: string): string {
  return `${requestLine}${HOST}\r\n`;
}

const CHUNK_END = '0\r\n\r\n';
const TE = 'Transfer-Encoding';

const WIRES: Readonly<Record<string, string>> = {
  // Content-Length against Transfer-Encoding.
  'CL.TE': post(`Content-Length: 5\r\n${TE}: chunked\r\n`, CHUNK_END),
  'TE.CL': post(`${TE}: chunked\r\nContent-Length: 5\r\n`, CHUNK_END),
  'CL.TE with another case': post(`content-length: 5\r\ntransfer-encoding: Chunked\r\n`, CHUNK_END),
  'CL 0 with TE': post(`Content-Length: 0\r\n${TE}: chunked\r\n`, CHUNK_END),
  'TE identity with CL': post(`Content-Length: 5\r\n${TE}: identity\r\n`),

  // Transfer-Encoding spelled so that one of two parsers misses it.
  'TE twice': post(`${TE}: chunked\r\n${TE}: chunked\r\n`, CHUNK_END),
  'TE chunked and another': post(`${TE}: chunked\r\n${TE}: identity\r\n`, CHUNK_END),
  'TE list ending in chunked': post(`${TE}: gzip, chunked\r\n`, CHUNK_END),
  'TE list not ending in chunked': post(`${TE}: chunked, gzip\r\n`, CHUNK_END),
  'TE chunked twice in a list': post(`${TE}: chunked, chunked\r\n`, CHUNK_END),
  'TE identity': post(`${TE}: identity\r\n`, CHUNK_END),
  'TE unknown': post(`${TE}: xchunked\r\n`, CHUNK_END),
  'TE with trailing letters': post(`${TE}: chunkedx\r\n`, CHUNK_END),
  'TE quoted': post(`${TE}: "chunked"\r\n`, CHUNK_END),
  'TE with a leading comma': post(`${TE}: , chunked\r\n`, CHUNK_END),
  'TE with a parameter': post(`${TE}: chunked;q=1\r\n`, CHUNK_END),
  'TE with a space before the colon': post(`${TE} : chunked\r\n`, CHUNK_END),
  'TE with a tab before the colon': post(`${TE}\t: chunked\r\n`, CHUNK_END),
  'TE with a vertical tab in its value': post(`${TE}: \x0bchunked\r\n`, CHUNK_END),
  'TE with a form feed in its value': post(`${TE}: chunked\x0c\r\n`, CHUNK_END),
  'TE with a NUL in its value': post(`${TE}: chunked\0\r\n`, CHUNK_END),
  'TE with a byte above 127': post(`${TE}: chunked\xff\r\n`, CHUNK_END),
  'TE folded': post(`${TE}:\r\n chunked\r\n`, CHUNK_END),
  'TE folded after its value': post(`${TE}: chunked\r\n , identity\r\n`, CHUNK_END),
  'TE on a line that begins with a space': post(`X: y\r\n ${TE}: chunked\r\n`, CHUNK_END),
  'TE behind a bare CR': post(`X: y\r${TE}: chunked\r\n`, CHUNK_END),
  'TE behind a bare LF': post(`X: y\n${TE}: chunked\r\n`, CHUNK_END),
  'TE behind LF CR': post(`X: y\n\r${TE}: chunked\r\n`, CHUNK_END),
  'TE empty': post(`${TE}: \r\n`, CHUNK_END),
  'TE in HTTP/1.0': `POST /echo HTTP/1.0\r\n${HOST}${TE}: chunked\r\n\r\n${CHUNK_END}`,

  // Content-Length.
  'CL twice, different': post('Content-Length: 5\r\nContent-Length: 6\r\n'),
  'CL twice, the same': post('Content-Length: 5\r\nContent-Length: 5\r\n'),
  'CL as a list': post('Content-Length: 5, 5\r\n'),
  'CL as a list of different lengths': post('Content-Length: 5, 6\r\n'),
  'CL with a plus sign': post('Content-Length: +5\r\n'),
  'CL negative': post('Content-Length: -5\r\n'),
  'CL hexadecimal': post('Content-Length: 0x5\r\n'),
  'CL with a space inside': post('Content-Length: 1 0\r\n'),
  'CL with an underscore': post('Content-Length: 1_0\r\n'),
  'CL with a fraction': post('Content-Length: 5.0\r\n'),
  'CL with an exponent': post('Content-Length: 5e0\r\n'),
  'CL with letters behind': post('Content-Length: 5abc\r\n'),
  'CL empty': post('Content-Length: \r\n'),
  'CL above 64 bits': post('Content-Length: 18446744073709551621\r\n'),
  'CL above the limit': post('Content-Length: 99999999999\r\n'),
  'CL with a space before the colon': post('Content-Length : 5\r\n'),
  'CL folded': post('Content-Length:\r\n 5\r\n'),
  'CL with a NUL': post('Content-Length: 5\0\r\n'),

  // Lines and bytes of the head.
  'bare LF after the request line': `GET / HTTP/1.1\n${HOST}\r\n`,
  'bare LF after the target': `GET /\n${HOST}\r\n`,
  'bare LF after a header': `GET / HTTP/1.1\r\nHost: example.com\n\r\n`,
  'bare LF before the empty line': `GET / HTTP/1.1\r\n${HOST}\n`,
  'bare LF everywhere': 'GET / HTTP/1.1\nHost: example.com\n\n',
  'bare CR after the request line': `GET / HTTP/1.1\r${HOST}\r\n`,
  'bare CR in a value': get('X: a\rb\r\n'),
  'bare CR in a name': get('X\rY: a\r\n'),
  'CR CR LF after a header': get('X: a\r\r\n'),
  'empty line with a space': get('X: a\r\n \r\n'),
  'folded value': get('X: a\r\n b\r\n'),
  'folded value with a tab': get('X: a\r\n\tb\r\n'),
  'folded first header': `GET / HTTP/1.1\r\n X: a\r\n${HOST}\r\n`,
  'NUL in a name': get('X\0Y: a\r\n'),
  'NUL in a value': get('X: a\0b\r\n'),
  'control byte in a name': get('X\x01: a\r\n'),
  'control byte in a value': get('X: a\x01b\r\n'),
  'DEL in a value': get('X: a\x7fb\r\n'),
  'byte above 127 in a name': get('X\xe9: a\r\n'),
  'space in a name': get('X Y: a\r\n'),
  'space before the colon': get('X : a\r\n'),
  'no name': get(': a\r\n'),
  'no colon': get('Xa\r\n'),
  'brackets in a name': get('X(Y): a\r\n'),
  'leading CRLF': `\r\n${get('')}`,
  'many leading CRLFs': `\r\n\r\n\r\n${get('')}`,
  'leading LF': `\n${get('')}`,
  'leading space': ` ${get('')}`,

  // The request line.
  'HTTP/0.9': 'GET /\r\n',
  'HTTP/0.9 with headers': `GET /\r\n${HOST}\r\n`,
  'HTTP/1.2': line('GET / HTTP/1.2\r\n'),
  'HTTP/2.0': line('GET / HTTP/2.0\r\n'),
  'HTTP/1': line('GET / HTTP/1\r\n'),
  'HTTP/1.10': line('GET / HTTP/1.10\r\n'),
  'HTTP/01.1': line('GET / HTTP/01.1\r\n'),
  'lower-case http/1.1': line('GET / http/1.1\r\n'),
  'another protocol': line('GET / ICE/1.0\r\n'),
  RTSP: line('OPTIONS / RTSP/1.0\r\n'),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'no version but a space': line('GET / \r\n'),
  'two spaces after the method': line('GET  / HTTP/1.1\r\n'),
  'two spaces before the version': line('GET /  HTTP/1.1\r\n'),
  'tab after the method': line('GET\t/ HTTP/1.1\r\n'),
  'tab before the version': line('GET /\tHTTP/1.1\r\n'),
  'space after the version': line('GET / HTTP/1.1 \r\n'),
  'space in the target': line('GET /a b HTTP/1.1\r\n'),
  'NUL in the target': line('GET /a\0b HTTP/1.1\r\n'),
  'control byte in the target': line('GET /a\x01b HTTP/1.1\r\n'),
  'fragment in the target': line('GET /a#b HTTP/1.1\r\n'),
  'target without a slash': line('GET index.html HTTP/1.1\r\n'),
  'asterisk for GET': line('GET * HTTP/1.1\r\n'),
  'unknown method': line('GTE / HTTP/1.1\r\n'),
  'lower-case method': line('get / HTTP/1.1\r\n'),
  'method with a control byte': line('G\x01T / HTTP/1.1\r\n'),
  'method with a colon': line('GET: / HTTP/1.1\r\n'),
  'a method of another protocol': line('DESCRIBE / HTTP/1.1\r\n'),
  'a response': 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  CONNECT: 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n',

  // Host.
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'Host twice': get('Host: example.com\r\n'),
  'Host twice, different': get('Host: other.example\r\n'),
  'Host empty': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'Host with a space': 'GET / HTTP/1.1\r\nHost: example.com other\r\n\r\n',
  'Host with a slash': 'GET / HTTP/1.1\r\nHost: example.com/x\r\n\r\n',
  'Host with user information': 'GET / HTTP/1.1\r\nHost: user@example.com\r\n\r\n',
  'Host with a bad port': 'GET / HTTP/1.1\r\nHost: example.com:80x\r\n\r\n',
  'Host list': 'GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n',
  'absolute target of another host': line('GET http://other.example/ HTTP/1.1\r\n'),
  'absolute target with user information': line('GET http://user@example.com/ HTTP/1.1\r\n'),
  'absolute target of another scheme': line('GET ftp://example.com/ HTTP/1.1\r\n'),

  // Chunks.
  'chunk size with a sign': `${CHUNKED}+5\r\nhello\r\n${CHUNK_END}`,
  'chunk size negative': `${CHUNKED}-5\r\nhello\r\n${CHUNK_END}`,
  'chunk size with 0x': `${CHUNKED}0x5\r\nhello\r\n${CHUNK_END}`,
  'chunk size with an underscore': `${CHUNKED}1_0\r\nhello\r\n${CHUNK_END}`,
  'chunk size with a leading space': `${CHUNKED} 5\r\nhello\r\n${CHUNK_END}`,
  'chunk size with a trailing space': `${CHUNKED}5 \r\nhello\r\n${CHUNK_END}`,
  'chunk size above 64 bits': `${CHUNKED}10000000000000005\r\nhello\r\n${CHUNK_END}`,
  'chunk size not hexadecimal': `${CHUNKED}g\r\nhello\r\n${CHUNK_END}`,
  'chunk size empty': `${CHUNKED}\r\nhello\r\n${CHUNK_END}`,
  'chunk size that ends in a bare LF': `${CHUNKED}5\nhello\r\n${CHUNK_END}`,
  'chunk size that ends in a bare CR': `${CHUNKED}5\rhello\r\n${CHUNK_END}`,
  'chunk longer than its size': `${CHUNKED}3\r\nhello\r\n${CHUNK_END}`,
  'chunk without CRLF behind it': `${CHUNKED}5\r\nhello${CHUNK_END}`,
  'chunk with a bare LF behind it': `${CHUNKED}5\r\nhello\n${CHUNK_END}`,
  'chunk with a bare CR behind it': `${CHUNKED}5\r\nhello\r${CHUNK_END}`,
  'chunk with other bytes behind it': `${CHUNKED}5\r\nhelloXX${CHUNK_END}`,
  'chunk extension with a bare LF': `${CHUNKED}5;a\nhello\r\n${CHUNK_END}`,
  'chunk extension with a bare CR': `${CHUNKED}5;a\rb\r\nhello\r\n${CHUNK_END}`,
  'chunk extension with a NUL': `${CHUNKED}5;a\0\r\nhello\r\n${CHUNK_END}`,
  'chunk extension with an open quote': `${CHUNKED}5;a="b\r\nhello\r\n${CHUNK_END}`,
  'chunk extension with a line end in quotes': `${CHUNKED}5;a="b\r\n"\r\nhello\r\n${CHUNK_END}`,
  'last chunk that ends in a bare LF': `${CHUNKED}5\r\nhello\r\n0\n\r\n`,
  'last chunk with a bare LF behind it': `${CHUNKED}5\r\nhello\r\n0\r\n\n`,
  'last chunk with other bytes behind it': `${CHUNKED}5\r\nhello\r\n0\r\nX`,
  trailers: `${CHUNKED}5\r\nhello\r\n0\r\nX: y\r\n\r\n`,
  'trailers that look like a request': `${CHUNKED}0\r\nGET: /\r\nHost: x\r\n\r\n`,

  // What a client may only mean for somebody else.
  Upgrade: get('Connection: Upgrade\r\nUpgrade: websocket\r\n'),
  'Upgrade to HTTP/2': get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
  'an unknown expectation': post('Expect: 200-ok\r\nContent-Length: 5\r\n'),
  'Expect twice': post('Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n'),
};

/** Sent behind each; a handler that sees it was reached by smuggling. */
export const SMUGGLED_TARGET = '/smuggled';

export const SMUGGLING_CASES: readonly SmugglingCase[] = Object.entries(WIRES).map(([title, wire]) => ({
  title,
  wire: `${wire}GET ${SMUGGLED_TARGET} HTTP/1.1\r\n${HOST}\r\n`,
}));
