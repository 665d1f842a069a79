"""A control plane that does what it is told: ADS on types and a gRPC that nobody here wrote, delta and state of the world.

    xds_server.py --listen 127.0.0.1:15010 --commands /tmp/commands

Commands come over the unix socket, a line of JSON each, and are answered in the same way:

    {"do": "set", "resources": [{"@type": ..., ...}]}    these are there from now on, in this version
    {"do": "remove", "type": "Cluster", "names": [...]}
    {"do": "break", "how": "garbage_resource", ...}      see broken.py
    {"do": "hang"}, {"do": "go_on"}                      nothing is sent meanwhile
    {"do": "end"}                                        every stream ends
    {"do": "tell_changes"}   from now on responses of the state of the world have only the endpoints and routes that changed
    {"do": "multiply", "resources": [...], "count": 1000}  so many of each, clusters and assignments: NAME-0 and so on
    {"do": "divide", "type": "Cluster", "name": NAME, "count": 1000}   they are there no more
    {"do": "storm", "resources": [...], "rate": 1000, "seconds": 2}   sets these in turn

An answer names the nonces of what was sent for it. What clients say is printed, a line of JSON each.
"""

import argparse
import asyncio
import functools
import json
import time

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf import any_pb2

from broken import WAYS
from stock import TYPES, Stock, any_of, name_of, type_url
from streams import Delta, StateOfTheWorld

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
# Resources of any size, however many.
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def log(**entry):
    print(json.dumps(entry), flush=True)


def copies(packed, count):
    """The same cluster, or the same assignment, under many names."""
    is_cluster = packed.type_url == TYPES["Cluster"]
    message = cluster_pb2.Cluster() if is_cluster else endpoint_pb2.ClusterLoadAssignment()
    packed.Unpack(message)
    field = "name" if is_cluster else "cluster_name"
    before = getattr(message, field)
    for number in range(count):
        name = f"{before}-{number}"
        setattr(message, field, name)
        if is_cluster and message.HasField("load_assignment"):
            message.load_assignment.cluster_name = name
        copy = any_pb2.Any()
        copy.Pack(message)
        yield copy, name


class Server:
    def __init__(self):
        self.stock = Stock()
        self.streams = set()
        self.awake = asyncio.Event()
        self.awake.set()

    def handlers(self):
        methods = {"DeltaAggregatedResources": Delta, "StreamAggregatedResources": StateOfTheWorld}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                method: grpc.stream_stream_rpc_method_handler(
                    functools.partial(self.serve, kind),
                    request_deserializer=kind.request.FromString,
                )
                for method, kind in methods.items()
            },
        )

    async def serve(self, kind, requests, context):
        stream = kind(self.stock, log)
        log(event="opened", stream=stream.number, mode=stream.mode)
        self.streams.add(stream)
        reading = asyncio.create_task(self.read(stream, requests))
        try:
            while (message := await stream.queue.get()) is not None:
                await context.write(message)
        finally:
            reading.cancel()
            self.streams.discard(stream)
            log(event="closed", stream=stream.number)

    async def read(self, stream, requests):
        try:
            async for request in requests:
                stream.booked(request)
                await self.awake.wait()
                stream.heard(request)
        finally:
            stream.queue.put_nowait(None)

    def tell(self):
        """Tells every stream what has changed."""
        if not self.awake.is_set():
            return []
        nonces = [stream.due(url) for url in TYPES.values() for stream in self.streams]
        return [nonce for nonce in nonces if nonce]

    async def obey(self, command):
        match command["do"]:
            case "set":
                for resource in command["resources"]:
                    self.stock.set(any_of(resource), name_of(resource))
                return self.tell()
            case "remove":
                for name in command["names"]:
                    self.stock.remove(type_url(command["type"]), name)
                return self.tell()
            case "break":
                nonces = [WAYS[command["how"]](stream, command) for stream in self.streams]
                return [nonce for nonce in nonces if nonce]
            case "hang":
                self.awake.clear()
            case "go_on":
                self.awake.set()
                return self.tell()
            case "end":
                for stream in self.streams:
                    stream.queue.put_nowait(None)
            case "tell_changes":
                self.stock.repeats = False
            case "multiply":
                for resource in command["resources"]:
                    for packed, name in copies(any_of(resource), command["count"]):
                        self.stock.set(packed, name)
                return self.tell()
            case "divide":
                for number in range(command["count"]):
                    self.stock.remove(type_url(command["type"]), f"{command['name']}-{number}")
                return self.tell()
            case "storm":
                return await self.storm(command)
            case other:
                raise ValueError(f"not a command: {other!r}")
        return []

    async def storm(self, command):
        """Sets the resources in turn, at a rate that does not wait for the client; says how many updates that were."""
        packed = [(any_of(resource), name_of(resource)) for resource in command["resources"]]
        began, sent = time.monotonic(), 0
        all = command["seconds"] * command["rate"]
        while sent < all:
            due = (time.monotonic() - began) * command["rate"]
            while sent < min(due, all):
                self.stock.set(*packed[sent % len(packed)])
                self.tell()
                sent += 1
            await asyncio.sleep(0.001)
        return [str(sent)]

    async def listen(self, reader, writer):
        """One connection for commands."""
        while line := await reader.readline():
            try:
                answer = {"nonces": await self.obey(json.loads(line))}
            except Exception as error:  # whoever gave the command wants to know
                answer = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description="ADS from commands")
    parser.add_argument("--listen", required=True, help="IP:PORT of ADS")
    parser.add_argument("--commands", required=True, help="path of the unix socket for commands")
    arguments = parser.parse_args()
    server, endpoint = Server(), grpc.aio.server(options=OPTIONS)
    endpoint.add_generic_rpc_handlers((server.handlers(),))
    if endpoint.add_insecure_port(arguments.listen) == 0:
        raise SystemExit(f"cannot listen on {arguments.listen}")
    # A resource of a large mesh is a line of megabytes.
    commands = await asyncio.start_unix_server(server.listen, arguments.commands, limit=1 << 28)
    await endpoint.start()
    log(event="serving", at=arguments.listen)
    async with commands:
        await endpoint.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
