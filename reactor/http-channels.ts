// Tells the owner of a connection when node:http starts and finishes a request on it.
// http-service.ts watches its sockets; Node's own diagnostics channels bring the news, so that no request
// pays for a wrapper and no application needs to know. Other servers of the thread are not our business.

import diagnostics from 'node:diagnostics_channel';
import type http from 'node:http';
import type net from 'node:net';

/** What is known of one connection's requests. */
export interface RequestRecord {
  readonly owner: RequestOwner;
  /** Requests that are parsed and not answered yet; more than one when the client pipelines. */
  active: number;
  /** The answer that goes out last; null when none is under way. */
  latest: http.ServerResponse | null;
  /** The owner's: the request it is timing, if any. */
  sampled: {
    readonly response: http.ServerResponse;
    readonly ticket: number;
    readonly startedMs: number;
  } | null;
}

export interface RequestOwner {
  /** The headers of a request are parsed; `record.active` and `record.latest` count it already. */
  requestStarted(record: RequestRecord, response: http.ServerResponse): void;
  /** An answer was handed to the kernel whole; `record` no longer counts it. */
  requestDone(record: RequestRecord, published: PublishedRequest): void;
}

/** What both channels publish. */
export interface PublishedRequest {
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
  readonly socket: net.Socket;
}

const RECORD: unique symbol = Symbol('reactor-net requests of a connection');
type WatchedSocket = net.Socket & { [RECORD]?: RequestRecord };

let watches = 0;

/** Begins to hear the channels in this thread, until the function it returns is called. */
export function listenToRequests(): () => void {
  watches += 1;
  if (watches === 1) {
    diagnostics.subscribe('http.server.request.start', onRequestStart);
    diagnostics.subscribe('http.server.response.finish', onResponseFinish);
  }
  return () => {
    watches -= 1;
    if (watches > 0) return;
    diagnostics.unsubscribe('http.server.request.start', onRequestStart);
    diagnostics.unsubscribe('http.server.response.finish', onResponseFinish);
  };
}

/** From here on `owner` is told of the requests on `socket`. */
export function watchRequests(socket: net.Socket, owner: RequestOwner): RequestRecord {
  const record: RequestRecord = { owner, active: 0, latest: null, sampled: null };
  (socket as WatchedSocket)[RECORD] = record;
  return record;
}

/** The connection ended: gives how many requests lose their answer, which nothing is told of any more. */
export function abandonRequests(record: RequestRecord): number {
  const lost = record.active;
  record.active = 0;
  record.latest = null;
  record.sampled = null;
  return lost;
}

function onRequestStart(message: unknown): void {
  const { socket, response } = message as PublishedRequest; // the shape Node documents for both channels
  const record = (socket as WatchedSocket)[RECORD];
  if (record === undefined) return;
  record.active += 1;
  record.latest = response;
  record.owner.requestStarted(record, response);
}

function onResponseFinish(message: unknown): void {
  const published = message as PublishedRequest;
  const record = (published.socket as WatchedSocket)[RECORD];
  if (record === undefined || record.active === 0) return; // 0: the connection ended first
  record.active -= 1;
  if (record.active === 0) record.latest = null;
  record.owner.requestDone(record, published);
}
