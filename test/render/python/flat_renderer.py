"""A third renderer, to show how little one needs: every pixel has the intensity of the first light.

Told to by `--fail`, it raises what render_loop.py has to tell. It talks to the worker node through render_loop.py.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../render/renderer/python'))
import render_loop
import render_message as message


class Flat:
    def __init__(self, fails):
        self._fails = fails
        self._position = None

    def facts(self):
        return {'renderer': 'flat', 'version': '3', 'threads': 1, 'formats': ['GRAY8']}

    def move(self, position):
        self._position = position

    def render(self, request, index):
        print(f'at {self._position}')
        if self._fails:
            raise ValueError('flat on its face')
        if request.format != message.GRAY8:
            raise render_loop.RenderFailure(message.EC_BAD_MESSAGE, 'grey only')
        return bytes([request.lights_of(index)[0] >> 24]) * (request.width * request.height)


parser = argparse.ArgumentParser()
render_loop.add_arguments(parser)
parser.add_argument('--fail', action='store_true')
options = parser.parse_args()
render_loop.end_with_parent()
sys.exit(render_loop.run(Flat(options.fail), options))
