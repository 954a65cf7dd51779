import {
  type KvError,
  type LogEntry,
  type LogWrite,
  Wal,
  type WalFiles,
  type WalOptions,
} from '../../../kv/index.js';

export const OWNER = { clusterId: 77, memberId: 3 };

/** A log whose appends are promises, and which remembers in what order tokens ended. */
export interface Harness {
  readonly wal: Wal;
  /** Settles when the write is durable or failed; what append() throws rejects it too. */
  readonly write: (write: LogWrite) => Promise<void>;
  readonly ended: { readonly token: number; readonly error: KvError | null }[];
}

export async function openWal(files: WalFiles, options: WalOptions = {}): Promise<Harness> {
  const ended: { token: number; error: KvError | null }[] = [];
  const waiting = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();
  let tokens = 0;
  const complete = (token: number, error: KvError | null): void => {
    ended.push({ token, error });
    const { resolve, reject } = waiting.get(token)!;
    waiting.delete(token);
    if (error === null) resolve();
    else reject(error);
  };
  const wal = await Wal.open(files, OWNER, complete, { segmentBytes: 4096, ...options });
  const write = (write: LogWrite): Promise<void> =>
    new Promise((resolve, reject) => {
      tokens += 1;
      const token = tokens;
      wal.append(token, write);
      waiting.set(token, { resolve, reject });
    });
  return { wal, write, ended };
}

/** Entries from `index` on, in one term, with data that tells them apart. */
export function entriesFrom(index: number, count: number, term = 1, bytes = 24): LogEntry[] {
  return Array.from({ length: count }, (_, place) => ({
    index: index + place,
    term,
    kind: 'normal' as const,
    data: Buffer.alloc(bytes, `entry ${index + place} of term ${term};`),
  }));
}
