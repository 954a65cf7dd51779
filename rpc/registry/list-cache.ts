// The last known list of one service on disk, for a client that starts while the registry is away.
// resolver.ts reads it once and writes it after changes. It is a cache: what is damaged is as good as missing.

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { Instance } from '../instance.js';
import { replaceFile } from './snapshot-file.js';

interface CachedList {
  readonly format: 1;
  readonly service: string;
  readonly instances: readonly Instance[];
}

export class ListCache {
  readonly path: string;
  readonly #service: string;

  /** @param folder made when it is missing; shared by all services and clients of this user */
  constructor(folder: string, service: string) {
    this.path = path.join(folder, `${encodeURIComponent(service)}.instances`);
    this.#service = service;
  }

  /** Null when there is none. @throws Error it cannot be read, or is damaged */
  async read(): Promise<readonly Instance[] | null> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const [sum, json = ''] = text.split('\n', 2);
    if (sum !== checksum(json)) throw new Error(`${this.path}: the checksum does not agree with the list`);
    const cached = JSON.parse(json) as CachedList; // ours, byte for byte: the checksum says so
    return cached.format === 1 && cached.service === this.#service ? cached.instances : null;
  }

  /** @throws Error it cannot be written; the old one is still there */
  async write(instances: readonly Instance[]): Promise<void> {
    const cached: CachedList = { format: 1, service: this.#service, instances };
    const json = JSON.stringify(cached);
    await mkdir(path.dirname(this.path), { recursive: true });
    await replaceFile(this.path, `${checksum(json)}\n${json}\n`);
  }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
