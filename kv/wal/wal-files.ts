// The files of one folder, as the log and the snapshots use them: the seam at which tests put a faulty disk.
// disk-files.ts is the real one. Errors are the system's, with `code` ('EIO', 'ENOSPC', …).

export interface WalFile {
  /** Writes from `position` on and gives how many bytes it wrote, possibly fewer than asked. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /**
   * `write` and `dataSync` of these very bytes in one call, where the system has such a thing; what was written before by
   * `write` is not covered. A failure is as final as one of `dataSync`.
   */
  writeDurably?(bytes: Uint8Array, position: number): Promise<number>;
  /** Bytes from `position`; fewer than asked at the end of the file alone. */
  read(position: number, byteCount: number): Promise<Buffer>;
  /** Makes sure that the file is `byteCount` long and has its blocks; what is new is zero. Survives only with dataSync. */
  allocate(byteCount: number): Promise<void>;
  /** Cuts the file. */
  truncate(byteCount: number): Promise<void>;
  /** What was written is durable once this resolves. After a failure nothing is known of it, now or later. */
  dataSync(): Promise<void>;
  close(): Promise<void>;
}

export interface WalFiles {
  /** For messages. */
  readonly folder: string;
  list(): Promise<string[]>;
  size(name: string): Promise<number>;
  /** An existing file, to read and write. */
  open(name: string): Promise<WalFile>;
  /** A new file; an existing one of this name is emptied. */
  create(name: string): Promise<WalFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Creations, renames and removals before this are durable once it resolves. */
  syncFolder(): Promise<void>;
  /** Keeps others out of the folder until the result is called. @throws KvError KV_LOCKED: somebody is in. */
  lock(): Promise<() => Promise<void>>;
}

export function isNoSpace(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Writes all of `bytes`, however many calls it takes. */
export async function writeFully(file: WalFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const written = await file.write(done === 0 ? bytes : bytes.subarray(done), position + done);
    if (written === 0) throw Object.assign(new Error('a write took no bytes'), { code: 'EIO' });
    done += written;
  }
}
