// Every error of the Raft core, as one class and one closed list of codes. The codes are KV error codes: the KV layer
// hands them on unchanged. Also the core's own `assert`, because kv/raft imports nothing, not even node:assert.

export type RaftErrorCode =
  | 'KV_RAFT_OPTION_INVALID' // the user gave an option an impossible value
  | 'KV_RAFT_STATE_INVALID' // what storage restored contradicts itself: do not start, see the message
  | 'KV_RAFT_MESSAGE_INVALID' // a peer sent what no peer of this version sends; nothing was changed
  | 'KV_RAFT_ARGUMENT_INVALID' // the driver called an input with an impossible value; nothing was changed
  | 'KV_RAFT_TOKEN_UNKNOWN' // the driver reports a write that was never asked for
  | 'KV_RAFT_NOT_LEADER' // only a leader can do it, and forwarding is off or impossible; `leader` may be known
  | 'KV_RAFT_NO_LEADER' // no leader is known: try again after an election timeout
  | 'KV_RAFT_LEADER_LOST' // leadership ended before the request was answered: a read may be tried again
  | 'KV_RAFT_READ_TIMEOUT' // the leader did not confirm a read in time: it may be tried again
  | 'KV_RAFT_READS_FULL' // as many reads wait as may wait
  | 'KV_RAFT_PROPOSALS_FULL' // too many bytes are proposed and not yet committed: try again later
  | 'KV_RAFT_ENTRY_TOO_LARGE' // one entry is above entryBytesMax
  | 'KV_RAFT_TRANSFERRING' // leadership is being handed over: try again at the new leader
  | 'KV_RAFT_TRANSFER_INVALID' // the target of a transfer is no other voter
  | 'KV_RAFT_CONFIG_PENDING' // an earlier configuration change has not ended
  | 'KV_RAFT_CONFIG_INVALID' // the change makes no sense: no voter left, already so, unknown member
  | 'KV_RAFT_NOT_READY' // the leader has not committed an entry of its term yet: try again shortly
  | 'KV_RAFT_LOG_LOST' // this member's log lost entries it had acknowledged: remove it, rejoin under a new id
  | 'KV_RAFT_STORAGE_FAILED'; // a write failed: this core does nothing any more

export class RaftError extends Error {
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode, message: string) {
    super(message);
    this.name = 'RaftError';
    this.code = code;
  }
}

/** A promise of the core to itself. One that breaks is a bug in kv/raft: stop the member, keep its files. */
export function assert(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Error(`kv/raft broke its promise: ${promise}`);
}
