// Finds the .proto file that something is declared in: by the file's name, by any symbol, by an extension's number.
// reflection-service.ts answers from it. Made once from the serialized files of the services; pure.

import { decodeFile, type FieldProto, type FileProto, type MessageProto } from '../contract/descriptor.js';

interface IndexedFile {
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

export class DescriptorIndex {
  readonly #files = new Map<string, IndexedFile>();
  /** Full name of what is declared, to the name of its file. */
  readonly #symbols = new Map<string, string>();
  /** Full name of the extended message, to the numbers and the files that declare them. */
  readonly #extensions = new Map<string, Map<number, string>>();

  /** @param files serialized FileDescriptorProtos; of two with one name the first counts */
  constructor(files: Iterable<Uint8Array>) {
    for (const bytes of files) {
      const file = decodeFile(bytes);
      if (this.#files.has(file.name)) continue;
      this.#files.set(file.name, { bytes, dependencies: file.dependency ?? [] });
      this.#addFile(file);
    }
  }

  /** The file and all that it imports, itself first; undefined when there is none. */
  withImports(fileName: string | undefined): Uint8Array[] | undefined {
    if (fileName === undefined || !this.#files.has(fileName)) return undefined;
    const names = new Set([fileName]);
    for (const name of names) {
      // A set is walked through what is added on the way.
      for (const dependency of this.#files.get(name)!.dependencies)
        if (this.#files.has(dependency)) names.add(dependency);
    }
    return Array.from(names, (name) => this.#files.get(name)!.bytes);
  }

  /** The name of the file that declares `symbol`, with or without a dot in front. */
  fileOfSymbol(symbol: string): string | undefined {
    return this.#symbols.get(withoutDot(symbol));
  }

  fileOfExtension(extendee: string, number: number): string | undefined {
    return this.#extensions.get(withoutDot(extendee))?.get(number);
  }

  /** In ascending order; undefined when there is no such message. */
  extensionNumbers(extendee: string): number[] | undefined {
    const name = withoutDot(extendee);
    if (!this.#symbols.has(name)) return undefined;
    return Array.from(this.#extensions.get(name)?.keys() ?? []).toSorted((a, b) => a - b);
  }

  #addFile(file: FileProto): void {
    const scope = file.package === undefined || file.package === '' ? '' : `${file.package}.`;
    for (const message of file.messageType ?? []) this.#addMessage(message, scope, file.name);
    for (const { name, value = [] } of file.enumType ?? []) {
      this.#symbols.set(scope + name, file.name);
      for (const each of value) this.#symbols.set(scope + each.name, file.name); // beside their enum, as in C++
    }
    for (const { name, method = [] } of file.service ?? []) {
      this.#symbols.set(scope + name, file.name);
      for (const each of method) this.#symbols.set(`${scope}${name}.${each.name}`, file.name);
    }
    for (const extension of file.extension ?? []) this.#addExtension(extension, scope, file.name);
  }

  #addMessage(message: MessageProto, outer: string, fileName: string): void {
    const fullName = outer + message.name;
    const scope = `${fullName}.`;
    this.#symbols.set(fullName, fileName);
    for (const field of message.field ?? []) this.#symbols.set(scope + field.name, fileName);
    for (const oneof of message.oneofDecl ?? []) this.#symbols.set(scope + oneof.name, fileName);
    for (const { name, value = [] } of message.enumType ?? []) {
      this.#symbols.set(scope + name, fileName);
      for (const each of value) this.#symbols.set(scope + each.name, fileName);
    }
    for (const extension of message.extension ?? []) this.#addExtension(extension, scope, fileName);
    for (const nested of message.nestedType ?? []) this.#addMessage(nested, scope, fileName);
  }

  #addExtension(extension: FieldProto, scope: string, fileName: string): void {
    this.#symbols.set(scope + extension.name, fileName);
    const extendee = withoutDot(extension.extendee ?? '');
    const numbers = this.#extensions.get(extendee) ?? new Map<number, string>();
    numbers.set(extension.number, fileName);
    this.#extensions.set(extendee, numbers);
  }
}

function withoutDot(name: string): string {
  return name.startsWith('.') ? name.slice(1) : name;
}
