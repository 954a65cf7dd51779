// Where the Python peer lies: one file, to be started by `python3`, or copied beside a script of Blender's.
// docs/jbus-python.md describes it; it is in the sources, not in dist/, for nothing compiles it.

/** `python3 <path> echo --help` tells how it is started on its own. */
export const PYTHON_PEER: URL = new URL('../../../addon/jbus/python/reactor_jbus.py', import.meta.url);
