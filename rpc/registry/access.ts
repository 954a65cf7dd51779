// Judges each call of the registry: who makes it, and whether they may.
// service.ts asks it; it asks the token rules as they are now, so that a reload counts at once.

import type { Peer, ServerCall } from '../call.js';
import { RpcError } from '../errors.js';
import type { Rights, TokenRules } from './token-rules.js';

const BEARER = /^bearer +(\S+)$/i;
/** Without a token file everybody may do everything. */
const ANYTHING: Omit<Rights, 'name'> = { mayRegister: () => true, mayConfirm: true };

export interface Caller {
  /** Leases belong to it; null for those whom nobody asked. */
  readonly name: string | null;
  readonly rights: Omit<Rights, 'name'>;
}

export class RegistryAccess {
  readonly #rules: () => TokenRules | null;

  /** @param rules null: there is no token file */
  constructor(rules: () => TokenRules | null) {
    this.#rules = rules;
  }

  /** The name behind the token of a connection; for RpcServer. @throws RpcError RPC_UNAUTHENTICATED */
  authenticate(token: string, peer?: Peer): string | null {
    const rules = this.#rules();
    // Without one, calls may bring theirs, or a certificate speaks for the connection.
    if (rules === null || token === '') return peer?.identity ?? null;
    const name = rules.nameOf(token);
    if (name === null)
      throw new RpcError('RPC_UNAUTHENTICATED', 'the token is not known here', { executed: 'no' });
    return name;
  }

  /**
   * Who makes this call: by the token it brings (`authorization: Bearer …`), else by what its connection showed.
   * @throws RpcError RPC_UNAUTHENTICATED
   */
  callerOf({ metadata, peer }: Pick<ServerCall, 'metadata' | 'peer'>): Caller {
    const rules = this.#rules();
    if (rules === null) return { name: peer.identity, rights: ANYTHING };
    const [, token] = BEARER.exec(metadata.text('authorization') ?? '') ?? [];
    const name = token === undefined ? peer.identity : this.authenticate(token);
    const rights = name === null ? null : rules.rightsOf(name);
    if (rights === null)
      throw new RpcError('RPC_UNAUTHENTICATED', 'the registry asks for a token', { executed: 'no' });
    return { name, rights };
  }

  /** @throws RpcError RPC_PERMISSION_DENIED naming the first service that `caller` may not register */
  demandRegister({ name, rights }: Caller, services: Iterable<string>): void {
    for (const service of services) {
      if (rights.mayRegister(service)) continue;
      throw new RpcError('RPC_PERMISSION_DENIED', `${name ?? 'nobody'} may not register ${service}`, {
        executed: 'no',
        retryPushbackMs: -1,
      });
    }
  }

  /** @throws RpcError RPC_PERMISSION_DENIED */
  demandConfirm({ name, rights }: Caller): void {
    if (rights.mayConfirm) return;
    throw new RpcError('RPC_PERMISSION_DENIED', `${name ?? 'nobody'} may not confirm expiries`, {
      executed: 'no',
    });
  }
}
