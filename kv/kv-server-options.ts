// What a member as a process is told, and what follows from it.
// kv-server.ts takes them; joining.ts and member-facts.ts need some of them.

import {
  formatAddress,
  type TlsClientOptions,
  type TlsServerOptions,
  type TransportName,
} from '../reactor/index.js';
import { loadAddon } from '../addon/index.js';
import { KvError } from './errors.js';

export interface KvAddress {
  readonly host: string;
  readonly port: number;
}

export interface KvServerOptions {
  readonly id: number;
  /** host:port of the members' RPC servers, this one's too. */
  readonly cluster: ReadonlyMap<number, string>;
  /** Any member of a running cluster that takes this one in; null: the members of `cluster` begin a new one. */
  readonly join?: string | null;
  /** Stay a learner: replicated to, without a vote. */
  readonly learner?: boolean;
  /** Where the RPC server listens. Default: this member's address in `cluster`. */
  readonly listen?: KvAddress | null;
  /** The Redis protocol; null: not spoken. */
  readonly resp?: KvAddress | null;
  /** Where clients of the Redis protocol reach this member, for INFO and the list of members. Default: where it listens. */
  readonly advertiseResp?: string | null;
  /** Who may use the Redis protocol, YAML; null: everybody. */
  readonly usersFile?: string | null;
  readonly dataDir: string;
  readonly http?: KvAddress | null;
  /** Default: made of `cluster`; with `join`: that of the cluster. */
  readonly clusterId?: number | null;
  readonly tls?: (TlsServerOptions & TlsClientOptions) | null;
  /**
   * What the certificate of a member must be named, `{id}` standing for its id; ANY_CERTIFICATE: every one that the
   * authority signed is any member's. Has to be said where `tls` has an authority.
   */
  readonly certificateName?: string | null;
  /** A secret that members and native clients show. */
  readonly token?: string;
  /** Memory above which growing writes are refused; set in the cluster when this member says so. */
  readonly quotaBytes?: number | null;
  /** Bytes of a string value, 4 MiB to 512 MiB; set in the cluster when this member says so. There: 64 MiB. */
  readonly valueBytesMax?: number | null;
  /** Of the program, for the status. */
  readonly version?: string;
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  readonly leaseReads?: boolean;
  readonly snapshotEntries?: number;
  readonly snapshotBytes?: number;
  /** Entries kept behind a snapshot for members that lag. */
  readonly trailingEntries?: number;
  /** The newest protocol version this member says it knows. Default: all that the program knows. */
  readonly protocolVersion?: number;
}

/** For `certificateName`. */
export const ANY_CERTIFICATE = 'any';

/**
 * An authority signs for clients too: whoever could show any of its certificates could vote.
 * @throws KvError KV_OPTION_INVALID
 */
export function certificateNameOf({ tls = null, certificateName = null }: KvServerOptions): string | null {
  const hasAuthority = tls !== null && (tls.ca !== undefined || tls.caFile !== undefined);
  if (hasAuthority && certificateName === null) {
    throw new KvError(
      'KV_OPTION_INVALID',
      'with an authority certificateName has to say how certificates name members, such as kv-{id}; ' +
        `"${ANY_CERTIFICATE}" takes every certificate of the authority for any member`,
    );
  }
  return certificateName === ANY_CERTIFICATE ? null : certificateName;
}

export function respAddressOf({ advertiseResp = null, resp = null }: KvServerOptions): string {
  return advertiseResp ?? (resp === null ? '' : formatAddress(resp));
}

/** @throws KvError KV_OPTION_INVALID */
export function addressOf(text: string): KvAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) <= 65_535) return { host, port: Number(port) };
  throw new KvError('KV_OPTION_INVALID', `"${text}" is no address: HOST:PORT is right`);
}

/** The cheaper one where it is to be had. */
export function transportOf({ tls = null }: KvServerOptions): TransportName {
  return tls === null && loadAddon() !== null ? 'epoll' : 'net';
}
