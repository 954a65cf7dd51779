// Finds the line on which each thing of a .proto file is declared, and which imports are public: what the parser of
// protobufjs does not keep. proto-parser.ts asks it, after that parser has found the text to be right.

import protobuf from 'protobufjs';

export interface ProtoPlaces {
  /** Lines from 1, by full name without a leading dot: messages, fields, oneofs, enums, values, services, methods. */
  readonly lines: ReadonlyMap<string, number>;
  /** Lines of imports, by the name they import. */
  readonly importLines: ReadonlyMap<string, number>;
  readonly publicImports: ReadonlySet<string>;
}

/** What a block is: only some give their name to what is inside. */
interface Scope {
  readonly name: string;
  readonly kind: 'file' | 'named' | 'transparent' | 'other';
}

const NAMED = new Set(['message', 'enum', 'service']);
const NAME = /^[A-Za-z_]\w*$/;

export function scanProto(source: string): ProtoPlaces {
  const handle = protobuf.tokenize(source, false);
  const lines = new Map<string, number>();
  const importLines = new Map<string, number>();
  const publicImports = new Set<string>();
  const scopes: Scope[] = [{ name: '', kind: 'file' }];
  let statement: string[] = []; // tokens since the last ; { or }
  let inBrackets = 0;

  const note = (name: string): void => {
    const full = join(scopes.at(-1)!.name, name);
    if (!lines.has(full)) lines.set(full, handle.line);
  };
  for (let token = handle.next(); token !== null; token = handle.next()) {
    if (token === '"' || token === "'") {
      const text = handle.next() ?? '';
      handle.skip(token);
      if (statement[0] === 'import') {
        importLines.set(text, handle.line);
        if (statement[1] === 'public') publicImports.add(text);
      }
      continue;
    }
    if (token === '[') inBrackets += 1;
    if (token === ']') inBrackets -= 1;
    if (inBrackets > 0) continue;
    switch (token) {
      case '{':
        scopes.push(scopeOf(statement, scopes.at(-1)!, note));
        statement = [];
        break;
      case '}':
        if (scopes.length > 1) scopes.pop();
        statement = [];
        break;
      case ';':
        if (statement[0] === 'package') scopes[0] = { name: statement.slice(1).join(''), kind: 'file' };
        if (statement[0] === 'rpc') note(statement[1] ?? '');
        statement = [];
        break;
      case '=': {
        const name = statement.at(-1) ?? '';
        const { kind } = scopes.at(-1)!;
        const isDeclaration = statement[0] !== 'option' && statement[0] !== 'syntax';
        if (isDeclaration && (kind === 'named' || kind === 'transparent') && NAME.test(name)) note(name);
        statement.push(token);
        break;
      }
      default:
        statement.push(token);
    }
  }
  return { lines, importLines, publicImports };
}

function scopeOf(statement: readonly string[], outer: Scope, note: (name: string) => void): Scope {
  const [first = '', second = ''] = statement;
  const keyword = first === 'export' || first === 'local' ? second : first;
  const name = keyword === first ? second : (statement[2] ?? '');
  if (NAMED.has(keyword)) {
    note(name);
    return { name: join(outer.name, name), kind: 'named' };
  }
  if (keyword === 'oneof') {
    note(name);
    return { name: outer.name, kind: 'transparent' };
  }
  if (keyword === 'rpc') note(name);
  const group = statement.indexOf('group');
  if (group >= 0 && statement[group + 1] !== undefined) {
    return { name: join(outer.name, statement[group + 1]!), kind: 'named' };
  }
  return { name: outer.name, kind: keyword === 'extend' ? 'transparent' : 'other' };
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}
