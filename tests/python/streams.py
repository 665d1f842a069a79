"""Streams of the discovery service, both kinds: what each client wants, what it was told, and what it said to that.

Both serve the same stock. What is written is bytes, so that it can be anything.
"""

import asyncio
import itertools

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from stock import WILDCARD, short

_numbers = itertools.count(1)


class Stream:
    """One stream: `due` says what its client has to be told now."""

    mode = None

    def __init__(self, stock, log):
        self.stock = stock
        self.log = log
        self.number = next(_numbers)
        self.nonces = itertools.count(1)
        self.queue = asyncio.Queue()
        self.types = {}

    def subscription(self, url):
        return self.types.setdefault(url, Subscription())

    def write(self, message, url, names, removed=()):
        """Queues a response under a nonce of its own, which is returned."""
        message.nonce = f"{self.number}-{next(self.nonces)}"
        self.subscription(url).nonce = message.nonce
        self.log(event="sent", stream=self.number, type=short(url), nonce=message.nonce, names=names, removed=list(removed))
        self.queue.put_nowait(message.SerializeToString())
        return message.nonce

    def booked(self, request):
        """Says in the log what the client asked or answered."""
        entry = {"event": "request", "stream": self.number, "mode": self.mode, "type": short(request.type_url)}
        if request.HasField("node"):
            entry["node"] = request.node.id
        if request.response_nonce:
            entry["nonce"] = request.response_nonce
        if request.HasField("error_detail"):
            entry["error"] = request.error_detail.message
        self.log(**entry, **self.asked(request))


class Subscription:
    """What a client wants of one type, and what it has."""

    def __init__(self):
        self.begun = False
        self.wildcard = False
        self.names = set()
        self.known = {}
        self.nonce = ""

    def wants(self, name):
        return self.wildcard or name in self.names


class Delta(Stream):
    """`DeltaAggregatedResources`."""

    mode = "delta"
    request = discovery.DeltaDiscoveryRequest

    def asked(self, request):
        return {
            "subscribe": list(request.resource_names_subscribe),
            "unsubscribe": list(request.resource_names_unsubscribe),
            "initial": dict(request.initial_resource_versions),
        }

    def heard(self, request):
        url = request.type_url
        subscription = self.subscription(url)
        subscribe, unsubscribe = list(request.resource_names_subscribe), list(request.resource_names_unsubscribe)
        first = not subscription.begun
        if first:
            subscription.begun = True
            subscription.wildcard = not subscribe and url in WILDCARD
            subscription.known.update(request.initial_resource_versions)
        subscription.wildcard |= "*" in subscribe
        subscription.names |= set(subscribe) - {"*"}
        subscription.names -= set(unsubscribe)
        for name in unsubscribe:
            subscription.known.pop(name, None)
        # Whoever names a resource anew is told of it in any case: the client may have forgotten it.
        for name in subscribe:
            if not first:
                subscription.known.pop(name, None)
        return self.due(url, asked=subscribe, always=first and subscription.wildcard)

    def due(self, url, asked=(), always=False):
        subscription, there = self.subscription(url), self.stock.of(url)
        if not subscription.begun:
            return None
        new = {
            name: resource
            for name, resource in there.items()
            if subscription.wants(name) and subscription.known.get(name) != resource[0]
        }
        gone = [name for name in subscription.known if name not in there]
        gone += [name for name in asked if name != "*" and name not in there and name not in gone]
        for name in gone:
            subscription.known.pop(name, None)
        if not (new or gone or always):
            return None
        subscription.known.update((name, version) for name, (version, _) in new.items())
        return self.write(self.response(url, new.items(), gone), url, list(new), gone)

    def response(self, url, resources, gone=()):
        message = discovery.DeltaDiscoveryResponse(type_url=url, system_version_info=str(self.stock.version))
        for name, (version, packed) in resources:
            message.resources.add(name=name, version=version).resource.CopyFrom(packed)
        message.removed_resources.extend(gone)
        return message


class StateOfTheWorld(Stream):
    """`StreamAggregatedResources`."""

    mode = "sotw"
    request = discovery.DiscoveryRequest

    def asked(self, request):
        return {"subscribe": sorted(request.resource_names)}

    def heard(self, request):
        url = request.type_url
        subscription = self.subscription(url)
        names = set(request.resource_names)
        if request.response_nonce and request.response_nonce != subscription.nonce:
            return None
        first, before = not subscription.begun, (subscription.wildcard, subscription.names)
        subscription.begun = True
        if first:
            subscription.wildcard = not names and url in WILDCARD
        subscription.wildcard |= "*" in names
        subscription.names = names - {"*"}
        if not first and before == (subscription.wildcard, subscription.names):
            return None
        if not self.stock.repeats:
            for name in before[1] ^ subscription.names:
                subscription.known.pop(name, None)
        # An answer is owed for every name that is new; and for all where all are wanted.
        return self.due(url, always=url in WILDCARD or any(name in self.stock.of(url) for name in names))

    def due(self, url, always=False):
        subscription, there = self.subscription(url), self.stock.of(url)
        if not subscription.begun:
            return None
        wanted = {name: resource for name, resource in there.items() if subscription.wants(name)}
        versions = {name: version for name, (version, _) in wanted.items()}
        if versions == subscription.known and not always:
            return None
        if url not in WILDCARD and not self.stock.repeats:
            wanted = {name: wanted[name] for name, version in versions.items() if subscription.known.get(name) != version}
        subscription.known = versions
        return self.write(self.response(url, wanted.items()), url, list(wanted))

    def response(self, url, resources, gone=()):
        message = discovery.DiscoveryResponse(type_url=url, version_info=str(self.stock.version))
        message.resources.extend(packed for _, (_, packed) in resources)
        return message
