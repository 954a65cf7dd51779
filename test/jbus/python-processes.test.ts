// The Python peer against itself, in several processes, some of which are killed.

import test from 'node:test';

import { pythonMissing, reportPythonTests } from '../support/python.js';

test('Python processes', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_processes'));
