// What a user's service module returns, and how its methods are bound to the code that answers them.
// thread-server.ts binds it on every thread; middleware is folded in here, so that a call without any pays nothing.

import type { EventLoop } from '../../reactor/index.js';
import type { Peer, ServerCall, ServiceImplementation } from '../call.js';
import { RpcError } from '../errors.js';
import { Metadata } from '../metadata.js';
import type { Middleware, MiddlewareRequest, MiddlewareResponse, Next } from '../middleware.js';
import { checkKinds, checkNumber, isFunctionList, type OptionKinds, withDefaults } from '../option-checks.js';
import type { BoundMethod } from '../session/server-session.js';

export interface MethodLimits {
  /** Calls of the method whose handlers are at work on one thread; more are refused with RPC_RESOURCE_EXHAUSTED. */
  concurrencyMax?: number;
}

export interface RpcApplication {
  readonly services: readonly ServiceImplementation[];
  /** Around every handler, the first one outermost. */
  readonly middleware?: readonly Middleware[];
  /** By path, `/demo.Greeter/SayHello`, or by service, `demo.Greeter`. */
  readonly limits?: Readonly<Record<string, MethodLimits>>;
  /**
   * Who a client is, by the token it showed ('' is none); `peer.identity` is whom its certificate names. Null: nobody,
   * which is allowed. Throw RPC_UNAUTHENTICATED to turn it away. Default: the server's `tokens`, or else the
   * certificate.
   */
  authenticate?(token: string, peer: Peer): string | null;
  /** The server goes away: told once on every thread, before calls are refused. A health service says so to watchers. */
  onDraining?(): void;
}

/** The default export of a service module; runs once on every sub-reactor. */
export type RpcModule = (
  loop: EventLoop,
) =>
  | RpcApplication
  | readonly ServiceImplementation[]
  | Promise<RpcApplication | readonly ServiceImplementation[]>;

const KINDS: OptionKinds<RpcApplication> = {
  services: 'object',
  middleware: 'object',
  limits: 'object',
  authenticate: 'function',
  onDraining: 'function',
};

type Handler = (input: never, call: ServerCall) => unknown;

/** @throws RpcError RPC_OPTION_INVALID: it has another shape, or two services of one name */
export function checkApplication(value: unknown): RpcApplication {
  const application = (Array.isArray(value) ? { services: value } : value) as RpcApplication | null;
  if (typeof application !== 'object' || application === null || !Array.isArray(application.services)) {
    throw invalid('a service module returns services made by implement(), or { services, middleware… }');
  }
  checkKinds('application', KINDS, application);
  const { middleware, limits = {} } = application;
  if (middleware !== undefined && !isFunctionList(middleware))
    throw invalid('middleware must be a list of functions');
  const names = new Set<string>();
  for (const { contract } of application.services as readonly Partial<ServiceImplementation>[]) {
    if (contract === undefined) throw invalid('services are made by implement()');
    if (names.has(contract.fullName)) throw invalid(`there are two services ${contract.fullName}`);
    names.add(contract.fullName);
  }
  checkLimits(limits, application.services);
  return application;
}

/** @throws RpcError RPC_OPTION_INVALID: a limit that would bound nothing */
function checkLimits(
  limits: Readonly<Record<string, MethodLimits>>,
  services: readonly ServiceImplementation[],
): void {
  const known = new Set(
    services.flatMap(({ contract }) => [
      contract.fullName,
      ...Object.values(contract.methods).map(({ path }) => path),
    ]),
  );
  for (const [name, limit] of Object.entries(limits)) {
    if (!known.has(name)) throw invalid(`limits name ${name}, which is no service and no method here`);
    const { concurrencyMax } = withDefaults<MethodLimits>(
      `limit of ${name}:`,
      { concurrencyMax: Infinity },
      limit,
    );
    checkNumber(`limit of ${name}:`, 'concurrencyMax', concurrencyMax, { min: 0, max: Infinity });
  }
}

/** A drain goes on whatever the application makes of it. */
export function tellDraining(application: RpcApplication): void {
  try {
    application.onDraining?.();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error), { type: 'RpcDrainHookFailed' });
  }
}

