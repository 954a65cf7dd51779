// Every error of the KV layer, as one class and one closed list of codes.
// Callers switch on `code`; `message` is for people and names file and offset where there are any; `cause` keeps the
// error underneath.

export type KvErrorCode =
  // Faults of the caller.
  | 'KV_OPTION_INVALID' // an option has an impossible value
  | 'KV_KEY_INVALID' // a key holds a character above 0xff and has no bytes
  | 'KV_SNAPSHOTS_EXHAUSTED' // as many views of a store are open as may be open
  | 'KV_CLOSED' // the store, log or view was closed here
  | 'KV_LOG_ORDER' // entries were appended that neither follow the log nor replace its end
  | 'KV_RECORD_TOO_LARGE' // one record is above the limit
  // Faults of a native client (docs/kv-native.md).
  | 'KV_REQUEST_INVALID' // the command is none, or asks for what cannot be
  | 'KV_REQUEST_TOO_LARGE' // the request is above 1.5 MiB
  | 'KV_VALUE_TOO_LARGE' // the value would be above its limit
  | 'KV_SEQUENCE_OLD' // the client had said that this sequence has been answered
  | 'KV_WINDOW_FULL' // the sequence is too far above the last one acknowledged; nothing was executed
  | 'KV_WATCHES_FULL' // the stream or the member has as many watches as it may have
  // What the store's state says to a command; nothing was changed.
  | 'KV_WRONG_TYPE' // the key holds no string
  | 'KV_NOT_FOUND' // no such key
  | 'KV_EXISTS' // there is such a key already
  | 'KV_NO_PARENT' // the node above the path is missing
  | 'KV_NOT_EMPTY' // the node has children
  | 'KV_LEASE_NOT_FOUND' // no such lease: never granted, expired or revoked
  | 'KV_LEASE_EXISTS' // a lease with this id is there already
  | 'KV_LEASES_FULL' // there are as many leases, or as many keys on one, as there may be
  | 'KV_QUOTA' // memory is above its quota or a disk is full: only reads and deletes
  | 'KV_SESSION_EXPIRED' // the session has expired, was evicted or never opened; nothing was executed
  | 'KV_REPLY_LOST' // the command was executed before, and its answer was too large to be kept
  | 'KV_COMPACTED' // events from the wanted revision on are not kept any more
  | 'KV_HASH_UNKNOWN' // this member does not remember a hash of that index
  // What another member sent, or another version.
  | 'KV_BATCH_MALFORMED' // a log entry is no batch; nothing of it was executed
  | 'KV_BATCH_FOREIGN' // a log entry was written by a newer version; this member must not go on
  | 'KV_MACHINE_FAILED' // a command failed half-way in a way that it never should; the state is not to be trusted
  // What the disk or the world did.
  | 'KV_LOCKED' // another process has the data folder open
  | 'KV_QUEUE_FULL' // as many bytes wait for the disk as may wait
  | 'KV_DISK_FULL' // no space left; nothing of the append is in the log, and it may be tried again
  | 'KV_POISONED' // a write or fsync failed; nothing more is said about this log until a restart has read it
  | 'KV_LOG_DAMAGED' // the log is damaged where a crash cannot have damaged it
  | 'KV_LOG_FOREIGN' // the log belongs to another cluster or member, or to a newer format
  | 'KV_SNAPSHOT_DAMAGED' // a snapshot file is not what was written
  // What the cluster says.
  | 'KV_NO_LEADER' // there is no leader; the request was not carried out: try again
  | 'KV_NOT_LEADER' // only the leader can do it; the text names it if it is known
  | 'KV_TIMEOUT' // it was not done in time, and surely will not be
  | 'KV_OUTCOME_UNKNOWN' // the request may have been carried out, or may be later
  | 'KV_UNREACHABLE' // no member could be reached; surely nothing was carried out
  | 'KV_CLUSTER_FOREIGN' // the member belongs to another cluster than the client means; nothing was carried out
  | 'KV_REFUSED' // the member does not serve this client: token, certificate, version
  | 'KV_CANCELLED' // the caller cancelled it; surely nothing was carried out
  | 'KV_BUSY' // something like it is under way: try again shortly
  | 'KV_MEMBER_INVALID' // no such member, or one that cannot be used for this
  | 'KV_STORAGE_FAILED' // this member cannot go on; others can
  | 'KV_MESSAGE_INVALID' // a member sent bytes that no version we know sends
  | 'KV_IO'; // the system refused a call on a file; nothing was lost by it

export interface KvErrorOptions extends ErrorOptions {
  /** The damaged or refused file. */
  readonly file?: string;
  /** Where in `file`, in bytes from its start. */
  readonly offset?: number;
}

export class KvError extends Error {
  readonly code: KvErrorCode;
  readonly file: string | null;
  readonly offset: number | null;

  constructor(code: KvErrorCode, message: string, options: KvErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KvError';
    this.code = code;
    this.file = options.file ?? null;
    this.offset = options.offset ?? null;
  }

  /** The plain form in which it crosses threads and sockets. */
  toWire(): { code: KvErrorCode; message: string } {
    return { code: this.code, message: this.message };
  }
}
