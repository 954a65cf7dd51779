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
