// The names that the types of a .proto have in TypeScript: `demo.Outer.Inner` is `Outer_Inner`.
// Names that the module needs for itself, or that TypeScript would misread, get an underscore behind.

import type { FileTypes } from './generate.js';

/** What a generated module imports or takes from the language. */
const TAKEN =
  'Array AsyncIterable Caller CallOptions GeneratedFile MessageInit Messages MessageType MethodContract Object Promise Record ResponseStream ServerCall ServiceContract Uint8Array contractFromDescriptor FILE';
/** Words of the language. */
const WORDS =
  'any arguments as async await bigint boolean break case catch class const constructor continue debugger declare default delete do else enum eval export extends false finally for from function get if implements import in infer instanceof interface is keyof let module namespace never new null number object of package private protected public readonly require return set static string super switch symbol this throw true try type typeof undefined unique unknown var void while with yield';

export class ModuleNames {
  readonly #byFullName = new Map<string, string>();
  readonly #taken: Set<string>;

  constructor(types: FileTypes, packageName: string) {
    this.#taken = new Set([...TAKEN.split(' '), ...WORDS.split(' ')]);
    const prefix = packageName === '' ? 0 : packageName.length + 1;
    for (const { fullName } of [...types.messages, ...types.enums, ...types.services]) {
      this.#byFullName.set(fullName, this.claim(fullName.slice(prefix).replaceAll('.', '_')));
    }
  }

  /** A name like `wanted` that nothing else has. */
  claim(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name += '_';
    this.#taken.add(name);
    return name;
  }

  of(fullName: string): string {
    return this.#byFullName.get(fullName) ?? '';
  }
}
