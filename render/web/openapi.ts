// The OpenAPI 3.1 document, made from the routes that are served. Pure.

import { SCRIPT_HEADER } from './access.js';
import { json } from './documented.js';
import type { ParameterDoc, ResponseDoc, Route } from './route.js';
import { SCHEMAS } from './schemas.js';

/** What every route of the API may answer. */
const COMMON: Readonly<Record<number, ResponseDoc>> = {
  400: json('The request is not what it should be.', 'Error'),
  403: json('Another site made the browser send this, or under a name that is not ours.', 'Error'),
  500: json('Something went wrong here.', 'Error'),
};
const ASKS_FOR_TOKEN: Readonly<Record<number, ResponseDoc>> = {
  401: json('Show a token.', 'Error'),
  429: json('Too many wrong tokens: again after Retry-After.', 'Error'),
};
const HAS_BODY: Readonly<Record<number, ResponseDoc>> = { 413: json('The body is too large.', 'Error') };

export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'reactor-net render farm',
      version: version === '' ? '0' : version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        `Jobs, worker nodes, images and logs of a render farm. Errors are {code, message}. Requests that change something ` +
        `need the header ${SCRIPT_HEADER}, with any value, or a bearer token. Submitting is the driver's: reactor-net render submit.`,
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        cookie: {
          type: 'apiKey',
          in: 'cookie',
          name: 'reactor_net_render_PORT',
          description: 'Set by POST /api/v1/session.',
        },
      },
    },
  };
}

function operationOf(route: Route): object {
  const { id, summary, parameters = [], query = [], body, answers, isOpen = false, method } = route;
  const all: Record<number, ResponseDoc> = {
    ...COMMON,
    ...(isOpen ? {} : ASKS_FOR_TOKEN),
    ...(body === undefined ? {} : HAS_BODY),
    ...answers,
  };
  return {
    operationId: id,
    summary,
    security: isOpen ? [] : [{}, { bearer: [] }, { cookie: [] }],
    parameters: [
      ...parameters.map((parameter) => parameterOf(parameter, 'path')),
      ...query.map((parameter) => parameterOf(parameter, 'query')),
      ...(method === 'GET' ? [] : [parameterOf(SCRIPT_PARAMETER, 'header')]),
    ],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: Object.fromEntries(
      Object.entries(all).map(([status, response]) => [status, responseOf(response)]),
    ),
  };
}

const SCRIPT_PARAMETER: ParameterDoc = {
  name: SCRIPT_HEADER,
  summary: 'Any value. Needed where no bearer token is shown.',
  schema: { type: 'string', examples: ['1'] },
};

function parameterOf({ name, summary, schema }: ParameterDoc, place: 'path' | 'query' | 'header'): object {
  return { name, in: place, description: summary, required: place === 'path', schema };
}

function responseOf({ summary, type, schema }: ResponseDoc): object {
  if (type === null) return { description: summary };
  return { description: summary, content: { [type]: schema === undefined ? {} : { schema } } };
}
