// Compares two versions of .proto files and says what peers of the one would suffer from the other.
// Pure: `rpc check` reads the files and prints what comes out of here. compare-fields.ts judges single fields.

import type { EnumProto, FileProto, MessageProto } from '../descriptor.js';
import type { ProtoFiles } from '../proto-files.js';
import type { EnumSchema, MessageSchema, MethodSchema, Schema, ServiceSchema } from '../schema.js';
import { buildSchema } from '../schema-builder.js';
import { type Change, type ChangeKind, type Place, severityOf } from './change.js';
import { compareField } from './compare-fields.js';

/** One version of the files, with what the comparison looks up. */
interface Version {
  readonly files: ProtoFiles;
  readonly schema: Schema;
  /** Numbers and names that may not be used again, by message or enum. */
  readonly reserved: ReadonlyMap<string, Reserved>;
}

interface Reserved {
  readonly names: ReadonlySet<string>;
  hasNumber(number: number): boolean;
}

/**
 * What is in `oldFiles.names` is looked for anywhere in `newFiles`: types may move between files of a package.
 * @returns in the order of the old files
 */
export function compareProtos(oldFiles: ProtoFiles, newFiles: ProtoFiles): Change[] {
  return new Comparison(versionOf(oldFiles), versionOf(newFiles)).run();
}

class Comparison {
  readonly #old: Version;
  readonly #new: Version;
  readonly #changes: Change[] = [];
  /** Old package to new one, where a file's package was renamed. */
  readonly #renamed = new Map<string, string>();

  constructor(oldVersion: Version, newVersion: Version) {
    this.#old = oldVersion;
    this.#new = newVersion;
  }

  run(): Change[] {
    const { files } = this.#old;
    for (const name of files.names) this.#package(name);
    for (const name of files.names) {
      const isHere = ({ fileName }: { fileName: string }): boolean => fileName === name;
      for (const message of [...this.#old.schema.messages.values()].filter(isHere)) {
        if (!message.isMapEntry) this.#message(message);
      }
      for (const each of [...this.#old.schema.enums.values()].filter(isHere)) this.#enum(each);
      for (const service of [...this.#old.schema.services.values()].filter(isHere)) this.#service(service);
    }
    return this.#changes;
  }

  #package(name: string): void {
    const now = this.#counterpart(name);
    const before = this.#old.files.parsed.get(name)!.file.package ?? '';
    const after = now === undefined ? before : (now.package ?? '');
    if (before === after) return;
    this.#renamed.set(before, after);
    this.#changes.push({
      kind: 'package-renamed',
      severity: severityOf('package-renamed'),
      name: before,
      message: `package ${before || '(none)'} is now ${after || '(none)'}: paths of all its methods change`,
      oldPlace: { file: name, line: 1 },
      newPlace: { file: now?.name ?? name, line: 1 },
    });
  }

  /** The new file of the same name; of two single files their names do not matter. */
  #counterpart(name: string): FileProto | undefined {
    const { names, parsed } = this.#new.files;
    const only = names.length === 1 && this.#old.files.names.length === 1 ? names[0]! : name;
    return parsed.get(only)?.file;
  }

  /** What an old full name would be called now. */
  readonly #nameNow = (fullName: string): string => {
    for (const [before, after] of this.#renamed) {
      if (before === '') return after === '' ? fullName : `${after}.${fullName}`;
      if (fullName.startsWith(`${before}.`)) {
        const rest = fullName.slice(before.length + 1);
        return after === '' ? rest : `${after}.${rest}`;
      }
    }
    return fullName;
  };

