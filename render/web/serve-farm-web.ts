// The web side of a main node: the page, the HTTP API, live events, metrics and health, over any Farm.
// `reactor-net render main --http` calls it. What it serves is in the routes; here they are put together.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Farm } from '../main/farm.js';
import { Access } from './access.js';
import { jsonAnswer } from './answer.js';
import { FarmImages } from './farm-images.js';
import { farmRoutes } from './farm-routes.js';
import { jobRoutes } from './job-routes.js';
import { LiveEvents } from './live-events.js';
import { openApiDocument } from './openapi.js';
import { readPageFiles } from './page-files.js';
import type { Route } from './route.js';
import { sessionRoutes } from './session-routes.js';
import type { WebFarm } from './shapes.js';
import { WebMetrics } from './web-metrics.js';
import { completeFarmWebOptions, type FarmWebOptions, type FarmWebSettings } from './web-options.js';
import { askerIn, SECURITY_HEADERS, WebServer } from './web-server.js';

export interface FarmWeb {
  readonly host: string;
  readonly port: number;
  /** Ends the pages' events at once, answers under way within the time. Default 5 s. */
  close(deadlineMs?: number): Promise<void>;
}

const CLOSE_MS = 5000;

/**
 * @throws ReactorError REACTOR_PORT_IN_USE, REACTOR_OPTION_INVALID (TLS); RenderError RENDER_OPTION_INVALID, RENDER_IO: it
 *   cannot listen there
 */
export async function serveFarmWeb(farm: Farm, options: FarmWebOptions = {}): Promise<FarmWeb> {
  const settings = completeFarmWebOptions(options);
  const hosts = [hostname(), ...settings.hosts].map((name) => name.toLowerCase());
  const access = new Access({ tokens: settings.tokens, hosts, isTls: settings.tls !== null });
  const facts = factsOf(farm, settings, access);
  const live = new LiveEvents(farm, facts, settings);
  const images = new FarmImages(farm);
  const metrics = new WebMetrics(farm, live, images);
  const stop = async (): Promise<void> => {
    live.close();
    await images.close();
  };
  try {
    const server = new WebServer(
      {
        access,
        routes: withDocument(settings.version, [
          ...farmRoutes({ farm, live, facts, loadStepMs: settings.loadStepMs, headers: SECURITY_HEADERS }),
          ...jobRoutes(farm, images),
          ...sessionRoutes(access, askerIn),
        ]),
        files: readPageFiles(),
        metrics: async () => `${await metrics.text()}${await settings.metrics()}`,
        notReady: settings.notReady,
        onError: settings.onError,
      },
      settings.tls,
    );
    const close = async (deadlineMs: number = CLOSE_MS): Promise<void> => {
      live.close(); // its answers would never end
      await server.close(deadlineMs);
      await stop();
    };
    return { ...(await server.listen(settings)), close };
  } catch (error) {
    await stop();
    throw error;
  }
}

function withDocument(version: string, routes: readonly Route[]): readonly Route[] {
  const own: Route = {
    method: 'GET',
    path: '/api/v1/openapi.json',
    id: 'getOpenApi',
    summary: 'This document.',
    isOpen: true,
    answers: { 200: { summary: 'OpenAPI 3.1.', type: 'application/json' } },
    handle: () => jsonAnswer(200, document),
  };
  const all = [...routes, own];
  const document = openApiDocument(all, version);
  return all;
}

function factsOf(farm: Farm, { version, mainAddress }: FarmWebSettings, access: Access): () => WebFarm {
  const boot = randomUUID();
  const startedAtMs = Date.now();
  return () => ({
    version,
    boot,
    startedAtMs,
    nowMs: Date.now(),
    main: mainAddress,
    hasTokens: access.hasTokens,
    totals: farm.totals(),
  });
}
