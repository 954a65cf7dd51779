// A server tells what it serves, over our own wire and over gRPC, and a caller without any .proto calls it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  type Caller,
  implement,
  listServices,
  loadProto,
  type MethodContract,
  reflect,
  reflectionContract,
  reflectionServices,
  RpcError,
} from '../../rpc/index.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { ECHO_CONTRACT, echoService } from './support/echo.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { startPair } from './support/rpc-pair.js';

type Start = (t: TestContext, services: ReturnType<typeof reflectionServices>) => Promise<Caller>;

const WIRES: Readonly<Record<string, Start>> = {
  'our wire': async (t, services) => (await startPair(t, { services })).client,
  gRPC: async (t, services) =>
    startGrpcCaller(t, { target: (await startGrpcServer(t, { services })).target }),
};

const BASE = `syntax = "proto2";
package base;
message Open { extensions 100 to 200; optional string name = 1; }
message Shared { optional int32 value = 1; }
extend Open { optional int32 size = 120; }
`;
const TOP = `syntax = "proto3";
package top;
import "base.proto";
import "google/protobuf/timestamp.proto";
enum Colour { NO_COLOUR = 0; RED = 1; }
message Ask { base.Shared shared = 1; google.protobuf.Timestamp at = 2; oneof how { string text = 3; Inner inner = 4; } message Inner { Colour colour = 1; } }
service Top { rpc Do(Ask) returns (base.Shared); }
`;

/** A service whose file imports two others. */
function topService(t: TestContext): ReturnType<typeof implement> {
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, 'base.proto'), BASE);
  writeFileSync(path.join(folder, 'top.proto'), TOP);
  const contract = loadProto(path.join(folder, 'top.proto')).service('top.Top');
  return implement(contract, { do: ({ shared }: { shared?: object }) => shared ?? {} });
}

for (const [name, start] of Object.entries(WIRES)) {
  test(`a caller without a .proto lists, loads and calls what is served (${name})`, async (t) => {
    const services = [echoService(), topService(t)];
    const caller = await start(t, [...services, ...reflectionServices(services)]);
    assert.deepEqual(await listServices(caller), [
      'demo.Echo',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'top.Top',
    ]);
    const found = await reflect(caller);
    const say = found.service('demo.Echo').methods['say']!;
    assert.deepEqual(say.requestType.toJson(say.requestType.fromJson({ text: 'x', number: '5' })), {
      text: 'x',
      number: '5',
    });
    assert.equal(say.idempotency, ECHO_CONTRACT.methods['say']!.idempotency);
    const answer = await caller.unary(say, { text: 'found you', number: 7n });
    assert.deepEqual(say.responseType.toJson(answer), { text: 'found you', number: '7' });
    const act = found.service('top.Top').methods['do']!;
    assert.deepEqual(await caller.unary(act, { shared: { value: 3 } }), { value: 3 });
  });

  test(`only the services that are asked for are loaded, with what they import (${name})`, async (t) => {
    const services = [echoService(), topService(t)];
    const caller = await start(t, [...services, ...reflectionServices(services)]);
    const found = await reflect(caller, { services: ['top.Top'] });
    assert.deepEqual([...found.services.keys()], ['top.Top']);
    assert.equal(found.messageType('base.Shared').fullName, 'base.Shared');
    await assert.rejects(reflect(caller, { services: ['top.Nobody'] }), (error) => {
      assert(error instanceof RpcError);
      assert.match(error.message, /top.Nobody/);
      return error.code === 'RPC_NOT_FOUND';
    });
  });

  test(`a server that has only the older name is understood (${name})`, async (t) => {
    const services = [echoService()];
    const older = reflectionServices(services).filter(({ contract }) =>
      contract.fullName.includes('v1alpha'),
    );
    const caller = await start(t, [...services, ...older]);
    assert.equal(
      (await reflect(caller, { services: ['demo.Echo'] })).service('demo.Echo').fullName,
      'demo.Echo',
    );
  });

  test(`a server without reflection says so (${name})`, async (t) => {
    const caller = await start(t, [echoService()]);
    await assert.rejects(reflect(caller), (error) => {
      assert(error instanceof RpcError);
      assert.match(error.message, /no reflection service/);
      return error.code === 'RPC_UNIMPLEMENTED';
    });
  });
}

test('every kind of question is answered, an unknown thing with NOT_FOUND', async (t) => {
  const services = [topService(t)];
  const caller = await WIRES['gRPC']!(t, [...services, ...reflectionServices(services)]);
  interface Answer {
    fileDescriptorResponse?: { fileDescriptorProto: Uint8Array[] };
    allExtensionNumbersResponse?: { baseTypeName: string; extensionNumber: number[] };
    errorResponse?: { errorCode: number };
  }
  const method = reflectionContract('v1').methods['serverReflectionInfo'] as MethodContract<object, Answer>;
  const questions = [
    { fileByFilename: 'top.proto' },
    { fileContainingSymbol: 'top.Ask.Inner' },
    { fileContainingSymbol: '.top.RED' },
    { fileContainingSymbol: 'top.Top.Do' },
    { fileContainingSymbol: 'top.Ask.text' },
    { fileContainingSymbol: 'base.size' },
    { fileContainingExtension: { containingType: 'base.Open', extensionNumber: 120 } },
    { allExtensionNumbersOfType: 'base.Open' },
    { fileByFilename: 'nowhere.proto' },
    { fileContainingSymbol: 'top.Nothing' },
    { fileContainingExtension: { containingType: 'base.Open', extensionNumber: 121 } },
    { allExtensionNumbersOfType: 'base.Closed' },
    {},
  ];
  const answers: unknown[] = [];
  for await (const answer of caller.bidiStream(method, questions)) {
    const { fileDescriptorResponse, allExtensionNumbersResponse, errorResponse } = answer;
    answers.push(
      fileDescriptorResponse?.fileDescriptorProto.length ??
        allExtensionNumbersResponse?.extensionNumber ??
        `error ${errorResponse?.errorCode}`,
    );
  }
  // A file comes with what it imports: top.proto with two more, base.proto alone.
  assert.deepEqual(answers, [
    3,
    3,
    3,
    3,
    3,
    1,
    1,
    [120],
    'error 5',
    'error 5',
    'error 5',
    'error 5',
    'error 3',
  ]);
});
