// What generated code imports, without the rest of the layer: our own services in rpc/gen/ are themselves part of it.

export type { Caller, CallOptions, Messages, ResponseStream, ServerCall } from '../call.js';
export type { MessageInit, MessageType, MethodContract, ServiceContract } from '../contract.js';
export { contractFromDescriptor, type GeneratedFile } from './proto-package.js';
