"""A resident Blender that renders for a worker node: blender -b [file.blend] … -P render_blender.py -- --jbus DIR …

render/renderer/blender-renderer.ts writes the command line; render_loop.py talks to the worker node, this file to bpy.
Blender 3.4, Cycles. MIT, and so compatible with the GPL, as Blender asks of scripts that call bpy.
A scene is a .blend file with a camera, the object that is moved and the lights 'Led.000', 'Led.001' …; without a file
one is built here, with as many lights as are asked for. Pixels leave Blender through a file in TMPDIR, which the worker
node puts into memory: the only way that works in the background.
"""

from __future__ import annotations

import argparse
import math
import os
import struct
import sys
import tempfile
import time

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import render_loop
import render_message as message
from render_loop import RenderFailure

#: Radiant power of a light at full intensity, in watts; they sit on a ring over the scene.
LED_WATTS = 400.0
#: The light of a scene of ours whose lights nobody set: white, at full intensity.
OWN_LIGHT = 0xFFFFFFFF
LED_RING_RADIUS = 4.0
LED_RING_HEIGHT = 5.0
TARGA_HEAD_BYTES = 18
#: Cycles has seeds of 31 bits.
SEED_MAX = 2**31 - 1

#: How Blender writes each format: file format, colour mode, and the colour depth where there is a choice.
_OUTPUT = {
    message.GRAY8: ('TARGA_RAW', 'BW', None),
    message.RGB8: ('TARGA_RAW', 'RGB', None),
    message.RGBA8: ('TARGA_RAW', 'RGBA', None),
    message.RGBA32F: ('OPEN_EXR', 'RGBA', '32'),
    message.PNG: ('PNG', 'RGBA', '8'),
    message.EXR: ('OPEN_EXR', 'RGBA', '32'),
}


