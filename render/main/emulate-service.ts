// The service blendersim.Emulate: what drivers and worker nodes say, over our RPC and over gRPC alike.
// Answers carry a Status instead of failing the call; what they mean is main-node.ts's and job-runner.ts's to decide.

import type { MessageInit, ServerCall } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import {
  type CancelReq,
  Code,
  type DriverInfo,
  type EmulateService,
  type GetPositionReq,
  type MoveReq,
  type NodeHeartBeat,
  type NodeInfo,
  type Position,
  type RegisteDriverRsp,
  type RegisterNodeRsp,
  type RenderReq,
  type RenderRsp,
  type Serial,
  type Status,
} from '../proto/render.js';
import type { DriverEntry } from './driver-book.js';
import type { JobRecord } from './job-record.js';
import { imageBytesAtMost, isRaw, type JobSpec, readSpec, type SpecLimits } from './job-spec.js';
import type { Registration } from './registrations.js';
import { type ResultSources, resultMessages, wholeResult } from './result-stream.js';
import { OK, statusOfError, UNAUTHORIZED } from './statuses.js';

/** What the service needs of the main node. */
export interface EmulateHost extends ResultSources {
  readonly specLimits: SpecLimits;
  readonly messageBytesMax: number;
  readonly heartbeatMs: number;
  readonly lives: number;
  /** @throws RenderError RENDER_UNAUTHORIZED, RENDER_IDS_EXHAUSTED, RENDER_UNAVAILABLE */
  registerDriver(info: DriverInfo): Registration<DriverEntry>;
  /** Null: nobody. */
  driver(serial: Serial | undefined): Registration<DriverEntry> | null;
  beatDriver(serial: Serial): boolean;
  releaseDriver(serial: Serial): boolean;
  /** @throws RenderError as above, and RENDER_VERSION_MISMATCH, RENDER_REQUEST_INVALID */
  registerNode(info: NodeInfo, peerAddress: string | undefined): Serial;
  beatNode(beat: NodeHeartBeat): boolean;
  releaseNode(serial: Serial): boolean;
  /** @throws RenderError RENDER_UNAVAILABLE: it stops; RENDER_NOT_FOUND: the scene is not here; and what the runner throws */
  submit(driver: Registration<DriverEntry>, requestId: bigint, spec: JobSpec): JobRecord;
}

const ORIGIN = { x: 0, y: 0, z: 0 };
/** Of a TaskStatus, with the reason of a missing image, and of a RenderRsp without images, encoded. */
const STATUS_BYTES = 640;
const HEAD_BYTES = 4096;

export function emulateService(host: EmulateHost): EmulateService {
  return {
    registerDriver: (info) => registerDriver(host, info),
    unRegisterDriver: (serial) => (host.releaseDriver(serial) ? OK : UNAUTHORIZED),
    heartBeatUser: (serial) => (host.beatDriver(serial) ? OK : UNAUTHORIZED),
    move: (request) => move(host, request),
    getPosition: (request) => getPosition(host, request),
    render: (request, call) => render(host, request, call),
    renderStream: (request, call) => renderStream(host, request, call),
    cancel: (request) => cancel(host, request),
    registerNode: (info, call) => registerNode(host, info, call),
    unRegisterNode: (serial) => (host.releaseNode(serial) ? OK : UNAUTHORIZED),
    heartBeatNode: (beat) => (host.beatNode(beat) ? OK : UNAUTHORIZED),
  };
}

function registerDriver(host: EmulateHost, info: DriverInfo): MessageInit<RegisteDriverRsp> {
  const { heartbeatMs, lives } = host;
  try {
    return { status: OK, serial: host.registerDriver(info).serial, heartbeatMs, lives };
  } catch (error) {
    return { status: statusOfError(error), heartbeatMs, lives };
  }
}

function registerNode(host: EmulateHost, info: NodeInfo, call: ServerCall): MessageInit<RegisterNodeRsp> {
  const { heartbeatMs, lives } = host;
  try {
    return { status: OK, serial: host.registerNode(info, call.peer.address), heartbeatMs, lives };
  } catch (error) {
    return { status: statusOfError(error), heartbeatMs, lives };
  }
}

function move(host: EmulateHost, { id, position }: MoveReq): ReturnType<EmulateService['move']> {
  const driver = host.driver(id);
  if (driver === null) return { ...idOf(id), status: UNAUTHORIZED };
  const { x, y, z } = position ?? ORIGIN;
  if (![x, y, z].every(Number.isFinite)) {
    const message = 'a position is three finite numbers';
    return { ...idOf(id), status: { code: Code.INVALID_ARGUMENT, message } };
  }
  driver.value.position = { x, y, z };
  return { id: driver.serial, status: OK };
}

