"""Python's h2 as a peer: `client PORT` calls a server that echoes, `server` echoes, `hostile PORT` breaks rules."""
import random
import socket
import sys

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import (
    ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
    SettingsFrame, WindowUpdateFrame,
)

REQUEST = [(":method", "POST"), (":scheme", "http"), (":path", "/echo"), (":authority", "localhost")]


def dial(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def pump(connection, sock, waiting):
    """Sends the bodies in `waiting` as windows allow, and reads once."""
    for stream, body in list(waiting.items()):
        while body:
            room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
            if room <= 0:
                break
            connection.send_data(stream, body[:room])
            body = body[room:]
        waiting[stream] = body
        if not body:
            connection.end_stream(stream)
            del waiting[stream]
    sock.sendall(connection.data_to_send())
    received = sock.recv(65536)
    if not received:
        raise EOFError("the server has hung up")
    return connection.receive_data(received)


def client(port):
    sock = dial(port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    bodies, got, done, waiting = {}, {}, {}, {}
    sizes = [0, 1, 100, 16384, 16385, 65535, 65536, 300000]
    for i in range(60):
        stream = connection.get_next_available_stream_id()
        body = bytes([i % 251]) * sizes[i % len(sizes)]
        connection.send_headers(stream, REQUEST + [("x-number", str(i)), ("te", "trailers")], end_stream=False)
        bodies[stream], got[stream], waiting[stream] = body, b"", body
    while len(done) < len(bodies):
        for event in pump(connection, sock, waiting):
            if isinstance(event, h2.events.DataReceived):
                got[event.stream_id] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                done[event.stream_id] = dict(event.headers)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise RuntimeError(repr(event))
    assert got == bodies
    assert all(one == {"done": "yes"} for one in done.values())
    connection.close_connection()
    sock.sendall(connection.data_to_send())
    sock.close()
    print(f"echoed {len(done)}")


def server():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    sock, _ = listener.accept()
    sock.settimeout(60)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    bodies, waiting, served = {}, {}, 0
    while True:
        try:
            events = pump_server(connection, sock, waiting)
        except EOFError:
            break
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                bodies[event.stream_id] = b""
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, [(":status", "200")])
                waiting[event.stream_id] = bodies.pop(event.stream_id)
                served += 1
            elif isinstance(event, h2.events.StreamReset):
                bodies.pop(event.stream_id, None)
                waiting.pop(event.stream_id, None)
    print(f"served {served}", flush=True)


def pump_server(connection, sock, waiting):
    for stream, body in list(waiting.items()):
        while body:
            room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
            if room <= 0:
                break
            connection.send_data(stream, body[:room])
            body = body[room:]
        waiting[stream] = body
        if not body:
            connection.send_headers(stream, [("done", "yes")], end_stream=True)
            del waiting[stream]
    sock.sendall(connection.data_to_send())
    received = sock.recv(65536)
    if not received:
        raise EOFError
    return connection.receive_data(received)


def attack(port, pick):
    """One connection that begins well and goes on badly."""
    sock = dial(port)
    config = h2.config.H2Configuration(
        client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    headers = list(REQUEST)
    wrong = pick.choice([[], [("X-Upper", "1")], [("connection", "close")], [("te", "gzip")], [(":path", "/2")], [("x", "a\n")]])
    connection.send_headers(1, headers + wrong, end_stream=pick.random() < 0.5)
    sock.sendall(connection.data_to_send())
    for _ in range(pick.randint(1, 20)):
        stream = pick.choice([0, 1, 1, 1, 2, 3, 5, 7])
        block = connection.encoder.encode(headers)
        frames = [
            DataFrame(stream or 1, data=b"x" * pick.choice([0, 1, 16384]), flags=pick.choice([[], ["END_STREAM"]])),
            HeadersFrame(stream or 1, data=block, flags=pick.choice([[], ["END_HEADERS"], ["END_HEADERS", "END_STREAM"]])),
            ContinuationFrame(stream or 1, data=block, flags=pick.choice([[], ["END_HEADERS"]])),
            PriorityFrame(stream or 1, depends_on=pick.choice([0, 1, 3]), stream_weight=pick.randint(0, 255)),
            RstStreamFrame(stream or 1, error_code=pick.randint(0, 20)),
            SettingsFrame(0, settings={pick.randint(0, 8): pick.choice([0, 1, 16384, 2**31 - 1, 2**32 - 1])}),
            PingFrame(0, opaque_data=b"12345678"),
            GoAwayFrame(0, last_stream_id=pick.randint(0, 9), error_code=pick.randint(0, 20)),
            WindowUpdateFrame(stream, window_increment=pick.choice([1, 2**31 - 1])),
        ]
        try:
            sock.sendall(pick.choice(frames).serialize())
        except OSError:
            break
    try:
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass
    except OSError:
        pass
    sock.close()


def hostile(port):
    pick = random.Random(1)
    for i in range(300):
        attack(port, pick)
        if i % 50 == 0:
            client(port)
    client(port)


if __name__ == "__main__":
    {"client": lambda: client(int(sys.argv[2])), "server": server, "hostile": lambda: hostile(int(sys.argv[2]))}[sys.argv[1]]()
