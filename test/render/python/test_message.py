"""Message v1 in Python on the vectors that test/render/renderer-message.test.ts reads too, and which started this."""

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../../../render/renderer/python'))
import render_message as message

with open(os.path.join(HERE, '../vectors/renderer-message.json'), encoding='utf-8') as file:
    VECTORS = json.load(file)


def request_of(fields):
    return message.Request(
        int(fields['requestId']), fields['serial'], fields['version'], fields['op'], fields['taskCount'],
        fields['lightCount'], fields['width'], fields['height'], fields['samples'], fields['format'],
        tuple(float(part) for part in fields['position']), tuple(fields['lights']),
        tuple(fields.get('frames', ())), fields.get('seed', 0), fields.get('scene', ''),
    )  # fmt: skip


def reply_of(fields):
    return message.Reply(
        int(fields['requestId']), fields['serial'], fields['version'], fields['err'], fields['taskCount'],
        fields['width'], fields['height'], fields['format'], fields['renderUs'], bytes.fromhex(fields['body']),
        fields.get('readOutUs', 0),
    )  # fmt: skip


class Vectors(unittest.TestCase):
    def test_requests_are_written_and_read(self):
        for vector in VECTORS['requests']:
            with self.subTest(vector['name']):
                self.assertEqual(message.encode_request(request_of(vector['fields'])).hex(), vector['hex'])
                decoded = message.decode_request(bytes.fromhex(vector['hex']))
                self.assertEqual(decoded, request_of(vector['fields']))

    def test_replies_are_written_and_read(self):
        for vector in VECTORS['replies']:
            with self.subTest(vector['name']):
                self.assertEqual(message.encode_reply(reply_of(vector['fields'])).hex(), vector['hex'])
                self.assertEqual(message.decode_reply(bytes.fromhex(vector['hex'])), reply_of(vector['fields']))

    def test_what_is_no_request_is_refused(self):
        for vector in VECTORS['invalidRequests']:
            with self.subTest(vector['name']), self.assertRaises(message.MessageError):
                message.decode_request(bytes.fromhex(vector['hex']))

    def test_what_is_no_reply_is_refused(self):
        for vector in VECTORS['invalidReplies']:
            with self.subTest(vector['name']), self.assertRaises(message.MessageError):
                message.decode_reply(bytes.fromhex(vector['hex']))

    def test_a_message_that_could_not_be_read_is_not_written(self):
        for wrong in ({'op': 6}, {'width': 0}, {'lights': (1,)}, {'serial': 1 << 32}, {'position': (0.0, 0.0, float('nan'))}):
            good = message.Request(1, 1, 1, message.RENDER, 1, 0, 1, 1, 1)
            with self.subTest(wrong), self.assertRaises(message.MessageError):
                message.encode_request(good._replace(**wrong))

    def test_a_long_error_text_keeps_its_end_in_whole_characters(self):
        request = message.Request(1, 1, 1, message.PING)
        reply = message.decode_reply(message.encode_reply(message.error_reply(request, 7, 'ä' * 5000 + '.')))
        self.assertTrue(reply.body.decode('utf-8').endswith('ä.'))


if __name__ == '__main__':
    unittest.main()
