"""What is served: resources by type and name, each with a version, as a control plane would keep them.

Resources are given as Envoy writes them in JSON. `@type` names the message, also inside: the Python module of each is
found by its name.
"""

import importlib
import pkgutil

from google.protobuf import any_pb2, json_format

PREFIX = "type.googleapis.com/"

# In the order in which a change breaks nothing: what is named comes before what names it.
TYPES = {
    "Cluster": PREFIX + "envoy.config.cluster.v3.Cluster",
    "ClusterLoadAssignment": PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "Listener": PREFIX + "envoy.config.listener.v3.Listener",
    "RouteConfiguration": PREFIX + "envoy.config.route.v3.RouteConfiguration",
}

# Of these, a client that names nothing wants all.
WILDCARD = (TYPES["Cluster"], TYPES["Listener"])


def type_url(word):
    """`Cluster` or a whole type URL."""
    return TYPES.get(word, word)


def short(url):
    """The last word of a type URL."""
    return url.rsplit(".", 1)[-1]


def any_of(resource):
    """A resource in JSON, as an `Any`."""
    _import_types(resource)
    return json_format.ParseDict(resource, any_pb2.Any())


def name_of(resource):
    return resource["cluster_name" if resource["@type"] == TYPES["ClusterLoadAssignment"] else "name"]


def _import_types(tree):
    """Imports every module whose messages a tree of JSON names."""
    if isinstance(tree, dict):
        if "@type" in tree:
            _import_package(tree["@type"].removeprefix(PREFIX).rsplit(".", 1)[0])
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            _import_types(branch)


def _import_package(package):
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


class Stock:
    """All resources there are. A version is a number that every change raises."""

    def __init__(self):
        self.version = 0
        # Whether the state of the world says all endpoints and routes whenever one has changed.
        self.repeats = True
        self.resources = {url: {} for url in TYPES.values()}

    def set(self, packed, name):
        self.version += 1
        self.resources[packed.type_url][name] = (str(self.version), packed)

    def remove(self, url, name):
        self.version += 1
        del self.resources[url][name]

    def of(self, url):
        """Name -> (version, Any)."""
        return self.resources.get(url, {})
