//! What clients send first, by the verdict that follows. Files are captures of real programs, and `captures/README.md` says of which;
//! bytes that stand here were written after each protocol's documents.

use super::Hint;
use super::Sniffed;
use crate::failure::Reason;

pub(super) const PROLOGUES: &[(Sniffed, &[&[u8]])] = &[
    (
        Sniffed::Http1,
        &[
            include_bytes!("captures/curl-get.bin"),
            include_bytes!("captures/curl-post.bin"),
            b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            b"VERSION-CONTROL /a HTTP/1.1\r\n",
            // Wrong, and HTTP all the same: its parser says what is wrong.
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/9\r\n",
            b"GET /a b c HTTP/1.1\r\n",
            b"GET HTTP/1.1\r\n",
            b"GET / HTTP/1.1\x00\r\n",
            b"GET / HTTP/1.1\rX",
        ],
    ),
    (
        Sniffed::Http2,
        &[
            include_bytes!("captures/curl-http2.bin"),
            include_bytes!("captures/grpc.bin"),
            // The preface and empty SETTINGS, as grpc-go.
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        ],
    ),
    // A preface that diverges behind what looks like a request line.
    (Sniffed::BadHttp(Reason::MalformedRequest), &[b"PRI * HTTP/2.0\r\n\r\nXX", b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n"]),
    (
        Sniffed::Tls,
        &[
            include_bytes!("captures/openssl.bin"),
            // With a post-quantum key share.
            include_bytes!("captures/chromium.bin"),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x03\x00\x80\x01",
        ],
    ),
    (
        Sniffed::Opaque(Hint::Redis),
        &[
            include_bytes!("captures/redis-cli.bin"),
            include_bytes!("captures/redis-py.bin"),
            b"*2\r\n$7\r\nCOMMAND\r\n$4\r\nDOCS\r\n", b"*10\r\n$3\r\nSET\r\n"],
    ),
    (
        Sniffed::Opaque(Hint::Postgres),
        &[
            include_bytes!("captures/psql-ssl.bin"),
            include_bytes!("captures/psql.bin"),
            // GSS, startup, cancel.
            b"\x00\x00\x00\x08\x04\xd2\x16\x30",
            b"\x00\x00\x00\x12\x00\x03\x00\x00user\x00me\x00\x00",
            b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
        ],
    ),
    (
        Sniffed::Opaque(Hint::Mongo),
        &[
            include_bytes!("captures/pymongo-hello.bin"),
            include_bytes!("captures/pymongo-balanced.bin"),
            // OP_MSG with hello, and the OP_QUERY of older drivers.
            b"\x3a\x01\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00\x25\x01\x00\x00\x10ismaster\x00",
            b"\x3a\x01\x00\x00\x47\x45\x54\x20\x00\x00\x00\x00\xd4\x07\x00\x00\x00\x00\x00\x00admin.$cmd\x00",
        ],
    ),
    (
        Sniffed::Opaque(Hint::Kafka),
        &[
            include_bytes!("captures/librdkafka.bin"),
            include_bytes!("captures/kafka-python.bin"),
            // Metadata of version 0, which begins as PostgreSQL does; no client id.
            b"\x00\x00\x00\x12\x00\x03\x00\x00\x00\x00\x00\x01\x00\x04abcd\x00",
            b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff",
        ],
    ),
    (Sniffed::Opaque(Hint::Amqp), &[include_bytes!("captures/pika.bin"), b"AMQP\x03\x01\x00\x00"]),
    (
        Sniffed::Opaque(Hint::Mqtt),
        &[
            include_bytes!("captures/paho-mqtt.bin"),
            include_bytes!("captures/paho-mqtt5.bin"),
            b"\x10\x8e\x01\x00\x04MQTT\x05\x02",
            b"\x10\x10\x00\x06MQIsdp\x03\x02",
        ],
    ),
    (
        Sniffed::Opaque(Hint::Rsocket),
        &[
            // SETUP, RESUME.
            b"\x00\x00\x34\x00\x00\x00\x00\x04\x00\x00\x01\x00\x00\x00\x00",
            b"\x00\x00\x34\x00\x00\x00\x00\x34\x00\x00\x01\x00\x00\x00\x00",
        ],
    ),
    (
        Sniffed::Opaque(Hint::Unknown),
        &[
            // Methods without HTTP: inline Redis, RTSP, SIP, noise.
            b"GET key\r\n",
            b"DESCRIBE rtsp://a/b RTSP/1.0\r\nCSeq: 2\r\n",
            b"INVITE sip:bob@a SIP/2.0\r\n",
            b"GET \x00\x01\x02\x03",
            // Lines, of which the sender waits for an answer.
            b"\r\n",
            b"\n",
            b"A\r\n",
            b"(a)\n",
            b"QUIT\r\n",
            b"stats items\r\n",
            include_bytes!("captures/ssh.bin"),
            // Answers to a server that has spoken.
            include_bytes!("captures/nats-py.bin"),
            include_bytes!("captures/smtplib.bin"),
            // ZooKeeper, which is weak.
            b"\x00\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\xff\xfe\xfd\xfc\xfb",
            b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ],
    ),
];
