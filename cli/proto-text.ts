// Services, messages and enums as text that reads like the .proto they came from, for people; and as plain JSON.
// rpc-describe.ts prints both. Pure. What a schema does not keep, comments and options of users, is not there.

import type {
  EnumSchema,
  FieldSchema,
  MessageSchema,
  MethodSchema,
  Schema,
  ServiceSchema,
  ValueSchema,
} from '../rpc/index.js';

const INDENT = '  ';

export function serviceText(service: ServiceSchema): string {
  return block(`service ${shortName(service.fullName)}`, service.methods.map(methodText));
}

export function methodText(method: MethodSchema): string {
  const { name, request, response, clientStreams, serverStreams } = method;
  const asks = `${clientStreams ? 'stream ' : ''}${request.fullName}`;
  const answers = `${serverStreams ? 'stream ' : ''}${response.fullName}`;
  const options = [
    ...(method.idempotency === 'idempotent' ? ['option idempotency_level = IDEMPOTENT;'] : []),
    ...(method.idempotency === 'no-side-effects' ? ['option idempotency_level = NO_SIDE_EFFECTS;'] : []),
    ...(method.isDeprecated ? ['option deprecated = true;'] : []),
  ];
  const head = `rpc ${name} (${asks}) returns (${answers})`;
  return options.length === 0 ? `${head};` : `${head} { ${options.join(' ')} }`;
}

/** With the types that are declared inside it. */
export function messageText(message: MessageSchema, schema: Schema): string {
  const inner = [
    ...inside(message.fullName, schema.messages)
      .filter(({ isMapEntry }) => !isMapEntry)
      .map((each) => messageText(each, schema)),
    ...inside(message.fullName, schema.enums).map(enumText),
  ];
  const lines: string[] = [];
  const written = new Set<string>();
  for (const field of message.fields) {
    const oneof = field.shape === 'singular' ? field.oneof : null;
    if (oneof === null) lines.push(fieldText(field));
    else if (!written.has(oneof.name)) {
      written.add(oneof.name);
      lines.push(block(`oneof ${oneof.name}`, oneof.fields.map(fieldText)));
    }
  }
  return block(`message ${shortName(message.fullName)}`, [...inner, ...lines]);
}

export function enumText({ fullName, values, nameOf }: EnumSchema): string {
  const hasAliases = nameOf.size < values.length;
  const lines = values.map(({ name, number }) => `${name} = ${number};`);
  return block(`enum ${shortName(fullName)}`, hasAliases ? ['option allow_alias = true;', ...lines] : lines);
}

export function serviceJson(service: ServiceSchema): object {
  return {
    event: 'service',
    name: service.fullName,
    file: service.fileName,
    methods: service.methods.map((method) => methodFacts(service, method)),
  };
}

export function methodJson(service: ServiceSchema, method: MethodSchema): object {
  return { event: 'method', ...methodFacts(service, method) };
}

export function messageJson(message: MessageSchema): object {
  return {
    event: 'message',
    name: message.fullName,
    file: message.fileName,
    fields: message.fields.map((field) => ({
      name: field.name,
      jsonName: field.jsonName,
      number: field.number,
      type: typeName(field.value),
      kind: field.value.kind,
      shape: field.shape,
      ...(field.shape === 'map' ? { key: field.key } : {}),
      ...(field.shape === 'singular' ? { presence: field.presence, oneof: field.oneof?.name ?? null } : {}),
      deprecated: field.isDeprecated,
    })),
  };
}

export function enumJson({ fullName, fileName, values }: EnumSchema): object {
  return { event: 'enum', name: fullName, file: fileName, values };
}

function methodFacts(service: ServiceSchema, method: MethodSchema): object {
  return {
    name: method.name,
    path: `/${service.fullName}/${method.name}`,
    request: method.request.fullName,
    response: method.response.fullName,
    clientStreams: method.clientStreams,
    serverStreams: method.serverStreams,
    idempotency: method.idempotency,
    deprecated: method.isDeprecated,
  };
}

function fieldText(field: FieldSchema): string {
  const options = [
    ...(field.isDeprecated ? ['deprecated = true'] : []),
    ...(field.jsonName === field.localName ? [] : [`json_name = "${field.jsonName}"`]),
  ];
  const end = options.length === 0 ? ';' : ` [${options.join(', ')}];`;
  return `${fieldType(field)} ${field.name} = ${field.number}${end}`;
}

function fieldType(field: FieldSchema): string {
  const type = typeName(field.value);
  switch (field.shape) {
    case 'map':
      return `map<${field.key}, ${type}>`;
    case 'list':
      return `repeated ${type}`;
    case 'singular':
      if (field.presence === 'required') return `required ${type}`;
      // A message that is not there is told from an empty one anyway, and a member of a oneof as well.
      return field.presence === 'explicit' && field.value.kind !== 'message' && field.oneof === null
        ? `optional ${type}`
        : type;
    default:
      return field satisfies never;
  }
}

function typeName(value: ValueSchema): string {
  return value.kind === 'scalar' ? value.type : value.type.fullName;
}

function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('.') + 1);
}

/** What is declared right inside `fullName`. */
function inside<T extends { readonly fullName: string }>(fullName: string, all: ReadonlyMap<string, T>): T[] {
  const prefix = `${fullName}.`;
  return [...all.values()].filter(
    (each) => each.fullName.startsWith(prefix) && !each.fullName.slice(prefix.length).includes('.'),
  );
}

function block(head: string, parts: readonly string[]): string {
  if (parts.length === 0) return `${head} {}`;
  const body = parts.join('\n').replaceAll(/^(?=.)/gm, INDENT);
  return `${head} {\n${body}\n}`;
}
