// Which container a type in a snapshot stands for. The snapshot loader and RESTORE ask here.

import type { ContainerDecoder, ContainerType } from '../value.js';
import { HashValue } from './hash-value.js';
import { ListValue } from './list-value.js';
import { SetValue } from './set-value.js';
import { SortedSetValue } from './sorted-set-value.js';
import { StreamValue } from './stream-value.js';

export const CONTAINER_DECODERS: Readonly<Record<ContainerType, ContainerDecoder>> = {
  hash: (reader) => HashValue.decode(reader),
  list: (reader) => ListValue.decode(reader),
  set: (reader) => SetValue.decode(reader),
  zset: (reader) => SortedSetValue.decode(reader),
  stream: (reader) => StreamValue.decode(reader),
};
