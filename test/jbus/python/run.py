"""Runs the test modules named on the command line; prints one JSON line per test for python-peer.test.ts.

{"title": the docstring's first line, "outcome": "passed" | "failed" | "skipped", "detail": traceback or reason}
"""

import json
import sys
import unittest

from support import segments_left


class JsonResult(unittest.TestResult):
    def addSuccess(self, test):
        report(test, 'passed')

    def addFailure(self, test, error):
        super().addFailure(test, error)
        report(test, 'failed', self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        report(test, 'failed', self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            report(test, 'failed', f'{subtest}\n{self._exc_info_to_string(error, test)}')

    def addSkip(self, test, reason):
        report(test, 'skipped', reason)


def report(test, outcome, detail=''):
    title = test.shortDescription() or str(test)
    note = getattr(test, 'note', '')
    print(json.dumps({'title': title, 'outcome': outcome, 'detail': f'{note}\n{detail}'.strip()}), flush=True)


def main(modules):
    result = JsonResult()
    unittest.defaultTestLoader.loadTestsFromNames(modules).run(result)
    left = segments_left()
    title = f'no shared-memory segment is left behind by {" and ".join(modules)}'
    print(json.dumps({'title': title, 'outcome': 'failed' if left else 'passed', 'detail': f'left: {left}'}))
    return 0 if result.wasSuccessful() and not left else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
