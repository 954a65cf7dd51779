// Which container a type in a snapshot stands for. The snapshot loader asks here.

import type { ContainerDecoder, ContainerType } from '../value.js';

export const CONTAINER_DECODERS: Readonly<Partial<Record<ContainerType, ContainerDecoder>>> = {};
