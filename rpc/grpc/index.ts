// The door to gRPC, `reactor-net/rpc/grpc`: apart from `reactor-net/rpc`, so that only who talks to gRPC loads grpc-js.
export { GrpcCaller, type GrpcCallerFigures, type GrpcCallerOptions } from './grpc-caller.js';
export {
  type GrpcDrainReport,
  GrpcServer,
  type GrpcServerFigures,
  type GrpcServerOptions,
} from './grpc-server.js';
