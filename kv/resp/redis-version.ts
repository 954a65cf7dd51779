// The version of Redis whose commands and words are spoken here: what INFO and HELLO say, because clients go by it.

export const REDIS_VERSION = '7.0.15';
