// What all chaos clients share, whatever protocol they speak.

export interface Endpoint {
  /** The member's id. */
  readonly id: number;
  /** For the Redis protocol; another in each life of the member. */
  readonly port: number;
  /** For the native service, the same always. */
  readonly rpc: string;
}

export interface ClientSettings {
  /** Of one request, and of making a connection. */
  readonly timeoutMs: number;
  /** Between two operations, at most. */
  readonly thinkMsMax: number;
}

export interface OutcomeCounts {
  answered: number;
  unknown: number;
  never: number;
}
