// The door of the addon layer: re-exports only.
export type {
  Addon,
  BindUdpOptions,
  BoundSocket,
  DatagramMemory,
  DatagramOptions,
  Datagrams,
  DatagramStats,
  FramingOptions,
  ListenTcpOptions,
  LocalAddress,
  SocketOptionName,
  TcpInfo,
  TcpState,
  Transport,
  TransportMemory,
  TransportOptions,
  TransportStats,
  Waker,
} from './api.js';
export type { AddonErrorCode, AddonErrorOptions } from './errors.js';
export { AddonError } from './errors.js';
export * from './local-api.js';
export { addonMissingReason, loadAddon, requireAddon } from './native.js';
export * from './datagram-layout.js';
export type {
  ShmAddon,
  ShmHeader,
  ShmRingReader,
  ShmRingWriter,
  ShmSide,
  ShmStatus,
} from './shm-api.js';
export * from './transport-layout.js';
