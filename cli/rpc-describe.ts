// `reactor-net rpc describe`: what a symbol is, as text like a .proto, as JSON, or as a template of a message.

import { type MessageSchema, type ProtoPackage, RpcError } from '../rpc/index.js';
import type { Io } from './main.js';
import { messageTemplate } from './message-template.js';
import {
  enumJson,
  enumText,
  messageJson,
  messageText,
  methodJson,
  methodText,
  serviceJson,
  serviceText,
} from './proto-text.js';
import { splitMethod } from './rpc-contract-source.js';
import { withContract } from './rpc-session.js';
import type { DescribeOptions } from './rpc-tool-command.js';

interface Description {
  /** `demo.Echo is a service`. */
  readonly title: string;
  readonly text: string;
  readonly json: object;
  /** What a template is made for; null where that makes no sense. */
  readonly message: MessageSchema | null;
}

/** @returns the exit code. @throws RpcError */
export function rpcDescribe(options: DescribeOptions, io: Io): Promise<number> {
  const symbol = options.symbol === null ? null : plainName(options.symbol);
  return withContract(options, symbol === null ? null : symbol.replace(/\/.*/, ''), io, ({ types }) => {
    const names = symbol === null ? [...types.services.keys()].toSorted() : [symbol];
    const found = names.map((name) => describe(types, name));
    io.stdout.write(
      options.template
        ? templateText(found[0]!, options.json)
        : options.json
          ? found.map(({ json }) => `${JSON.stringify(json)}\n`).join('')
          : found.map(({ title, text }) => `${title}:\n${text}\n`).join('\n'),
    );
    return 0;
  });
}

/** As descriptors, and shells that complete paths, write names: `.demo.Reply`, `/demo.Echo/Say`. */
function plainName(symbol: string): string {
  return symbol.replace(/^[./]/, '');
}

/** @throws RpcError RPC_PROTO_INVALID: there is no such thing */
function describe({ schema }: ProtoPackage, name: string): Description {
  const service = schema.services.get(name);
  if (service !== undefined) {
    const [title, text] = [`${name} is a service`, serviceText(service)];
    return { title, text, json: serviceJson(service), message: null };
  }
  const message = schema.messages.get(name);
  if (message !== undefined) {
    const [title, text] = [`${name} is a message`, messageText(message, schema)];
    return { title, text, json: messageJson(message), message };
  }
  const type = schema.enums.get(name);
  if (type !== undefined)
    return { title: `${name} is an enum`, text: enumText(type), json: enumJson(type), message: null };
  const parts = splitMethod(name);
  const owner = schema.services.get(parts.service);
  const method = owner?.methods.find((each) => each.name === parts.method);
  if (owner === undefined || method === undefined)
    throw new RpcError('RPC_PROTO_INVALID', `no service, method, message or enum ${name}`);
  return {
    title: `${owner.fullName}/${method.name} is a method`,
    text: methodText(method),
    json: methodJson(owner, method),
    message: method.request,
  };
}

/** @throws RpcError RPC_PROTO_INVALID */
function templateText({ title, message }: Description, json: boolean): string {
  if (message === null)
    throw new RpcError('RPC_PROTO_INVALID', `${title}: a template is made of messages and methods`);
  return `${JSON.stringify(messageTemplate(message), null, json ? 0 : 2)}\n`;
}
