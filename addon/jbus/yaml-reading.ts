// A YAML file read field by field, with every mistake noted with its line and what would be right.
// channel-config.ts walks a file with it. Pure.

import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';

import type { FieldReader } from './yaml-fields.js';

export class YamlReading {
  readonly complaints: string[] = [];
  readonly root: unknown;
  readonly #file: string;
  readonly #lines = new LineCounter();

  /** @param file is what complaints call it. */
  constructor(source: string, file: string) {
    this.#file = file;
    const document = parseDocument(source, { lineCounter: this.#lines, prettyErrors: false });
    this.root = document.contents;
    for (const error of document.errors) this.complain(error.pos[0], error.message);
  }

  get isSound(): boolean {
    return this.complaints.length === 0;
  }

  complain(offset: number, what: string): void {
    this.complaints.push(`${this.#file}:${this.#lines.linePos(offset).line}: ${what}`);
  }

  /** The map, its fields checked against `known`. */
  map(node: unknown, what: string, known?: readonly string[]): YAMLMap | undefined {
    if (!isMap(node)) {
      this.complain(
        startOf(node),
        `${what} must be a map${known === undefined ? '' : ` of ${known.join(', ')}`}`,
      );
      return undefined;
    }
    for (const { key } of node.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      if (known?.includes(name) === false) {
        this.complain(startOf(key), `${what} has no field ${name}; there are ${known.join(', ')}`);
      }
    }
    return node;
  }

  items(map: YAMLMap, field: string): readonly unknown[] {
    const list = child(map, field);
    if (isSeq(list) && list.items.length > 0) return list.items;
    this.complain(startOf(list ?? map), `${field} must be a list with at least one entry`);
    return [];
  }

  required<T>(map: YAMLMap, field: string, reader: FieldReader<T>): T | undefined {
    if (map.has(field)) return this.field(map, field, reader);
    this.complain(startOf(map), `${field} is missing: it must be ${reader.right}`);
    return undefined;
  }

  /** Undefined also when the map does not have it. */
  field<T>(map: YAMLMap, field: string, reader: FieldReader<T>): T | undefined {
    return map.has(field) ? this.value(child(map, field), field, reader) : undefined;
  }

  value<T>(node: unknown, field: string, reader: FieldReader<T>): T | undefined {
    const found: unknown = isScalar(node) ? node.value : undefined;
    const value = reader.read(found);
    if (value === undefined) {
      const shown = isScalar(node) ? `, not ${String(found)}` : '';
      this.complain(startOf(node), `${field} must be ${reader.right}${shown}`);
    }
    return value;
  }
}

/** The value of a field, with its place in the file. */
export function child(map: YAMLMap, field: string): unknown {
  return map.get(field, true);
}

/** Where a node begins; the file's start for what has no place. */
export function startOf(node: unknown): number {
  return (node as Node | null | undefined)?.range?.[0] ?? 0;
}
