//! Documents, good and bad.

use super::*;

/// As Istio's agent writes it for gRPC, with its members that are not for us.
const AGENT: &str = r#"{
    "xds_servers": [{
        "server_uri": "unix:///etc/istio/proxy/XDS",
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3"]
    }],
    "node": {
        "id": "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local",
        "metadata": {"NAMESPACE": "shop", "INSTANCE_IPS": "10.0.0.1"},
        "locality": {"region": "eu", "zone": "eu-1"}
    },
    "certificate_providers": {"default": {"plugin_name": "file_watcher"}},
    "server_listener_resource_name_template": "xds.istio.io/grpc/lds/inbound/%s"
}"#;

fn faults(text: &str) -> Vec<String> {
    let faults = Bootstrap::parse(text).expect_err("a bad document");
    faults.0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_file_of_an_agent_is_read_and_says_what_is_not_used() {
    let (bootstrap, notes) = Bootstrap::parse(AGENT).expect("a good document");
    let [server] = bootstrap.servers.as_slice() else {
        panic!("{bootstrap:?}");
    };
    assert_eq!(server.address, Address::Unix("/etc/istio/proxy/XDS".into()));
    assert_eq!(server.credentials, Credentials::Insecure);
    assert_eq!(bootstrap.node.metadata["NAMESPACE"], "shop");
    assert_eq!(bootstrap.node.locality.zone, "eu-1");
    let paths: Vec<_> = notes.iter().map(|note| note.path.as_str()).collect();
    assert_eq!(
        paths,
        ["certificate_providers", "server_listener_resource_name_template"]
    );
}

#[test]
fn server_features_that_are_not_obeyed_say_what_happens_instead() {
    let text = AGENT.replace(
        r#"["xds_v3"]"#,
        r#"["xds_v3", "fail_on_data_errors", "ignore_resource_deletion", "new"]"#,
    );
    let (_, notes) = Bootstrap::parse(&text).expect("a good document");
    let ours = notes
        .iter()
        .filter(|note| note.path == "xds_servers[0].server_features");
    let reasons: Vec<_> = ours.map(|note| note.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "\"fail_on_data_errors\" has no effect: the last good version of a resource that is refused stays",
            "\"ignore_resource_deletion\" has no effect: a listener or cluster that is removed goes",
            "\"new\" has no effect",
        ]
    );
}

#[test]
fn the_first_credentials_that_are_supported_are_taken() {
    let text = r#"{"xds_servers": [{"server_uri": "a:1", "channel_creds": [
        {"type": "google_default"},
        {"type": "tls", "config": {
            "ca_certificate_file": "/ca.pem", "certificate_file": "/c.pem", "private_key_file": "/k.pem",
            "refresh_interval": "600.5s"}},
        {"type": "insecure"}]}], "node": {"id": "n"}}"#;
    let (bootstrap, notes) = Bootstrap::parse(text).expect("a good document");
    let identity = Identity {
        certificates: "/c.pem".into(),
        private_key: "/k.pem".into(),
    };
    let files = Tls {
        authorities: Authorities::File("/ca.pem".into()),
        identity: Some(identity),
        refresh_interval: Some(Duration::from_millis(600_500)),
    };
    assert_eq!(bootstrap.servers[0].credentials, Credentials::Tls(files));
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].path, "xds_servers[0].channel_creds[0].type");
}

#[test]
fn every_fault_is_told_with_the_path_of_its_member() {
    let text = r#"{"xds_servers": [
        {"server_uri": "http://a", "channel_creds": [{"type": "alts"}]},
        {"channel_creds": [{"type": "tls", "config": {"certificate_file": "/c.pem", "refresh_interval": "soon"}}]},
        7
    ], "node": {"id": 3, "locality": []}}"#;
    let faults = faults(text);
    let paths: Vec<_> = faults.iter().filter_map(|fault| fault.split(": ").next()).collect();
    assert_eq!(
        paths,
        [
            "xds_servers[0].server_uri",
            "xds_servers[0].channel_creds",
            "xds_servers[1].server_uri",
            "xds_servers[1].channel_creds[0].config.private_key_file",
            "xds_servers[1].channel_creds[0].config.refresh_interval",
            "xds_servers[2]",
            "node.id",
            "node.locality",
            "node.id",
        ],
        "{faults:#?}"
    );
}

#[test]
fn a_token_is_read_from_its_file_and_never_sent_in_plaintext() {
    let document = |channel: &str, calls: &str| {
        format!(
            r#"{{"xds_servers": [{{"server_uri": "a:1", "channel_creds": [{{"type": "{channel}"}}], "call_creds": {calls}}}],
                "node": {{"id": "n"}}}}"#
        )
    };
    let token = r#"[{"type": "other"}, {"type": "jwt_token_file", "config": {"jwt_token_file": "/token"}}]"#;
    let (bootstrap, notes) = Bootstrap::parse(&document("tls", token)).expect("a good document");
    assert_eq!(bootstrap.servers[0].token.as_deref(), Some(Path::new("/token")));
    assert_eq!(notes[0].path, "xds_servers[0].call_creds[0].type");
    assert_eq!(
        faults(&document("insecure", token)),
        ["xds_servers[0].call_creds: holds a token, which is sent over TLS only"]
    );
    assert_eq!(
        faults(&document("tls", r#"[{"type": "jwt_token_file"}]"#)),
        ["xds_servers[0].call_creds[0].config.jwt_token_file: is missing"]
    );
}

#[test]
fn tls_over_a_unix_socket_is_refused() {
    let text =
        r#"{"xds_servers": [{"server_uri": "unix:/xds", "channel_creds": [{"type": "tls"}]}], "node": {"id": "n"}}"#;
    assert_eq!(
        faults(text),
        ["xds_servers[0].channel_creds: cannot be tls: a unix socket has no host name to verify"]
    );
}

#[test]
fn nothing_and_no_json_are_refused() {
    assert_eq!(
        faults("{}"),
        [
            "xds_servers: is empty, and must name a server",
            "node.id: is empty, and control planes ask for one"
        ]
    );
    assert!(
        faults("{\n  \"node\": }")[0].starts_with("2:11: is not JSON"),
        "{:?}",
        faults("{\n  \"node\": }")
    );
    assert_eq!(faults("[]"), ["is a list, and must be an object"]);
}

#[test]
fn the_environment_names_a_file_or_holds_the_document() {
    assert!(Bootstrap::from_environment(|_| None).is_none());
    let text = |name: &str| (name == TEXT_VARIABLE).then(|| AGENT.to_owned());
    assert!(matches!(Bootstrap::from_environment(text), Some(Ok(_))));
    // The file goes first.
    let both = |name: &str| {
        Some(if name == FILE_VARIABLE {
            "/nowhere".into()
        } else {
            AGENT.into()
        })
    };
    let missing = Bootstrap::from_environment(both);
    assert!(
        matches!(missing, Some(Err(BootstrapError::Unreadable { .. }))),
        "{missing:?}"
    );
}