/** Methods by path. `active` counts handlers at work, by path. */
export function bindMethods(
  application: RpcApplication,
  active: Map<string, number>,
): Map<string, BoundMethod> {
  const methods = new Map<string, BoundMethod>();
  const { middleware = [], limits = {} } = application;
  for (const { contract: service, handlers } of application.services) {
    for (const contract of Object.values(service.methods)) {
      const plain = handlers[contract.localName] as Handler; // implement() saw to it that it is there
      const { concurrencyMax } = limits[contract.path] ?? limits[service.fullName] ?? {};
      const handler = middleware.length === 0 ? plain : withMiddleware(plain, middleware);
      methods.set(contract.path, {
        contract,
        ...(concurrencyMax === undefined
          ? { handler, admit: null }
          : limited(handler, contract.path, concurrencyMax, active)),
      });
    }
  }
  return methods;
}

/** Asks when the call comes, and again when its request is whole: others may have begun meanwhile. */
function limited(
  handler: Handler,
  path: string,
  concurrencyMax: number,
  active: Map<string, number>,
): Pick<BoundMethod, 'handler' | 'admit'> {
  const admit = (): RpcError | null => {
    if ((active.get(path) ?? 0) < concurrencyMax) return null;
    const text = `${path} is at work ${concurrencyMax} times already`;
    return new RpcError('RPC_RESOURCE_EXHAUSTED', text, { executed: 'no' });
  };
  const atWork = counted(handler, path, active);
  return {
    admit,
    handler: (input, call) => {
      const refusal = admit();
      if (refusal !== null) throw refusal;
      return atWork(input, call);
    },
  };
}

/** Counts from the start of the handler until it has settled, whether the client still waits or not. */
function counted(handler: Handler, path: string, active: Map<string, number>): Handler {
  const settled = (): void => {
    active.set(path, (active.get(path) ?? 1) - 1);
  };
  return (input, call) => {
    active.set(path, (active.get(path) ?? 0) + 1);
    let result: unknown;
    try {
      result = handler(input, call);
    } catch (error) {
      settled();
      throw error;
    }
    if (isStream(call)) return untilRead(result as AsyncIterable<unknown>, settled);
    return Promise.resolve(result).finally(settled);
  };
}

async function* untilRead(
  messages: AsyncIterable<unknown> | Iterable<unknown>,
  settled: () => void,
): AsyncIterable<unknown> {
  try {
    yield* messages;
  } finally {
    settled();
  }
}

function withMiddleware(handler: Handler, middleware: readonly Middleware[]): Handler {
  return (input, call) => {
    const request: MiddlewareRequest = {
      side: 'server',
      method: call.method,
      metadata: call.metadata,
      signal: call.signal,
      message: input,
      call,
      remainingMs: () => call.remainingMs(),
    };
    const innermost: Next = async ({ message }) => {
      const result = handler(message as never, call);
      return {
        message: isStream(call) ? result : await result,
        headers: new Metadata(),
        trailers: call.trailers,
      };
    };
    const response = runMiddleware(middleware, innermost, request);
    return isStream(call) ? unpackStream(response) : response.then(({ message }) => message);
  };
}

/** Runs `middleware`, the first one outermost, around `innermost`; both sides use it. */
export function runMiddleware(
  middleware: readonly Middleware[],
  innermost: Next,
  request: MiddlewareRequest,
): Promise<MiddlewareResponse> {
  const next = (index: number): Next => {
    const layer = middleware[index];
    return layer === undefined ? innermost : async (request) => layer(request, next(index + 1));
  };
  return next(0)(request);
}

async function* unpackStream(response: Promise<MiddlewareResponse>): AsyncIterable<unknown> {
  const { message } = await response;
  yield* message as AsyncIterable<unknown>;
}

function isStream({ method: { kind } }: ServerCall): boolean {
  return kind === 'server-stream' || kind === 'bidi-stream';
}

function invalid(message: string): RpcError {
  return new RpcError('RPC_OPTION_INVALID', message);
}
