// `rpc list` and `rpc describe` of .proto files, and whether what describe prints is a .proto again.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { messageTemplate } from '../../cli/message-template.js';
import { enumText, messageText, serviceText } from '../../cli/proto-text.js';
import { loadProto, type ProtoPackage } from '../../rpc/index.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { runTool } from './support/rpc-tool.js';

const SHOP = `syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/any.proto";
import "google/protobuf/wrappers.proto";
service Shop {
  rpc Order(Basket) returns (Receipt) { option idempotency_level = IDEMPOTENT; }
  rpc Watch(Basket) returns (stream Receipt);
  rpc Fill(stream Item) returns (Basket) { option deprecated = true; }
}
enum Colour { option allow_alias = true; NONE = 0; RED = 1; ROUGE = 1; }
message Item {
  message Size { uint32 width = 1; }
  enum Kind { PLAIN = 0; GIFT = 2; }
  string name = 1 [deprecated = true];
  optional int64 price_cents = 2;
  Size size = 3;
  Kind kind = 4;
  oneof note { string text = 5; Item inner = 6; }
  string odd = 7 [json_name = "veryOdd"];
}
message Basket {
  repeated Item items = 1;
  map<int32, Item> by_shelf = 2;
  map<bool, string> flags = 3;
  repeated Colour colours = 4;
  google.protobuf.Timestamp at = 5;
  google.protobuf.Struct extra = 6;
  google.protobuf.Any any = 7;
  google.protobuf.Int64Value boxed = 8;
  google.protobuf.Value value = 9;
  bytes raw = 10;
  double factor = 11;
}
message Receipt {}
`;

function shop(t: TestContext): { file: string; types: ProtoPackage } {
  const file = path.join(temporaryFolder(t), 'shop.proto');
  writeFileSync(file, SHOP);
  return { file, types: loadProto(file) };
}

test('what describe prints, read again, is the same schema', (t) => {
  const { file, types } = shop(t);
  const { schema } = types;
  const isOurs = ({ fullName }: { fullName: string }): boolean => /^shop\.\w+$/.test(fullName);
  const parts = [
    ...[...schema.services.values()].filter(isOurs).map(serviceText),
    ...[...schema.messages.values()].filter(isOurs).map((message) => messageText(message, schema)),
    ...[...schema.enums.values()].filter(isOurs).map(enumText),
  ];
  const imports = SHOP.match(/^import .*$/gm)!.join('\n');
  const again = path.join(path.dirname(file), 'again.proto');
  writeFileSync(again, `syntax = "proto3";\npackage shop;\n${imports}\n${parts.join('\n')}\n`);
  const reread = loadProto(again).schema;
  for (const [name, message] of schema.messages) {
    if (!name.startsWith('shop.') || message.isMapEntry) continue;
    assert.equal(messageText(reread.messages.get(name)!, reread), messageText(message, schema));
    assert.deepEqual(
      reread.messages
        .get(name)!
        .fields.map(({ name: field, number, jsonName, isDeprecated }) => [
          field,
          number,
          jsonName,
          isDeprecated,
        ]),
      message.fields.map(({ name: field, number, jsonName, isDeprecated }) => [
        field,
        number,
        jsonName,
        isDeprecated,
      ]),
    );
  }
  for (const name of ['shop.Colour', 'shop.Item.Kind'])
    assert.deepEqual(reread.enums.get(name)!.values, schema.enums.get(name)!.values);
  const service = reread.services.get('shop.Shop')!;
  assert.deepEqual(
    service.methods.map(({ name, idempotency, isDeprecated, clientStreams, serverStreams }) => [
      name,
      idempotency,
      isDeprecated,
      clientStreams,
      serverStreams,
    ]),
    [
      ['Order', 'idempotent', false, false, false],
      ['Watch', 'unknown', false, false, true],
      ['Fill', 'unknown', true, true, false],
    ],
  );
});

test('a template is accepted as the message it is made for, and has every field', (t) => {
  const { types } = shop(t);
  for (const [name, schema] of types.schema.messages) {
    if (schema.isMapEntry) continue;
    const template = messageTemplate(schema);
    assert.doesNotThrow(() => types.messageType(name).fromJson(template), name);
  }
  const item = messageTemplate(types.schema.messages.get('shop.Item')!) as object;
  assert.deepEqual(Object.keys(item), ['name', 'priceCents', 'size', 'kind', 'text', 'veryOdd']);
});

test('services and methods are listed from files without any server', async (t) => {
  const { file } = shop(t);
  assert.deepEqual((await runTool(['list', '--proto', file])).lines, ['shop.Shop']);
  const { lines } = await runTool(['list', 'shop.Shop', '--proto', file, '--json']);
  assert.deepEqual(JSON.parse(lines[1]!), {
    event: 'method',
    name: 'Watch',
    path: '/shop.Shop/Watch',
    kind: 'server-stream',
  });
});

test('describe knows services, methods in both spellings, messages and enums, for people and as JSON', async (t) => {
  const { file } = shop(t);
  const described = async (...args: string[]): Promise<string> =>
    (await runTool(['describe', '--proto', file, ...args])).stdout;
  assert.match(
    await described(),
    /^shop\.Shop is a service:\nservice Shop \{\n {2}rpc Order \(shop\.Basket\)/,
  );
  const method = 'rpc Watch (shop.Basket) returns (stream shop.Receipt);';
  assert.equal(await described('shop.Shop/Watch'), `shop.Shop/Watch is a method:\n${method}\n`);
  assert.equal(await described('.shop.Shop.Watch'), `shop.Shop/Watch is a method:\n${method}\n`);
  assert.match(await described('shop.Item'), /\n {2}optional int64 price_cents = 2;\n/);
  assert.match(
    await described('shop.Item.Kind'),
    /^shop\.Item\.Kind is an enum:\nenum Kind \{\n {2}PLAIN = 0;/,
  );
  const json = JSON.parse(await described('shop.Basket', '--json')) as { fields: unknown[] };
  assert.deepEqual(json.fields[1], {
    name: 'by_shelf',
    jsonName: 'byShelf',
    number: 2,
    type: 'shop.Item',
    kind: 'message',
    shape: 'map',
    key: 'int32',
    deprecated: false,
  });
});

test('what is not there ends with one line and exit code 1', async (t) => {
  const { file } = shop(t);
  for (const [args, said] of [
    [['describe', 'shop.Nope', '--proto', file], 'no service, method, message or enum shop.Nope'],
    [['list', 'shop.Nope', '--proto', file], 'no service shop.Nope: there are shop.Shop'],
    [
      ['describe', 'shop.Colour', '--template', '--proto', file],
      'shop.Colour is an enum: a template is made of messages and methods',
    ],
  ] as const) {
    const { exitCode, stderr, stdout } = await runTool(args);
    assert.deepEqual([exitCode, stderr, stdout], [1, `reactor-net: ${said}\n`, '']);
  }
});
