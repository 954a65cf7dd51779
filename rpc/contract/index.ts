// What the rest of the layer, and users, take from this folder: re-exports only.

export { clientOf, createClient, type DynamicClient } from './dynamic-client.js';
export {
  contractFromDescriptor,
  type ContractOptions,
  type GeneratedFile,
  loadDescriptors,
  type LoadOptions,
  loadProto,
  type ProtoPackage,
} from './proto-package.js';
export type {
  EnumSchema,
  FieldSchema,
  Int64Mode,
  MessageSchema,
  MethodSchema,
  OneofSchema,
  ScalarType,
  Schema,
  ServiceSchema,
  ValueSchema,
} from './schema.js';
export { type Change, type ChangeKind, type Place } from './compatibility/change.js';
export { compareProtos } from './compatibility/compare.js';
export { generate, type GeneratedModule, type GenerateOptions } from './generate/generate.js';
export { type ProtoFile, type ProtoFiles, readProtoFiles } from './proto-files.js';
