// A driver in plain grpc-js with nothing of ours but the .proto.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { TestFarm } from './support/test-farm.js';

const PROTO = fileURLToPath(new URL('../../../../render/proto/render.proto', import.meta.url));

test('a plain gRPC driver registers, moves and renders', async (t) => {
  const farm = await TestFarm.start(t, { grpc: { host: '127.0.0.1', port: 0 } });
  await farm.worker();
  const { blendersim } = loadPackageDefinition(loadSync(PROTO, { keepCase: true })) as unknown as {
    blendersim: { Emulate: ServiceClientConstructor };
  };
  const client = new blendersim.Emulate(farm.main.addresses.grpc!, credentials.createInsecure());
  t.after(() => client.close());
  const call = (method: string, request: object): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      const answer = (error: Error | null, response: Record<string, unknown>): void =>
        error === null ? resolve(response) : reject(error);
      // grpc-js makes its methods from the .proto.
      (client as unknown as Record<string, (request: object, done: typeof answer) => void>)[method]!(
        request,
        answer,
      );
    });
  const { serial } = await call('RegisterDriver', { name: 'plain' });
  await call('Move', { id: serial, position: { x: 1, y: 0, z: 0 } });
  const size = { width: 8, height: 8, samples: 1 };
  const response = await call('Render', {
    id: serial,
    task_count: 3,
    light_count: 1,
    lights: [1, 2, 3],
    ...size,
  });
  assert.equal((response['imgs'] as Buffer).length, 3 * 64);
});
