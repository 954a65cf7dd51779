// The door of the render layer: re-exports only.
// Main node, worker node and driver as they run, and the parts they decide by: ids, liveness, scheduler, task table, autoscaler.
export * from './errors.js';
export { checkLights, type Light, lightsOf, packLight, unpackLight } from './lights.js';
export { type LivenessOptions, LivenessTable } from './liveness-table.js';
export { loadedWeight, SmoothWrr, type SmoothWrrOptions } from './smooth-wrr.js';
export { SerialAllocator } from './serials.js';
export { type BackoffOptions, backoffMs } from './backoff.js';
export type { Answer, SchedulerEffect, SchedulerFigures } from './main/effects.js';
export {
  type Farm,
  type FarmEvent,
  type FarmImage,
  type FarmImageState,
  type FarmJob,
  type FarmJobsQuery,
  type FarmLog,
  type FarmOutcome,
  type FarmPage,
  type FarmPixels,
  type FarmProcess,
  type FarmScene,
  type FarmTotals,
  type FarmWorker,
  JOB_STATES,
} from './main/farm.js';
export type { FailedImage, ImageFailure, JobRequest, JobState, JobStatus } from './main/job.js';
export type { JobStore, StoredImage, StoreRecord } from './main/job-store.js';
export { type MainAddresses, MainNode, type MainNodeParts } from './main/main-node.js';
export { MainSeat, type MainSeatOptions } from './main/main-seat.js';
export { type Fence, KvJobStore, type KvJobStoreOptions } from './main/kv-job-store.js';
export type { MainClock } from './main/main-clock.js';
export { MainMetrics } from './main/main-metrics.js';
export { MAIN_PORT, type MainAddress, type MainNodeOptions } from './main/main-options.js';
export type { MainFigures } from './main/membership.js';
export { type Registration, Registrations } from './main/registrations.js';
export { Scheduler } from './main/scheduler.js';
export { SCHEDULER_DEFAULTS, type SchedulerOptions } from './main/scheduler-options.js';
export type { NodeBeat, NodeFacts } from './main/worker-nodes.js';
export { type FarmWeb, serveFarmWeb } from './web/serve-farm-web.js';
export type { FarmWebOptions } from './web/web-options.js';
export { assignLeastLoaded } from './worker/assignment.js';
export {
  Autoscaler,
  type AutoscalerAction,
  type AutoscalerOptions,
  type AutoscalerSample,
  type RendererLoad,
} from './worker/autoscaler.js';
export { cpuShare, type CpuTimes, cpuTimes, type GpuUse, gpuUse, memoryUse } from './worker/host-load.js';
export { LoadAverage, LoadWindow, type Smoothing } from './worker/load-window.js';
export type { TaskTableFigures, TaskTableOptions, WorkerEffect } from './worker/render-task.js';
export { type LoadFigures, LoadMeter, type LoadSource, systemLoad } from './worker/load-meter.js';
export { WorkerMetrics } from './worker/worker-metrics.js';
export { type WorkerEnd, type WorkerFigures, WorkerNode } from './worker/worker-node.js';
export {
  type DeskOptions,
  type SceneOptions,
  WORKER_PORT,
  type WorkerAddress,
  type WorkerNodeOptions,
} from './worker/worker-options.js';
export { TASK_TABLE_DEFAULTS, TaskTable } from './worker/task-table.js';
export { Code, EmulateClient, ErrCode, PixelFormat, SlaveEmulateClient } from './proto/render.js';
export {
  blenderRenderer,
  type BlenderRendererOptions,
  PYTHON_RENDERERS,
} from './renderer/blender-renderer.js';
export {
  type BuiltinFault,
  builtinRenderer,
  type BuiltinRendererOptions,
} from './renderer/builtin-renderer.js';
export {
  decodeRendererReply,
  decodeRendererRequest,
  encodeRendererReply,
  encodeRendererRequest,
  imageBytes,
  RENDERER_MESSAGE,
  RENDERER_OPS,
  type RendererOp,
  rendererReply,
  type RendererReply,
  rendererRequest,
  type RendererRequest,
  replyText,
} from './renderer/message.js';
export type { Renderer, RendererFacts } from './renderer/renderer.js';
export type { ProcessUsage } from './worker/process-usage.js';
export type { RendererProcessOptions } from './worker/renderer-options.js';
export { RendererPool, type RendererPoolOptions } from './worker/renderer-pool.js';
export {
  type RenderCall,
  type RendererFigures,
  RendererProcess,
  type RendererState,
  type RenderOutcome,
} from './worker/renderer-process.js';
export {
  type FetchOptions,
  FarmClient,
  type JobWithImages,
} from './driver/farm-client.js';
export type { FarmClientOptions, RenderDriverOptions } from './driver/driver-options.js';
export { nameOf } from './driver/failures.js';
export { type DriverCallOptions, RenderDriver } from './driver/render-driver.js';
export type { RenderJob, RenderOptions } from './driver/render-job.js';
export type { LightSet, RenderRequest } from './driver/render-request.js';
export type {
  ImageResult,
  MissingImage,
  RenderedImage,
  RenderedJob,
  RenderProgress,
  RenderState,
  RenderSummary,
} from './driver/render-results.js';
export type { SceneSource } from './driver/scene-upload.js';
export { type AnimationRequest, animationProblem, FPS_MAX, writeAnimation } from './images/animation.js';
export { ApngEncoder } from './images/apng.js';
export { encodeImage, extensionOf, type Pixels } from './images/image-encoding.js';
export { type FolderJob, ImageFolder } from './images/image-folder.js';
export { ImageWriter, type NumberedImage } from './images/image-writer.js';
export {
  type Image,
  ImageState,
  type Job,
  type JobOutcome,
  JobState as JobStates,
  type Worker,
} from './proto/farm.js';
