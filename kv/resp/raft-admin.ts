// What operators ask of a member through Redis commands: SAVE, RAFT.TRANSFER, RAFT.MEMBERS.
// kv/node's driver is one; without one the commands say that they are not offered.

export interface RaftMemberInfo {
  readonly id: number;
  readonly address: string;
  readonly isLearner: boolean;
}

export interface RaftAdmin {
  members(): readonly RaftMemberInfo[];
  /** Resolves once `to` leads. @throws KvError */
  transfer(to: number): Promise<void>;
  /** Resolves once a snapshot of now is on disk. @throws KvError */
  snapshotNow(): Promise<void>;
}