class Blender:
    def __init__(self, options: argparse.Namespace) -> None:
        #: The file it was started with; '' when it builds its scene itself.
        self._first_scene = bpy.data.filepath
        self._scene = ''
        self._is_own_scene = not self._first_scene
        self._object_name = options.object
        self._threads = options.threads
        self._device = options.device
        self._path = os.path.join(tempfile.gettempdir(), f'image-{os.getpid()}')
        #: Microseconds that went into getting pixels out of Blender, so far.
        self.read_out_us = 0
        if self._is_own_scene:
            _build_scene(self._object_name)
        self._prepare()

    def facts(self) -> dict:
        return {
            'renderer': 'blender',
            'version': bpy.app.version_string,
            'threads': self._threads,
            'formats': list(message.FORMAT_NAMES),
            'scene': bpy.data.filepath or 'built-in',
        }

    def open(self, scene: str) -> None:
        """Loads another file, or what it was started with; nothing when that is what it has."""
        if scene == self._scene:
            return
        self._scene = 'none'  # should this fail half-way, the next request loads again, whatever it wants
        path = scene or self._first_scene
        self._is_own_scene = not path
        if self._is_own_scene:
            _build_scene(self._object_name)
        else:
            try:
                bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=False)
            except RuntimeError as error:
                raise RenderFailure(message.EC_BAD_MESSAGE, f'Blender cannot open the scene: {error}') from error
        self._prepare()
        self._scene = scene

    def move(self, position: tuple) -> None:
        moved = bpy.data.objects.get(self._object_name)
        if moved is None:
            raise RenderFailure(message.EC_BAD_MESSAGE, f"the scene has no object '{self._object_name}' to move")
        moved.location = position

    def render(self, request: message.Request, index: int) -> bytes:
        scene = bpy.context.scene
        self._set_frame(request.frames[index] if request.frames else self._own_frame, request.position)
        self._set_lights(request.lights_of(index))
        scene.cycles.samples = request.samples
        scene.cycles.seed = request.seed & SEED_MAX
        scene.render.resolution_x, scene.render.resolution_y = request.width, request.height
        image = scene.render.image_settings
        image.file_format, image.color_mode, depth = _OUTPUT[request.format]
        if depth is not None:
            image.color_depth = depth
        if image.file_format == 'OPEN_EXR':
            image.exr_codec = 'NONE'
        try:
            self._render()
            began_ns = time.monotonic_ns()
            pixels = _pixels_of(self._read(), request)
            self.read_out_us += (time.monotonic_ns() - began_ns) // 1000
            return pixels
        finally:
            if os.path.exists(self._path):
                os.unlink(self._path)

    def _prepare(self) -> None:
        """What has to hold for every image, whatever the file says: the same bytes for the same request."""
        scene = bpy.context.scene
        if scene.camera is None:
            raise RenderFailure(message.EC_BAD_MESSAGE, 'the scene has no camera')
        render, cycles = scene.render, scene.cycles
        render.engine = 'CYCLES'
        cycles.device = self._device
        cycles.use_denoising = False  # Debian's Blender has no denoiser, and rendering would fail
        cycles.use_adaptive_sampling = False
        cycles.use_animated_seed = False
        self._own_frame = self._frame = scene.frame_current
        render.use_persistent_data = True
        render.threads_mode, render.threads = 'FIXED', self._threads
        render.resolution_percentage = 100
        render.dither_intensity = 0.0
        render.use_file_extension = False
        render.use_overwrite = True
        render.filepath = self._path
        scene.view_settings.view_transform = 'Standard'

    def _set_frame(self, frame: int, position: tuple) -> None:
        """What the file animates goes to where it is at that frame; the object that is moved is moved after that."""
        if frame == self._frame:
            return
        bpy.context.scene.frame_set(frame)
        self._frame = frame
        self.move(position)

    def _set_lights(self, words: tuple) -> None:
        if self._is_own_scene and not words:
            words = (OWN_LIGHT,)
        for index, word in enumerate(words):
            light = self._light(index)
            light.energy = (word >> 24) / 255 * LED_WATTS
            light.color = tuple((word >> shift & 0xFF) / 255 for shift in (16, 8, 0))
        # Of a scene that is ours, lights of an earlier request go out.
        if self._is_own_scene:
            for light in bpy.data.lights:
                if int(light.name.partition('.')[2]) >= len(words):
                    light.energy = 0.0

    def _light(self, index: int) -> bpy.types.Light:
        name = f'Led.{index:03d}'
        light = bpy.data.lights.get(name)
        if light is not None:
            return light
        if not self._is_own_scene:
            raise RenderFailure(message.EC_BAD_MESSAGE, f"the scene has no light '{name}'")
        light = bpy.data.lights.new(name, 'POINT')
        light.shadow_soft_size = 0.1
        led = bpy.data.objects.new(name, light)
        angle = index * 2.399963  # the golden angle: any number of them lies well spread
        led.location = (LED_RING_RADIUS * math.cos(angle), LED_RING_RADIUS * math.sin(angle), LED_RING_HEIGHT)
        bpy.context.scene.collection.objects.link(led)
        return light

    def _render(self) -> None:
        try:
            bpy.ops.render.render(write_still=True)
        except RuntimeError as error:
            raise RenderFailure(message.EC_RENDER_FAILED, str(error)) from error

    def _read(self) -> bytes:
        try:
            with open(self._path, 'rb') as file:
                return file.read()
        except FileNotFoundError as error:
            raise RenderFailure(message.EC_NO_OUTPUT, 'Blender wrote no image') from error


