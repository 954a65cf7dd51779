// Which instances of a service a client wants at all: by version, group and tags (gray releases, stages, zones).
// instance-selector.ts applies it to every list; a tag that is only preferred gives way when no such instance is left.

import type { Instance } from '../instance.js';

export interface InstanceRoute {
  /** One of these versions. Default any. */
  readonly version?: string | readonly string[];
  /** One of these groups. Default any. */
  readonly group?: string | readonly string[];
  /** Has all of these tags with these values. Default none. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Calls stay with instances that have these tags while one of them can take calls: `{ zone: 'a' }`. Default none. */
  readonly preferTags?: Readonly<Record<string, string>>;
}

export function isRouted(instance: Instance, route: InstanceRoute): boolean {
  return (
    isOneOf(instance.version, route.version) &&
    isOneOf(instance.group, route.group) &&
    hasTags(instance, route.tags)
  );
}

export function hasTags(instance: Instance, tags: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(tags ?? {}).every(([name, value]) => instance.tags[name] === value);
}

function isOneOf(value: string, wanted: string | readonly string[] | undefined): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === 'string' ? value === wanted : wanted.includes(value);
}
