// What is known of one HTTP connection between the events that node:http tells of, and its deadlines.
// http-service.ts makes one for each socket and looks at all of them now and then (http-deadlines.ts); a request
// costs a few stores here. Two jobs of Node's own are taken over because they cost 3 % and 7 % of a hello world:
// its list of connections, which it reorders four times a request, and a timer object per kept-alive pause.

import type http from 'node:http';
import net from 'node:net';

/** Node keeps these in fields of the socket that have no public name; null and absent mean none. */
type AnsweringSocket = net.Socket & {
  /** The answer under way. */
  readonly _httpMessage?: http.ServerResponse | null;
  /** Gone once the socket was upgraded or is closed. */
  readonly parser?: unknown;
};

const CONNECTION: unique symbol = Symbol('reactor-net http connection');
type ConnectedSocket = AnsweringSocket & { [CONNECTION]?: HttpConnection };

/** The present state has lasted since a moment after the last look. */
const UNSEEN = -1;

/** Told of each request before the application is. */
export type RequestListener = (
  connection: HttpConnection,
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => void;

export class HttpConnection {
  readonly socket: net.Socket;
  readonly onRequest: RequestListener;
  /** The server that parses; its timeouts hold. Null during a TLS handshake, which has its own deadline. */
  readonly #server: http.Server | null;
  /** The answer that goes out last of those a client pipelined; null while there is one at a time. */
  #queued: http.ServerResponse | null = null;
  /** A request is due: on a new connection, and when bytes came since the last answer but no whole headers. */
  #receiving = true;
  /** How long Node would have this pause between two requests last, in ms; 0 for ever. */
  #keepAliveMs = 0;
  /** The look that saw the present state first. */
  #since = UNSEEN;
  /** Bytes read in all when the pause was first seen. */
  #bytesRead = 0;

  constructor(socket: net.Socket, server: http.Server | null, onRequest: RequestListener) {
    this.socket = socket;
    this.#server = server;
    this.onRequest = onRequest;
    (socket as ConnectedSocket)[CONNECTION] = this;
    if (server !== null) socket.setTimeout = setTimeoutLazily;
  }

  /** The connection of a request; undefined where some other server of the thread took it. */
  static of(socket: net.Socket): HttpConnection | undefined {
    return (socket as ConnectedSocket)[CONNECTION];
  }

  requestStarted(response: http.ServerResponse): void {
    // Kept only where it has to be: a reference to every answer would carry it through a garbage collection,
    // which was 4 % of a hello world.
    if ((this.socket as AnsweringSocket)._httpMessage !== response) this.#queued = response;
    this.#receiving = false;
    this.#keepAliveMs = 0;
    this.#since = UNSEEN;
  }

  /** The answer under way that goes out last, null when there is none. */
  get latestAnswer(): http.ServerResponse | null {
    if (this.#queued?.writableFinished === false) return this.#queued;
    const current = (this.socket as AnsweringSocket)._httpMessage ?? null;
    return current?.writableFinished === false ? current : null;
  }

  /** It has been answered all it asked, and nothing of a next request was seen; an upgraded socket is not idle. */
  get isIdle(): boolean {
    return !this.#receiving && this.#isParsed && this.latestAnswer === null;
  }

  /**
   * Looks for a deadline that has passed. `look` counts the looks, `everyMs` apart: nothing is ended early, and
   * nothing later than two looks after its time.
   */
  checkDeadlines(look: number, everyMs: number): void {
    const server = this.#server;
    if (server === null || !this.#isParsed) return;
    const seenNow = this.#since === UNSEEN;
    if (seenNow) this.#since = look;
    const elapsedMs = (look - this.#since) * everyMs;
    const answer = this.latestAnswer;
    if (this.#receiving) {
      if (isOver(elapsedMs, server.headersTimeout) || isOver(elapsedMs, server.requestTimeout))
        this.#refuse();
    } else if (answer !== null) {
      if (answer.req.complete) this.#since = UNSEEN;
      else if (isOver(elapsedMs, server.requestTimeout)) this.#refuse();
    } else if (seenNow) {
      this.#bytesRead = this.socket.bytesRead;
    } else if (this.socket.bytesRead > this.#bytesRead) {
      this.#receiving = true;
      this.#since = look;
    } else if (isOver(elapsedMs, this.#keepAliveMs)) {
      this.socket.emit('timeout'); // as Node's timer does: it asks the application's listeners, then destroys
    }
  }

  /** @internal Whether this is Node saying how long to keep the connection; then it needs no timer. */
  takesTimeout(timeoutMs: number): boolean {
    const socket = this.socket as AnsweringSocket;
    const between = !this.#receiving && (socket._httpMessage ?? null) === null && this.#isParsed;
    if (!between || this.#server === null || this.#server.timeout !== 0 || (socket.timeout ?? 0) > 0)
      return false;
    this.#keepAliveMs = timeoutMs;
    this.#since = UNSEEN;
    return true;
  }

  get #isParsed(): boolean {
    return ((this.socket as AnsweringSocket).parser ?? null) !== null;
  }

  /** Node's own listener answers 408, or asks the application's 'clientError' to. */
  #refuse(): void {
    this.socket.emit(
      'error',
      Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    );
  }
}

/** Stands in for the socket's own setTimeout, which Node calls twice a request. */
function setTimeoutLazily(this: net.Socket, timeoutMs: number, callback?: () => void): net.Socket {
  if (callback === undefined && HttpConnection.of(this)?.takesTimeout(timeoutMs) === true) return this;
  return net.Socket.prototype.setTimeout.call(this, timeoutMs, callback);
}

function isOver(elapsedMs: number, limitMs: number): boolean {
  return limitMs > 0 && elapsedMs >= limitMs;
}
