// The door of the render layer: re-exports only.
// So far it is a library of parts: the contract, ids, liveness and the choice of worker nodes.
export * from './errors.js';
export { checkLights, type Light, lightsOf, packLight, unpackLight } from './lights.js';
export { type LivenessOptions, LivenessTable } from './liveness-table.js';
export { loadedWeight, SmoothWrr, type SmoothWrrOptions } from './smooth-wrr.js';
export { SerialAllocator } from './serials.js';
export { Code, EmulateClient, ErrCode, PixelFormat, SlaveEmulateClient } from './proto/render.js';
