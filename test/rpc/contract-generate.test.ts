// Generated code: compiled with a reader's strictest settings, run, and used from both ends of a call.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  type Caller,
  createClient,
  generate,
  type GenerateOptions,
  readProtoFiles,
} from '../../rpc/index.js';
import { codeBlocksOf, fileNameOf } from '../support/document-code.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PROTO = path.join(ROOT, 'test/rpc/proto');

const TSCONFIG = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2023',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
    erasableSyntaxOnly: true,
    isolatedDeclarations: true,
    declaration: true,
    noUnusedLocals: true,
    noImplicitOverride: true,
  },
};

/** A project that has this package installed, with these files in it, compiled. */
async function compile(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = temporaryFolder(t);
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(ROOT, path.join(folder, 'node_modules/reactor-net'));
  symlinkSync(path.join(ROOT, 'node_modules/@types'), path.join(folder, 'node_modules/@types'));
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => {
    assert.fail(`it does not compile:\n${error.stdout}`);
  });
  return folder;
}

function generated(
  names: readonly string[],
  options: GenerateOptions = {},
  folder = PROTO,
): Record<string, string> {
  const files = readProtoFiles(
    names.map((name) => path.join(folder, name)),
    [folder],
  );
  return Object.fromEntries(generate(files, options).map((each) => [`gen/${each.path}`, each.text]));
}

/** The TypeScript of the document, by the file names it gives. */
async function documentExamples(): Promise<Record<string, string>> {
  const blocks = await codeBlocksOf('docs/rpc-contract.md');
  assert.equal(blocks.length, 2);
  return Object.fromEntries(blocks.map((block) => [fileNameOf(block), block]));
}

/** Both ends of calls in one process, over the serializers. */
const LOOPBACK = `// loopback.ts
import type { Caller, MethodContract, ServiceImplementation } from 'reactor-net/rpc';

export function loopback(implementation: ServiceImplementation): Caller {
  const pass = <T>(type: MethodContract<T>['requestType'], message: T): T => {
    const encoded = type.codec('protobuf').encode(message);
    const bytes = new Uint8Array(encoded.bytes);
    encoded.writeTo(bytes, 0);
    return type.codec('protobuf').decode(bytes);
  };
  const handle = (method: MethodContract<never, never>, input: unknown): unknown =>
    implementation.handlers[method.localName]!(input as never, {} as never);
  async function* through<T>(type: MethodContract<T>['requestType'], messages: unknown): AsyncGenerator<T> {
    for await (const message of messages as AsyncIterable<T>) yield pass(type, message);
  }
  const stream = (messages: object): never =>
    Object.assign(messages, { headers: Promise.resolve(), trailers: Promise.resolve(), cancel() {} }) as never;
  return {
    unary: async (method, request) =>
      pass(method.responseType, (await handle(method as never, pass(method.requestType, request))) as never),
    serverStream: (method, request) =>
      stream(through(method.responseType, handle(method as never, pass(method.requestType, request)))),
    clientStream: async (method, requests) =>
      pass(method.responseType, (await handle(method as never, through(method.requestType, requests))) as never),
    bidiStream: (method, requests) =>
      stream(through(method.responseType, handle(method as never, through(method.requestType, requests)))),
  };
}
`;

const ECHO_PROGRAM = `// main.ts
import { implement, type ServerCall } from 'reactor-net/rpc';
import { Echo, EchoClient, type EchoService, type SayRequest } from './gen/echo.js';
import { loopback } from './loopback.js';

class Service implements EchoService {
  readonly #greeting = 'said: ';
  say({ text, number, payload }: SayRequest, _call: ServerCall) {
    return { text: this.#greeting + text, number, payload };
  }
  async *list(request: { text: string; count: number }) {
    for (let index = 0; index < request.count; index += 1) yield { text: request.text, number: BigInt(index) };
  }
  async upload(requests: AsyncIterable<SayRequest>) {
    let count = 0n;
    for await (const _ of requests) count += 1n;
    return { count };
  }
  async *chat(requests: AsyncIterable<SayRequest>) {
    for await (const { text } of requests) yield { text };
  }
  count() {
    return {};
  }
}

const client = new EchoClient(loopback(implement(Echo, new Service())));
const reply = await client.say({ text: 'hi', number: 2n ** 62n, payload: new Uint8Array([1]) });
const list: bigint[] = [];
for await (const { number } of client.list({ text: 'x', count: 3 })) list.push(number);
const { count, bytes } = await client.upload([{ text: 'a' }, {}]);
const chat: string[] = [];
for await (const { text } of client.chat([{ text: 'b' }, { text: 'c' }])) chat.push(text);
const empty = await client.count({});
console.log(JSON.stringify([reply.text, String(reply.number), [...reply.payload], list.map(String), String(count), String(bytes), chat, empty.text]));
`;

