"""Python's hpack on the other side of ours: reads one JSON object from stdin, writes one to stdout."""
import json
import sys

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

task = json.load(sys.stdin)
encoder, decoder = Encoder(), Decoder(max_header_list_size=1 << 24)
decoder.max_allowed_table_size = 4096

encoded = []
for step in task["lists"]:
    if step["tableBytes"] is not None:
        encoder.header_table_size = step["tableBytes"]
    fields = [
        NeverIndexedHeaderTuple(name, value) if never else (name, value)
        for name, value, never in step["fields"]
    ]
    encoded.append(encoder.encode(fields, huffman=step["huffman"]).hex())

decoded = [
    [[name, value] for name, value in decoder.decode(bytes.fromhex(block))] for block in task["blocks"]
]
json.dump({"encoded": encoded, "decoded": decoded}, sys.stdout)
