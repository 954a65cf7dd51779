// A farm for this program alone: a main node and a worker node with built-in renderers, all gone when it is closed.

import { createLogger } from 'reactor-net/reactor';
import { builtinRenderer, MainNode, WorkerNode } from 'reactor-net/render';

export interface LocalFarm {
  /** Of its main node. */
  readonly address: string;
  close(): Promise<void>;
}

const HERE = { host: '127.0.0.1', port: 0 };
const DRAIN_MS = 5_000;

/** @throws RenderError when it cannot be started; nothing is left of it then */
export async function startLocalFarm(renderers: number): Promise<LocalFarm> {
  const logger = await createLogger({ level: 'error' });
  const main = await MainNode.start(logger, { listen: HERE });
  const address = main.addresses.rpc;
  try {
    const pool = { min: renderers, max: renderers };
    const worker = await WorkerNode.start(logger, builtinRenderer(), { main: address, listen: HERE, pool });
    return {
      address,
      close: async () => {
        await worker.close(DRAIN_MS);
        await main.close(DRAIN_MS);
      },
    };
  } catch (error) {
    await main.close(DRAIN_MS);
    throw error;
  }
}