const WRONG_PROGRAM = `// wrong.ts
import { implement } from 'reactor-net/rpc';
import type { MessageInit } from 'reactor-net/rpc';
import { Mood, type Tree } from './gen/all-types.js';
import { Echo, type EchoClient } from './gen/echo.js';

export const right: MessageInit<Tree> = {
  weights: new Float32Array(2),
  ids: [1n],
  moods: [Mood.SAD],
  byName: { a: { inner: { label: 'x' } } },
  maybe: undefined,
};
export const wrong: MessageInit<Tree> = {
  // @ts-expect-error: bigint, not numbers
  ids: new Float32Array(2),
  // @ts-expect-error: numbers of the enum
  moods: [7],
  // @ts-expect-error: a value of a map is a message
  byName: { a: undefined },
};

export const missing = (): unknown =>
  // @ts-expect-error: handlers are missing
  implement(Echo, { say: () => ({}) });
export function calls(client: EchoClient): void {
  // @ts-expect-error: text is a string
  void client.say({ text: 1 });
  // @ts-expect-error: there is no such field
  void client.say({ txet: 'a' });
  // @ts-expect-error: 64-bit integers are bigint
  void client.say({ number: 1 });
}
`;

test('a generated client and a generated service understand each other, and wrong types do not compile, nor would a wrong document', async (t) => {
  const folder = await compile(t, {
    ...generated(['echo.proto', 'all-types.proto']),
    ...(await documentExamples()),
    'loopback.ts': LOOPBACK,
    'main.ts': ECHO_PROGRAM,
    'wrong.ts': WRONG_PROGRAM,
  });
  const { stdout } = await run(process.execPath, [path.join(folder, 'main.js')]);
  assert.deepEqual(JSON.parse(stdout), [
    'said: hi',
    '4611686018427387904',
    [1],
    ['0', '1', '2'],
    '2',
    '0',
    ['b', 'c'],
    '',
  ]);
});

test('every kind of type, imports, well-known types and awkward names compile and come back', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    path.join(folder, 'main.proto'),
    `syntax = "proto3"; package awkward;
    import "sub/types.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/descriptor.proto";
    extend google.protobuf.FieldOptions { string hint = 50001; }
    // Ends a comment: */ and goes on.
    message Outer {
      message Inner { string class = 1; int64 constructor = 2 [deprecated = true]; }
      enum Kind { KIND_NONE = 0; KIND_SOME = 1; KIND_ALSO = 1; option allow_alias = true; }
      Inner inner = 1;
      Kind kind = 2;
      sub.types.Outer theirs = 3;
      google.protobuf.Timestamp at = 4;
      map<string, Inner> by_name = 5;
      string _1st = 6;
      map<int32, Kind> kinds = 7;
    }
    message Outer_Inner {}
    message Promise { repeated Promise all = 1; }
    message Uint8Array { bytes bytes = 1; }
    message ThingClient {}
    service Thing { rpc Then(Outer) returns (Promise); rpc Constructor(stream sub.types.Outer) returns (stream Uint8Array); }`,
  );
  mkdirSync(path.join(folder, 'sub'));
  writeFileSync(
    path.join(folder, 'sub/types.proto'),
    'syntax = "proto3"; package sub.types; message Outer { uint64 id = 1; }',
  );
  const modules = generated(['main.proto'], {}, folder);
  assert.deepEqual(Object.keys(modules), [
    'gen/google/protobuf/timestamp.ts',
    'gen/main.ts',
    'gen/sub/types.ts',
  ]);
  const project = await compile(t, {
    ...modules,
    'main.ts': `// main.ts
import { Outer, Outer_Kind, type ThingClient, ThingClient_, type Promise_, Thing, type Uint8Array_ } from './gen/main.js';
const message: Outer = {
  inner: { class: 'c', constructor: 5n },
  kind: Outer_Kind.KIND_SOME,
  theirs: { id: 2n ** 64n - 1n },
  at: { seconds: 1n, nanos: 2 },
  byName: { x: { class: '', constructor: 0n } },
  '1st': 'first',
  kinds: { '1': Outer_Kind.KIND_ALSO },
};
const all: Promise_ = { all: [] };
const bytes: Uint8Array_ = { bytes: new Uint8Array() };
const none: ThingClient = {};
void [all, bytes, none, ThingClient_];
const encoded = Outer.codec('protobuf').encode(message);
const target = new Uint8Array(encoded.bytes);
encoded.writeTo(target, 0);
console.log(JSON.stringify(Outer.toJson(Outer.codec('protobuf').decode(target))));
console.log(JSON.stringify(Object.keys(Thing.methods)), Thing.fileDescriptors().length);
`,
  });
  const { stdout } = await run(process.execPath, [path.join(project, 'main.js')]);
  const [json, methods] = stdout.split('\n');
  assert.deepEqual(JSON.parse(json!), {
    inner: { class: 'c', constructor: '5' },
    kind: 'KIND_SOME',
    theirs: { id: '18446744073709551615' },
    at: '1970-01-01T00:00:01.000000002Z',
    byName: { x: {} },
    '1st': 'first',
    kinds: { '1': 'KIND_SOME' },
  });
  assert.equal(methods, '["then_","constructor_"] 4');
  assert.match(modules['gen/main.ts']!, /^\/\*\* Ends a comment: \* \/ and goes on\. \*\/$/m);
  assert.match(modules['gen/main.ts']!, /\/\*\* @deprecated \*\/\n {2}constructor: bigint;/);
});

