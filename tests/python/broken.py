"""Responses that no server should send. Each is written to every open stream; the nonces of those that have one are
returned, to see what the client says to them.
"""

from google.protobuf import any_pb2

from stock import TYPES, any_of, name_of

# Bytes that are no message of any type: field 31 with a wire type that does not exist.
GARBAGE = b"\xff\xff\xff\xff\x0f\xff"


def garbage_message(stream, _):
    """Not a response at all."""
    stream.queue.put_nowait(GARBAGE)


def garbage_resource(stream, command):
    """A response with a resource that is no message."""
    url = TYPES[command["type"]]
    packed = any_pb2.Any(type_url=url, value=GARBAGE)
    return stream.write(stream.response(url, [(command["name"], ("garbage", packed))]), url, [command["name"]])


def half_resource(stream, command):
    """A response with a resource whose end is missing."""
    packed = any_of(command["resource"])
    packed.value = packed.value[:-3]
    name = name_of(command["resource"])
    return stream.write(stream.response(packed.type_url, [(name, ("half", packed))]), packed.type_url, [name])


def unknown_type(stream, _):
    """A response of a type that nobody asked for."""
    url = "type.googleapis.com/nobody.knows.v3.Resource"
    return stream.write(stream.response(url, []), url, [])


def foreign_resource(stream, command):
    """A response of one type with a resource of another."""
    packed, name = any_of(command["resource"]), name_of(command["resource"])
    url = TYPES[command["type"]]
    return stream.write(stream.response(url, [(name, ("foreign", packed))]), url, [name])


def twice(stream, command):
    """Two resources under one name, which differ."""
    packed = [any_of(resource) for resource in command["resources"]]
    name = name_of(command["resources"][0])
    url = packed[0].type_url
    return stream.write(stream.response(url, [(name, ("twice", one)) for one in packed]), url, [name])


def without_nonce(stream, command):
    """A good response that cannot be answered."""
    packed, name = any_of(command["resource"]), name_of(command["resource"])
    stream.queue.put_nowait(stream.response(packed.type_url, [(name, ("nonceless", packed))]).SerializeToString())


def same_nonce(stream, command):
    """A good response with the nonce of the one before."""
    packed, name = any_of(command["resource"]), name_of(command["resource"])
    message = stream.response(packed.type_url, [(name, ("same", packed))])
    message.nonce = stream.subscription(packed.type_url).nonce
    stream.queue.put_nowait(message.SerializeToString())
    return message.nonce


def huge(stream, command):
    """A response of so many bytes, all of them in one resource."""
    url = TYPES[command["type"]]
    # The name, and an unknown field full of zeros: a message, but none of this type.
    name, size = command["name"], command["bytes"]
    value = b"\x0a" + _varint(len(name)) + name.encode() + b"\xfa\x7f" + _varint(size) + bytes(size)
    packed = any_pb2.Any(type_url=url, value=value)
    return stream.write(stream.response(url, [(name, ("huge", packed))]), url, [name])


def _varint(number):
    """As protocol buffers write it."""
    low = []
    while number >= 0x80:
        low.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*low, number])


WAYS = {
    way.__name__: way
    for way in (
        garbage_message,
        garbage_resource,
        half_resource,
        unknown_type,
        foreign_resource,
        twice,
        without_nonce,
        same_nonce,
        huge,
    )
}
