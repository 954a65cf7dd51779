// The contract of the Peer service, from the .proto that the package carries, and its messages as both sides see them.

import { loadProto, type MethodContract, type ServiceContract } from '../../rpc/index.js';

export interface HelloMessage {
  readonly clusterId: bigint;
  readonly from: number;
  readonly to: number;
  readonly formatMajor: number;
  readonly formatMinor: number;
  readonly bulk: boolean;
  readonly address: string;
}

export interface PeerRequest {
  readonly hello?: HelloMessage | undefined;
  readonly messages?: Uint8Array;
}

export interface PeerResponse {
  readonly welcome?: { readonly formatMajor: number; readonly formatMinor: number } | undefined;
}

export interface MemberAddressMessage {
  readonly id: number;
  readonly rpc: string;
  readonly resp: string;
}

export interface DescribeResponse {
  readonly clusterId: bigint;
  readonly id: number;
  readonly leader: number;
  readonly members: readonly MemberAddressMessage[];
}

export interface JoinRequest {
  readonly clusterId: bigint;
  readonly member?: MemberAddressMessage | undefined;
  readonly learner: boolean;
  readonly protocolVersion: number;
}

export type PeerContract = ServiceContract<
  object,
  {
    readonly exchange: MethodContract<PeerRequest, PeerResponse>;
    readonly describe: MethodContract<object, DescribeResponse>;
    readonly join: MethodContract<JoinRequest, object>;
  }
>;

let loaded: PeerContract | null = null;

/** Read once per thread. */
export function peerContract(): PeerContract {
  loaded ??= loadProto(new URL('../../../kv/proto/peer.proto', import.meta.url)).service(
    'reactornet.kv.Peer',
  ) as PeerContract; // the types above are those of this very file
  return loaded;
}