test('proto2, proto2 messages in proto3, and int64 as strings compile and come back', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    path.join(folder, 'two.proto'),
    `syntax = "proto2"; enum Size { SMALL = 1; } message Thing { required int64 id = 1; optional Size size = 2; repeated uint64 more = 3; }`,
  );
  const project = await compile(t, {
    ...generated(['two.proto'], { int64: 'string' }, folder),
    'main.ts': `// main.ts
import { Size, Thing } from './gen/two.js';
const thing: Thing = { id: '9007199254740993', size: Size.SMALL, more: ['18446744073709551615'] };
const encoded = Thing.codec('protobuf').encode(thing);
const target = new Uint8Array(encoded.bytes);
encoded.writeTo(target, 0);
console.log(JSON.stringify(Thing.codec('protobuf').decode(target)));
`,
  });
  const { stdout } = await run(process.execPath, [path.join(project, 'main.js')]);
  assert.deepEqual(JSON.parse(stdout), { id: '9007199254740993', more: ['18446744073709551615'], size: 1 });
});

test('the same files give the same text, and a relative runtime is seen from each module', () => {
  const once = generated(['echo.proto', 'all-types.proto']);
  assert.deepEqual(generated(['all-types.proto', 'echo.proto']), once);
  assert.match(
    generated(['echo.proto'], { runtime: '../contract/generated.js' })['gen/echo.ts']!,
    /from '\.\.\/contract\/generated\.js';/,
  );
});

test('the generated code of our own services is what their .proto files say', () => {
  const folder = path.join(ROOT, 'rpc/proto');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.proto'),
  );
  const paths = names.map((name) => path.join(folder, name));
  const modules =
    names.length === 0
      ? []
      : generate(readProtoFiles(paths, [folder]), { runtime: '../contract/generated.js' });
  for (const { path: relative, text } of modules) {
    const file = path.join(ROOT, 'rpc/gen', relative);
    // Services whose contract is loaded at run time have no generated code.
    if (existsSync(file)) assert.equal(readFileSync(file, 'utf8'), text, `${relative} is out of date`);
  }
});

test('createClient makes calls of the right kind without generated code', async () => {
  const made: unknown[] = [];
  const record =
    (kind: string) =>
    (...args: unknown[]): never => {
      made.push([kind, (args[0] as { path: string }).path, ...args.slice(1)]);
      return kind as never;
    };
  const caller: Caller = {
    unary: record('unary'),
    serverStream: record('serverStream'),
    clientStream: record('clientStream'),
    bidiStream: record('bidiStream'),
  };
  const client = createClient<
    Record<'say' | 'list' | 'upload' | 'chat', (input: unknown, options?: object) => unknown>
  >(path.join(PROTO, 'echo.proto'), 'demo.Echo', caller);
  assert(!('then' in client), 'a client is no promise');
  assert.equal(client.say({ text: 'x' }, { timeoutMs: 5 }), 'unary');
  client.list({});
  client.upload([]);
  client.chat([]);
  assert.deepEqual(made, [
    ['unary', '/demo.Echo/Say', { text: 'x' }, { timeoutMs: 5 }],
    ['serverStream', '/demo.Echo/List', {}, undefined],
    ['clientStream', '/demo.Echo/Upload', [], undefined],
    ['bidiStream', '/demo.Echo/Chat', [], undefined],
  ]);
});
