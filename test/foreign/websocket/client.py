"""client.py CA URL...: a WebSocket of the websockets library to each URL, then one over HTTP/2 (RFC 8441) to each wss:// URL, made
of h2 and wsproto. Each sends a text, 1 MB and a ping, closes, and prints what it got."""
import asyncio, socket, ssl, sys
from urllib.parse import urlparse

import h2.config, h2.connection, h2.events, h2.settings
import websockets
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

BIG = bytes(range(256)) * 4096


async def http1(url, context):
    async with websockets.connect(url, ssl=context if url.startswith("wss") else None, max_size=None) as ws:
        await ws.send("hello")
        text = await ws.recv()
        await ws.send(BIG)
        big = await ws.recv()
        await (await ws.ping())
    print("HTTP/1.1", text, len(big), big == BIG, "pong", ws.close_code)


def http2(url, context):
    to = urlparse(url)
    context.set_alpn_protocols(["h2"])
    sock = context.wrap_socket(socket.create_connection((to.hostname, to.port), timeout=120), server_hostname=to.hostname)
    conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    conn.initiate_connection()
    sock.sendall(conn.data_to_send())
    frames, status, got, inbox = Connection(ConnectionType.CLIENT), [], [], []

    def step():
        data = sock.recv(65536)
        if not data:
            sys.exit("the connection ended")
        for e in conn.receive_data(data):
            if isinstance(e, h2.events.ResponseReceived):
                status.append(dict(e.headers)[b":status"].decode())
            if isinstance(e, h2.events.DataReceived):
                conn.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                frames.receive_data(e.data)
            if isinstance(e, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                sys.exit(f"{e}")
            if isinstance(e, h2.events.StreamEnded):
                got.append("end")
        for e in frames.events():
            if isinstance(e, (TextMessage, BytesMessage)):
                inbox.append(e.data)
                if e.message_finished:
                    got.append(inbox[0][:0].join(inbox))
                    inbox.clear()
            if isinstance(e, Pong):
                got.append("pong")
            if isinstance(e, CloseConnection):
                got.append(int(e.code))
        sock.sendall(conn.data_to_send())

    def send(data):
        while data:
            n = min(len(data), conn.local_flow_control_window(1), conn.max_outbound_frame_size)
            if n == 0:
                step()
                continue
            conn.send_data(1, data[:n])
            data = data[n:]
            sock.sendall(conn.data_to_send())

    while conn.remote_settings.enable_connect_protocol != 1:
        step()
    conn.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", to.path or "/"),
                          (":authority", to.netloc), ("sec-websocket-version", "13")])
    sock.sendall(conn.data_to_send())
    while not status:
        step()
    for message in (TextMessage("hello"), BytesMessage(BIG), Ping(b"x"), CloseConnection(1000)):
        have = len(got)
        send(frames.send(message))
        while len(got) == have:
            step()
    print("HTTP/2", status[0], got[0], len(got[1]), got[1] == BIG, got[2], got[3])


context = ssl.create_default_context(cafile=sys.argv[1])
for url in sys.argv[2:]:
    asyncio.run(http1(url, context))
    if url.startswith("wss"):
        http2(url, ssl.create_default_context(cafile=sys.argv[1]))
