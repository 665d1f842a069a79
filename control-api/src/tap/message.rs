//! The messages of `proto/evenkeel/v1/tap.proto`, by hand: they are few, and there is no `protoc`. A test compares them with the
//! file.

/// Which requests are told of, and how. What is not said is not asked: nothing at all is everything.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WatchRequest {
    /// Of the authority, without its port, or of a TLS client's server name: `web.test`, or `*.test` for all below.
    #[prost(string, tag = "1")]
    pub host: String,
    /// What the path begins with.
    #[prost(string, tag = "2")]
    pub path: String,
    /// Such as `GET`.
    #[prost(string, tag = "3")]
    pub method: String,
    /// Any of these: `404`, `5xx`, `400-428`, `500+`.
    #[prost(string, repeated, tag = "4")]
    pub status: Vec<String>,
    /// The client or the endpoint: an address, or a network such as `10.1.0.0/16`.
    #[prost(string, tag = "5")]
    pub peer: String,
    /// `inbound` or `outbound`.
    #[prost(string, tag = "6")]
    pub direction: String,
    /// Events a second at most, up to 10000; 0 means 100.
    #[prost(uint32, tag = "7")]
    pub per_second: u32,
    /// With the values of all headers, whatever secrets they hold.
    #[prost(bool, tag = "10")]
    pub all_headers: bool,
    /// With the values of the headers of these names.
    #[prost(string, repeated, tag = "11")]
    pub headers: Vec<String>,
}

/// An event, or the counts of those that are not told, or both.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WatchResponse {
    /// What has ended.
    #[prost(message, optional, tag = "1")]
    pub event: Option<Event>,
    /// Since the beginning: events above the limit.
    #[prost(uint64, tag = "2")]
    pub limited: u64,
    /// Since the beginning: events that were lost because the caller is slow.
    #[prost(uint64, tag = "3")]
    pub lost: u64,
}

/// A request or an opaque connection that has ended. Text of peers is escaped as in the access log; what is not known is empty.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Event {
    /// When it began, in nanoseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub began: u64,
    /// How long it took, in microseconds.
    #[prost(uint64, tag = "2")]
    pub duration: u64,
    /// `inbound` or `outbound`.
    #[prost(string, tag = "3")]
    pub direction: String,
    /// As in metrics.
    #[prost(string, tag = "4")]
    pub service: String,
    /// `http1`, `http2`, `grpc`, `tls`, `tcp`.
    #[prost(string, tag = "5")]
    pub protocol: String,
    /// Who connected.
    #[prost(string, tag = "6")]
    pub client: String,
    /// Where the client thinks that it is connected to.
    #[prost(string, tag = "7")]
    pub destination: String,
    /// The endpoint of the last attempt.
    #[prost(string, tag = "8")]
    pub upstream: String,
    /// Such as `GET`.
    #[prost(string, tag = "9")]
    pub method: String,
    /// With the query.
    #[prost(string, tag = "10")]
    pub path: String,
    /// Whom the request is for.
    #[prost(string, tag = "11")]
    pub authority: String,
    /// That a TLS client asks for.
    #[prost(string, tag = "12")]
    pub server_name: String,
    /// 0: there was no answer.
    #[prost(uint32, tag = "13")]
    pub status: u32,
    /// -1: none.
    #[prost(sint32, tag = "14")]
    pub grpc_status: i32,
    /// Why it failed, as in metrics.
    #[prost(string, tag = "15")]
    pub reason: String,
    /// Envoy's response flags.
    #[prost(string, tag = "16")]
    pub flags: String,
    /// Endpoints that were tried.
    #[prost(uint32, tag = "17")]
    pub attempts: u32,
    /// From the client.
    #[prost(uint64, tag = "18")]
    pub received_bytes: u64,
    /// To the client.
    #[prost(uint64, tag = "19")]
    pub sent_bytes: u64,
    /// The name of the rule.
    #[prost(string, tag = "20")]
    pub route: String,
    /// As the control plane names it.
    #[prost(string, tag = "21")]
    pub cluster: String,
    /// As the client sent them: 100 at most, and 8 KiB of a head.
    #[prost(message, repeated, tag = "22")]
    pub request_headers: Vec<Header>,
    /// As the client got them, and as far.
    #[prost(message, repeated, tag = "23")]
    pub response_headers: Vec<Header>,
}

/// A field of a head.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Header {
    /// In lower case; its first 128 bytes.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `[redacted]` unless it was asked for; else its first 256 bytes.
    #[prost(string, tag = "2")]
    pub value: String,
}

#[cfg(test)]
mod tests {
    /// Kind, name and number of each field, message after message.
    fn of_proto(text: &str) -> Vec<String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let (mut fields, mut message) = (Vec::new(), "");
        for line in lines {
            let words: Vec<_> = line.trim_end_matches(';').split(' ').collect();
            match words.as_slice() {
                ["message", name, "{"] => message = name,
                ["repeated", kind, name, "=", tag] => fields.push(format!("{message} repeated {kind} {name} {tag}")),
                [kind, name, "=", tag] => fields.push(format!("{message} {kind} {name} {tag}")),
                _ => {}
            }
        }
        fields
    }

    /// The same of the attributes that prost reads.
    fn of_code(text: &str) -> Vec<String> {
        let (mut fields, mut message, mut attribute) = (Vec::new(), "", "");
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("pub struct ") {
                message = rest.trim_end_matches(" {");
            } else if let Some(rest) = line.strip_prefix("#[prost(") {
                attribute = rest.trim_end_matches(")]");
            } else if let Some(rest) = line.strip_prefix("pub ") {
                let (name, of) = rest.trim_end_matches(',').split_once(": ").unwrap();
                let (kind, tag) = attribute.split_once(", tag = ").unwrap();
                let (kind, repeated) = match kind.split_once(", ") {
                    Some((kind, "repeated")) => (kind, "repeated "),
                    Some((kind, _)) => (kind, ""),
                    None => (kind, ""),
                };
                let inner = of.split('<').next_back().unwrap().trim_end_matches('>');
                let kind = if kind == "message" { inner } else { kind };
                fields.push(format!("{message} {repeated}{kind} {name} {}", tag.trim_matches('"')));
            }
        }
        fields
    }

    #[test]
    fn the_messages_are_those_of_the_proto_file() {
        let proto = of_proto(include_str!("../../../proto/evenkeel/v1/tap.proto"));
        let code = include_str!("message.rs").split("#[cfg(test)]").next().unwrap();
        assert_eq!(of_code(code), proto);
        assert_eq!(proto.len(), 37);
    }
}
