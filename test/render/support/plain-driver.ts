// A driver that says exactly what a test wants, wrong things too: the calls of the contract over one connection.

import { setInterval as every } from 'node:timers';
import type { TestContext } from 'node:test';
import { EmulateClient } from '../../../render/index.js';
import type { DriverInfo, RenderReq } from '../../../render/proto/render.js';
import { type MessageInit, RpcClient } from '../../../rpc/index.js';
import { TestDriver } from '../main/support/test-farm.js';
import { SIZE } from './traced.js';

const BEAT_MS = 300;
const TIMEOUT_MS = 120_000;

export function plainClient(t: TestContext, target: string, token = '', messageBytesMax?: number): RpcClient {
  const client = new RpcClient({
    target,
    token,
    timeoutMs: TIMEOUT_MS,
    retry: { attemptsMax: 1 },
    selector: { outlier: false, breaker: false },
    pool: { connectionsMin: 0, connectionsMax: 1 },
    ...(messageBytesMax === undefined ? {} : { messageBytesMax }),
  });
  t.after(() => client.close(0));
  return client;
}

/** Registered, and beating until the test ends. */
export async function plainDriver(
  t: TestContext,
  target: string,
  info: MessageInit<DriverInfo> = {},
  client: RpcClient = plainClient(t, target),
): Promise<TestDriver> {
  const driver = new TestDriver(new EmulateClient(client));
  await driver.register(info);
  const timer = every(() => void driver.beat(), BEAT_MS);
  t.after(() => clearInterval(timer));
  return driver;
}

/** The fields that ask for these images, in the size of `traced`. */
export function askFor(lights: readonly (readonly number[])[]): MessageInit<RenderReq> {
  return { ...SIZE, taskCount: lights.length, lightCount: 1, lights: lights.flat() };
}
