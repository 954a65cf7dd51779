// What the rest of the layer, and users, take from this folder: re-exports only.

export {
  type ContractOptions,
  loadDescriptors,
  type LoadOptions,
  loadProto,
  type ProtoPackage,
} from './proto-package.js';