  #report(kind: ChangeKind, name: string, message: string, nowName: string = this.#nameNow(name)): void {
    const oldPlace = placeOf(this.#old, name);
    const newPlace = placeOf(this.#new, nowName);
    this.#changes.push({ kind, severity: severityOf(kind), name, message, oldPlace, newPlace });
  }

  #message(before: MessageSchema): void {
    const { fullName } = before;
    const nowName = this.#nameNow(fullName);
    const after = this.#new.schema.messages.get(nowName);
    if (after === undefined) {
      this.#report('message-removed', fullName, `message ${fullName} is gone`);
      return;
    }
    const reservedNow = this.#new.reserved.get(nowName)!;
    const byNumber = new Map(after.fields.map((field) => [field.number, field]));
    for (const field of before.fields) {
      const name = `${fullName}.${field.name}`;
      const now = byNumber.get(field.number);
      if (now === undefined) {
        if (!reservedNow.hasNumber(field.number)) {
          const moved = after.fields.find((each) => each.name === field.name);
          const where = moved === undefined ? 'is gone' : `now has number ${moved.number}`;
          this.#report('field-removed', name, `${where}, and its number ${field.number} is not reserved`);
        } else if (
          !reservedNow.names.has(field.name) &&
          !after.fields.some((each) => each.name === field.name)
        ) {
          this.#report('field-name-free', name, 'is gone: its number is reserved, its name is not');
        }
        continue;
      }
      for (const { kind, message } of compareField(field, now, this.#nameNow)) {
        this.#report(kind, name, message, `${nowName}.${now.name}`);
      }
    }
    const reservedBefore = this.#old.reserved.get(fullName)!;
    for (const field of after.fields) {
      const name = `${nowName}.${field.name}`;
      if (reservedBefore.hasNumber(field.number))
        this.#report(
          'reserved-number-used',
          fullName,
          `${field.name} takes number ${field.number}, which was reserved`,
          name,
        );
      if (reservedBefore.names.has(field.name))
        this.#report('reserved-name-used', fullName, `${field.name} is a name that was reserved`, name);
      const isNew = !before.fields.some(({ number }) => number === field.number);
      if (isNew && field.shape === 'singular' && field.presence === 'required')
        this.#report(
          'field-required-changed',
          fullName,
          `${field.name} is new and required: old senders leave it out`,
          name,
        );
    }
  }

  #enum(before: EnumSchema): void {
    const { fullName } = before;
    const nowName = this.#nameNow(fullName);
    const after = this.#new.schema.enums.get(nowName);
    if (after === undefined) {
      this.#report('enum-removed', fullName, `enum ${fullName} is gone`);
      return;
    }
    if (before.isClosed !== after.isClosed)
      this.#report('enum-closed-changed', fullName, `is now ${after.isClosed ? 'closed' : 'open'}`);
    const reserved = this.#new.reserved.get(nowName)!;
    for (const { name, number } of before.values) {
      const place = `${fullName}.${name}`;
      const numberNow = after.numberOf.get(name);
      const nameNow = after.nameOf.get(number);
      if (numberNow !== undefined && numberNow !== number)
        this.#report('enum-value-renumbered', place, `was ${number} and is now ${numberNow}`);
      else if (numberNow === undefined && nameNow !== undefined)
        this.#report(
          'enum-value-renamed',
          place,
          `is now ${nameNow}: JSON has other text`,
          `${nowName}.${nameNow}`,
        );
      else if (numberNow === undefined && !reserved.hasNumber(number))
        this.#report('enum-value-removed', place, `is gone, and its number ${number} is not reserved`);
    }
    const reservedBefore = this.#old.reserved.get(fullName)!;
    for (const { name, number } of after.values) {
      if (reservedBefore.hasNumber(number))
        this.#report(
          'reserved-number-used',
          fullName,
          `${name} takes number ${number}, which was reserved`,
          `${nowName}.${name}`,
        );
    }
  }

  #service(before: ServiceSchema): void {
    const { fullName } = before;
    const after = this.#new.schema.services.get(this.#nameNow(fullName));
    if (after === undefined) {
      this.#report('service-removed', fullName, `service ${fullName} is gone`);
      return;
    }
    for (const method of before.methods) {
      const name = `${fullName}.${method.name}`;
      const now = after.methods.find((each) => each.name === method.name);
      if (now === undefined) this.#report('method-removed', name, `method ${method.name} is gone`);
      else this.#method(name, method, now);
    }
  }

  #method(name: string, before: MethodSchema, after: MethodSchema): void {
    if (before.clientStreams !== after.clientStreams || before.serverStreams !== after.serverStreams)
      this.#report(
        'method-streaming-changed',
        name,
        `was ${streamingOf(before)} and is now ${streamingOf(after)}`,
      );
    for (const [what, was, is] of [
      ['request', before.request.fullName, after.request.fullName],
      ['response', before.response.fullName, after.response.fullName],
    ] as const) {
      if (this.#nameNow(was) !== is)
        this.#report('method-type-changed', name, `its ${what} was ${was} and is now ${is}`);
    }
    if (before.idempotency !== 'unknown' && after.idempotency === 'unknown')
      this.#report('method-idempotency-lost', name, 'is no longer idempotent: clients stop trying it again');
  }
}

function streamingOf({ clientStreams, serverStreams }: MethodSchema): string {
  if (clientStreams) return serverStreams ? 'a stream both ways' : 'a stream of requests';
  return serverStreams ? 'a stream of responses' : 'unary';
}

function versionOf(files: ProtoFiles): Version {
  const protos = Array.from(files.parsed.values(), ({ file }) => file);
  const reserved = new Map<string, Reserved>();
  const addEnum = (proto: EnumProto, scope: string): void => {
    reserved.set(join(scope, proto.name), reservedOf(proto, 1));
  };
  const addMessage = (proto: MessageProto, scope: string): void => {
    const fullName = join(scope, proto.name);
    reserved.set(fullName, reservedOf(proto, 0));
    for (const nested of proto.nestedType ?? []) addMessage(nested, fullName);
    for (const nested of proto.enumType ?? []) addEnum(nested, fullName);
  };
  for (const proto of protos) {
    for (const message of proto.messageType ?? []) addMessage(message, proto.package ?? '');
    for (const each of proto.enumType ?? []) addEnum(each, proto.package ?? '');
  }
  return { files, schema: buildSchema(protos), reserved };
}

/** Ranges of messages end before their end, those of enums at it. */
function reservedOf(proto: EnumProto | MessageProto, endOffset: 0 | 1): Reserved {
  const ranges = proto.reservedRange ?? [];
  return {
    names: new Set(proto.reservedName),
    hasNumber: (number) => ranges.some(({ start, end }) => number >= start && number < end + endOffset),
  };
}

/** The line of the thing, or of what it was in. */
function placeOf({ files }: Version, fullName: string): Place {
  for (let name = fullName; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    for (const [file, { places }] of files.parsed) {
      const line = places.lines.get(name);
      if (line !== undefined) return { file, line };
    }
  }
  return { file: files.names[0] ?? '', line: 1 };
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}