def _build_scene(object_name: str) -> None:
    """A floor, an object on it, a camera that looks at both."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    collection = bpy.context.scene.collection
    for name, mesh, colour in (('Floor', _quad(12.0), (0.7, 0.7, 0.7)), (object_name, _cube(), (0.9, 0.5, 0.3))):
        material = bpy.data.materials.new(name)
        material.use_nodes = True
        material.node_tree.nodes['Principled BSDF'].inputs['Base Color'].default_value = (*colour, 1.0)
        mesh.materials.append(material)
        collection.objects.link(bpy.data.objects.new(name, mesh))
    camera = bpy.data.objects.new('Camera', bpy.data.cameras.new('Camera'))
    camera.location, camera.rotation_euler = (0.0, -8.0, 5.0), (math.radians(60.0), 0.0, 0.0)
    collection.objects.link(camera)
    bpy.context.scene.camera = camera


def _quad(half: float) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new('Floor')
    corners = [(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    return mesh


def _cube() -> bpy.types.Mesh:
    """Two metres on a side, standing on the ground at its origin."""
    mesh = bpy.data.meshes.new('Object')
    corners = [(x, y, z) for z in (0.0, 2.0) for y in (-1.0, 1.0) for x in (-1.0, 1.0)]
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    mesh.from_pydata(corners, [], faces)
    return mesh


def _pixels_of(data: bytes, request: message.Request) -> bytes:
    if _OUTPUT[request.format][0] == 'TARGA_RAW':
        return _pixels_of_targa(data, request.width, request.height, message.BYTES_PER_PIXEL[request.format])
    if request.format == message.RGBA32F:
        return _pixels_of_exr(data, request.width, request.height)
    return data


def _pixels_of_targa(data: bytes, width: int, height: int, pixel_bytes: int) -> bytes:
    """Uncompressed Targa has its rows from the bottom and its colours as BGR(A)."""
    row_bytes = width * pixel_bytes
    if len(data) != TARGA_HEAD_BYTES + height * row_bytes:
        raise RenderFailure(message.EC_BAD_IMAGE, f'Blender wrote {len(data)} bytes for {width} x {height} pixels')
    if struct.unpack_from('<HH', data, 12) != (width, height):
        raise RenderFailure(message.EC_BAD_IMAGE, f'Blender wrote another size than {width} x {height}')
    rows = (data[begin : begin + row_bytes] for begin in range(TARGA_HEAD_BYTES, len(data), row_bytes))
    pixels = bytearray().join(rows if data[17] & 0x20 else reversed(list(rows)))
    if pixel_bytes >= 3:
        pixels[0::pixel_bytes], pixels[2::pixel_bytes] = pixels[2::pixel_bytes], pixels[0::pixel_bytes]
    return bytes(pixels)


def _pixels_of_exr(data: bytes, width: int, height: int) -> bytes:
    """RGBA of an OpenEXR file as Blender writes it without compression: one line after the other, channel by channel."""
    if data[:4] != b'\x76\x2f\x31\x01':
        raise RenderFailure(message.EC_BAD_IMAGE, 'Blender wrote no OpenEXR file')
    offset = 8
    channels = b''
    while data[offset] != 0:
        name_end = data.index(b'\0', offset)
        type_end = data.index(b'\0', name_end + 1)
        (size,) = struct.unpack_from('<i', data, type_end + 1)
        value = data[type_end + 5 : type_end + 5 + size]
        if data[offset:name_end] == b'channels':
            channels = value
        offset = type_end + 5 + size
    names = [channel.split(b'\0')[0] for channel in _exr_channels(channels)]
    if names != [b'A', b'B', b'G', b'R']:
        raise RenderFailure(message.EC_BAD_IMAGE, f'the OpenEXR file has the channels {names}')
    line_bytes = 8 + 4 * 4 * width
    start = offset + 1 + 8 * height
    if len(data) != start + height * line_bytes:
        raise RenderFailure(message.EC_BAD_IMAGE, f'the OpenEXR file has {len(data)} bytes')
    pixels = bytearray(16 * width * height)
    floats = memoryview(pixels).cast('f')
    for line in range(height):
        (y,) = struct.unpack_from('<i', data, start + line * line_bytes)
        values = struct.unpack_from(f'<{4 * width}f', data, start + line * line_bytes + 8)
        for channel in range(4):
            plane = values[(3 - channel) * width : (4 - channel) * width]
            for x, value in enumerate(plane):
                floats[(y * width + x) * 4 + channel] = value
    floats.release()
    return bytes(pixels)


def _exr_channels(value: bytes) -> list:
    """Each as name, zero byte, and 16 bytes about it."""
    found, offset = [], 0
    while value[offset : offset + 1] not in (b'', b'\0'):
        end = value.index(b'\0', offset) + 17
        found.append(value[offset:end])
        offset = end
    return found


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='render_blender.py', description='A resident Blender.')
    render_loop.add_arguments(parser)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', choices=('CPU', 'GPU'), default='CPU')
    parser.add_argument('--object', default='Object', help='the object of the scene that is moved')
    return parser.parse_args(sys.argv[sys.argv.index('--') + 1 :])


def main() -> int:
    render_loop.end_with_parent()
    options = _parse_arguments()
    try:
        return render_loop.run(Blender(options), options)
    except RenderFailure as error:
        print(f'render_blender: {error}', file=sys.stderr, flush=True)
        return 1


if __name__ == '__main__':
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
