// The Python peer against itself, in one process: its own tests, each of them counted here.

import test from 'node:test';

import { pythonMissing, reportPythonTests } from '../support/python.js';

test('the Python segment', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_segment'));
test('the Python ring', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_ring'));
test('the Python channel', { skip: pythonMissing }, (t) => reportPythonTests(t, 'test_channel'));
