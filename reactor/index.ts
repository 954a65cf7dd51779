// The door of the reactor: everything a user or a higher layer may use, and nothing else.

// Servers and clients.
export type { ServerOptions } from './server.js';
export { TcpServer, type TcpServerOptions } from './tcp-server.js';
export {
  type ReconnectOptions,
  TcpClient,
  type TcpClientOptions,
  type TcpClientState,
} from './tcp-client.js';
export { type HttpHandlerModule, HttpServer, type HttpServerOptions } from './http-server.js';
export type {
  Http1Handlers,
  Http1RequestHandler,
  Http1Respond,
} from './http1/handlers.js';
export type { Http1Options } from './http1/options.js';
export type { Http1Request } from './http1/request.js';
export type { Http1Headers } from './http1/request-head.js';
export type { Http1HeaderValue, Http1ResponseHeaders } from './http1/response-head.js';
export type { Http1Writer } from './http1/writer.js';
export { staticFiles, type StaticFilesOptions } from './static-files.js';
export type { HttpTimeouts } from './http-backend.js';
export type { FastifyLike, HttpApplication, HttpHandlers, HttpRequestHandler } from './http-app.js';
export { UdpServer, type UdpServerOptions } from './udp-server.js';
export { UdpClient, type UdpClientOptions } from './udp-client.js';
export type { ConnectionOptions } from './tcp-options.js';
export {
  type TlsClientOptions,
  type TlsServerOptions,
  toTlsClientOptions,
  toTlsServerOptions,
} from './tls-options.js';
export { formatAddress, type ListenAddress, openDescriptors } from './listening-socket.js';
export { type ActivatedSocket, takeActivatedSockets } from './socket-activation.js';

// What handlers are, and what they are given.
export type { CloseReason, Frame, FrameHandler, HandlerModule, Handlers } from './handlers.js';
export type { Connection, ConnectionState } from './connection.js';
export type { SendOutcome } from './sending-half.js';
export type { FileRange } from './sendable-file.js';
export type {
  UdpFrameHandler,
  UdpHandlerModule,
  UdpHandlers,
  UdpPeer,
  UdpSendOutcome,
} from './udp-handlers.js';
export type { UdpAddress } from './udp-service.js';
export type { UdpCodec } from './datagram-port.js';
export type { UdpStats } from './udp-socket.js';

// Framing.
export { type CodecOptions, createCodec } from './codecs/create-codec.js';
export type { FrameCodec, FrameDecoder, FrameSink } from './codec.js';

// Threads: the reactor, its event loops, and a pool for work that would hold them up.
export { Reactor, type ThreadStatus } from './reactor.js';
export {
  ACCEPT_MODES,
  type AcceptMode,
  type ReactorOptions,
  type TransportName,
  TRANSPORTS,
} from './reactor-options.js';
export {
  DISPATCH_POLICIES,
  type DispatchFunction,
  type DispatchName,
  type DispatchPolicy,
  type PeerAddress,
  type ThreadLoad,
} from './dispatch.js';
export type { EventLoop, EventLoopStats, TimerHandle } from './event-loop.js';
export { TimerNode } from './timer-wheel.js';
export type { ThreadIndex } from './mesh-seat.js';
export type { CallOptions, PostOptions } from './task-queue.js';
export type { TaskFunction } from './task-runner.js';
export { WorkerPool, type WorkerPoolOptions, type WorkerPoolStats } from './worker-pool.js';
export type { SubmitOptions } from './pool-job.js';
export type { JobContext, PoolFunction } from './worker-pool.worker.js';
export { Backoff, type BackoffOptions } from './backoff.js';

// Processes of one command, supervised by a master.
export { ProcessMaster, type ProcessMasterOptions, type ProcessStatus } from './process-master.js';
export { ProcessMember } from './process-member.js';
export { INHERITED_FD_FIRST, type ProcessCommand, type ProcessState } from './managed-process.js';

// Memory.
export {
  BufferPool,
  type BufferPoolOptions,
  type BufferPoolStats,
  type PooledBuffer,
} from './buffer-pool.js';
export type { LeakDetection, LeakReport } from './leak-sampler.js';
export { SharedBudget } from './shared-budget.js';

// Seeing it run.
export { Metrics, type MetricsSnapshot, renderSnapshots, restartsSnapshot } from './metrics.js';
export { AdminServer, type AdminServerOptions, type AdminSources } from './admin-server.js';
export { mergeSamples, type RequestSample, type SampledRequest } from './request-sample.js';
export { createLogger, LOG_LEVELS, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export {
  type CounterName,
  type CounterRow,
  DATAGRAMS_DROPPED,
  DATAGRAMS_RECEIVED,
  DATAGRAMS_SENT,
  SharedCounters,
} from './shared-counters.js';

// Errors, and the bounds that are also the defaults of options.
export {
  errorToWire,
  REACTOR_ERROR_CODES,
  ReactorError,
  type ReactorErrorCode,
  type WireError,
} from './errors.js';
export {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_ADDRESS_MAX,
  DRAIN_TIMEOUT_MS,
  FRAME_BYTES_MAX,
  LISTEN_BACKLOG,
  OUTPUT_HARD_CAP_BYTES,
} from './limits.js';
