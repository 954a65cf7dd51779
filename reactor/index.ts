// The door of the reactor: everything a user or a higher layer may use, and nothing else.
export { Reactor, type ThreadStatus } from './reactor.js';
export {
  type AcceptMode,
  ACCEPT_MODES,
  type ReactorOptions,
  type TransportName,
  TRANSPORTS,
} from './reactor-options.js';
export {
  formatAddress,
  type ListenAddress,
  type ListeningDescriptors,
  type ListenTarget,
  openDescriptors,
} from './listening-socket.js';
export {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  DRAIN_TIMEOUT_MS,
  FRAME_BYTES_MAX,
  LISTEN_BACKLOG,
  OUTPUT_HARD_CAP_BYTES,
} from './limits.js';
export type { ServerOptions } from './server.js';
export { TcpServer, type TcpServerOptions } from './tcp-server.js';
export {
  type ReconnectOptions,
  TcpClient,
  type TcpClientOptions,
  type TcpClientState,
} from './tcp-client.js';
export type { ConnectionOptions } from './tcp-options.js';
export { type HttpHandlerModule, HttpServer, type HttpServerOptions } from './http-server.js';
export type { HttpApplication, HttpHandlers, HttpRequestHandler } from './http-app.js';
export type { Connection, ConnectionState, SendOutcome } from './connection.js';
export type { CloseReason, Frame, FrameHandler, HandlerModule, Handlers } from './handlers.js';
export {
  createDispatch,
  DISPATCH_POLICIES,
  type DispatchFunction,
  type DispatchPolicy,
  type PeerAddress,
  type ThreadLoad,
} from './dispatch.js';
export { EventLoop, type EventLoopOptions, type EventLoopStats, type TimerHandle } from './event-loop.js';
export type { ThreadIndex } from './mesh-seat.js';
export type { CallOptions, PostOptions, TaskFunction } from './task-queue.js';
export type { FrameCodec, FrameDecoder, FrameSink } from './codec.js';
export { type CodecOptions, createCodec } from './codecs/create-codec.js';
export {
  BufferPool,
  type BufferPoolOptions,
  type BufferPoolStats,
  type PooledBuffer,
} from './buffer-pool.js';
export { SharedBudget } from './shared-budget.js';
export {
  type CounterName,
  type CounterRow,
  DATAGRAMS_DROPPED,
  DATAGRAMS_RECEIVED,
  DATAGRAMS_SENT,
  SharedCounters,
} from './shared-counters.js';
export {
  errorToWire,
  REACTOR_ERROR_CODES,
  ReactorError,
  type ReactorErrorCode,
  type WireError,
} from './errors.js';
export { Backoff, type BackoffOptions } from './backoff.js';
export type { TlsClientOptions, TlsServerOptions } from './tls-options.js';
export { createLogger, LOG_LEVELS, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export { Metrics, type MetricsSnapshot, renderSnapshots, restartsSnapshot } from './metrics.js';
export { AdminServer, type AdminServerOptions, type AdminSources } from './admin-server.js';
export { mergeSamples, type RequestSample, type SampledRequest } from './request-sample.js';
export { ProcessMaster, type ProcessMasterOptions, type ProcessStatus } from './process-master.js';
export { ProcessMember } from './process-member.js';
export { INHERITED_FD_FIRST, type ProcessCommand, type ProcessState } from './managed-process.js';
export { UdpServer, type UdpServerOptions } from './udp-server.js';
export { UdpClient, type UdpClientOptions } from './udp-client.js';
export type { UdpHandlerModule, UdpHandlers, UdpPeer, UdpSendOutcome } from './udp-handlers.js';
export type { UdpAddress } from './udp-service.js';
export type { UdpStats } from './udp-socket.js';
export { type ActivatedSocket, takeActivatedSockets } from './socket-activation.js';
