"""client.py HOST:PORT: calls of the interoperability service with grpcio, whose core is the C library. Messages are written
by hand, so that no generated code is needed. Prints what went right."""
import sys

import grpc

same = {"request_serializer": lambda b: b, "response_deserializer": lambda b: b}
service = "/grpc.testing.TestService/"


def sized(n):
    """StreamingOutputCallRequest with one response_parameters of that size."""
    inner = b"\x08" + varint(n)
    return b"\x12" + varint(len(inner)) + inner


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


with grpc.insecure_channel(sys.argv[1]) as channel:
    empty = channel.unary_unary(service + "EmptyCall", **same)
    full = channel.stream_stream(service + "FullDuplexCall", **same)
    assert empty(b"", timeout=60) == b""
    futures = [empty.future(b"", timeout=120) for _ in range(1000)]
    assert all(f.result() == b"" for f in futures)
    print("unary 1000")

    got = [len(m) for m in full(iter([sized(n) for n in (1, 1000, 300_000)]), timeout=60)]
    assert len(got) == 3 and got[0] < 20 and 1000 < got[1] < 1020 and 300_000 < got[2] < 300_020, got
    print("stream", got)

    streams = [full(iter([sized(10)]), timeout=120) for _ in range(1000)]
    assert all(len(list(s)) == 1 for s in streams)
    print("streams 1000")

    try:
        channel.unary_unary(service + "Nothing", **same)(b"", timeout=60)
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.UNIMPLEMENTED, e
        print("unimplemented")

    def slow():
        """A stream whose client never ends it: the deadline must."""
        import threading

        threading.Event().wait(30)
        yield b""

    try:
        list(full(slow(), timeout=0.5))
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
        print("deadline")