function getPosition(host: EmulateHost, { id }: GetPositionReq): ReturnType<EmulateService['getPosition']> {
  const driver = host.driver(id);
  if (driver === null) return { ...idOf(id), status: UNAUTHORIZED };
  return { id: driver.serial, status: OK, position: driver.value.position };
}

function cancel(host: EmulateHost, { id, requestId }: CancelReq): MessageInit<Status> {
  const driver = host.driver(id);
  if (driver === null) return UNAUTHORIZED;
  const record = host.runner.asked(driver.key, requestId);
  if (record === null) return { code: Code.NOT_FOUND, message: `there is no request ${requestId}` };
  host.runner.cancel(record.id);
  return OK;
}

async function render(
  host: EmulateHost,
  request: RenderReq,
  call: ServerCall,
): Promise<MessageInit<RenderRsp>> {
  const driver = host.driver(request.id);
  if (driver === null) return refusal(request, UNAUTHORIZED);
  try {
    const spec = readSpec(request, positionFor(host, driver, request), host.specLimits);
    checkFits(host, spec);
    const record = host.submit(driver, request.requestId, spec);
    const result = await waiting(host, driver, record, call, () =>
      wholeResult(host, record, driver.serial, call.signal),
    );
    return record.isForsaken ? refusal(request, UNAUTHORIZED) : result;
  } catch (error) {
    return refusal(request, statusOfError(error));
  }
}

async function* renderStream(
  host: EmulateHost,
  request: RenderReq,
  call: ServerCall,
): AsyncGenerator<MessageInit<RenderRsp>> {
  const driver = host.driver(request.id);
  if (driver === null) {
    yield refusal(request, UNAUTHORIZED);
    return;
  }
  let record: JobRecord;
  try {
    const spec = readSpec(request, positionFor(host, driver, request), host.specLimits);
    record = host.submit(driver, request.requestId, spec);
  } catch (error) {
    yield refusal(request, statusOfError(error));
    return;
  }
  driver.value.callsOpen += 1;
  try {
    for await (const message of resultMessages(host, record, driver.serial, call.signal)) {
      if (record.isForsaken) {
        yield refusal(request, UNAUTHORIZED);
        return;
      }
      yield message;
    }
  } finally {
    driver.value.callsOpen -= 1;
    abandon(host, record, call);
  }
}

async function waiting<T>(
  host: EmulateHost,
  driver: Registration<DriverEntry>,
  record: JobRecord,
  call: ServerCall,
  wait: () => Promise<T>,
): Promise<T> {
  driver.value.callsOpen += 1;
  try {
    return await wait();
  } finally {
    driver.value.callsOpen -= 1;
    abandon(host, record, call);
  }
}

/** A call that ended early: without a request id nobody can ask for the job again, unless it was to go on by itself. */
function abandon({ runner }: EmulateHost, record: JobRecord, call: ServerCall): void {
  if (!call.signal.aborted || record.end !== null || runner.isClosed || !runner.has(record.id)) return;
  if (record.requestId === 0n && !record.spec.isDetached) runner.cancel(record.id);
}

/** A request that was here before and says nothing of a position is still for where the object was then. */
function positionFor(
  { runner }: EmulateHost,
  { key, value }: Registration<DriverEntry>,
  { position, requestId }: RenderReq,
): Position {
  return position ?? runner.asked(key, requestId)?.spec.position ?? value.position;
}

/** @throws RenderError RENDER_REQUEST_TOO_LARGE, RENDER_REQUEST_INVALID */
function checkFits({ messageBytesMax }: EmulateHost, spec: JobSpec): void {
  if (!isRaw(spec) && spec.images > 1)
    throw new RenderError('RENDER_REQUEST_INVALID', 'files have no common size: ask with RenderStream');
  const bytes = HEAD_BYTES + spec.images * (imageBytesAtMost(spec) + STATUS_BYTES);
  if (bytes > messageBytesMax) {
    const text = `the result would be about ${bytes} bytes, a message has at most ${messageBytesMax}: ask with RenderStream`;
    throw new RenderError('RENDER_REQUEST_TOO_LARGE', text);
  }
}

function refusal({ id }: RenderReq, status: MessageInit<Status>): MessageInit<RenderRsp> {
  return { ...idOf(id), status, last: true };
}

function idOf(id: Serial | undefined): { readonly id?: Serial } {
  return id === undefined ? {} : { id };
}
