//! What is wrong with a document is said with its place, all at once.

use evenkeel_control_api::mesh;

#[track_caller]
fn assert_faults(text: &str, expected: &[&str]) {
    let faults = mesh::parse(text).expect_err("the document should be refused");
    let found: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_misspelt_key_is_refused_with_the_right_one() {
    assert_faults(
        "services:\n- nmae: web\n  ports: [{port: 80, protocl: http, endpoints: []}]\n",
        &[
            "2:3: services[0].nmae: unknown key; did you mean \"name\"?",
            "2:3: services[0]: the key \"name\" is missing",
            "3:22: services[0].ports[0].protocl: unknown key; did you mean \"protocol\"?",
        ],
    );
}

#[test]
fn a_key_like_no_other_is_refused_with_all_that_may_be_there() {
    assert_faults(
        "frobnicate: 1\n",
        &[
            "1:1: frobnicate: unknown key; here may be services, inbound, unknown, limits, proxy, tracing, control_plane",
        ],
    );
}

#[test]
fn a_token_needs_somebody_to_believe() {
    assert_faults(
        "control_plane:\n  servers: [a:1]\n  token: /token\n",
        &["3:10: control_plane.token: is sent over TLS only: it needs ca or ca_file"],
    );
    assert_faults(
        "control_plane:\n  servers: [a:1, 'unix:/x']\n  ca: |\n    no PEM\n  ca_file: /ca\n",
        &[
            "2:18: control_plane.servers[1]: is a unix socket, which has no host name to verify",
            "4:5: control_plane.ca: must be certificates in PEM, from -----BEGIN CERTIFICATE----- on",
            "5:12: control_plane.ca_file: stands beside ca, and only one of them can hold",
        ],
    );
}

#[test]
fn an_unknown_word_names_those_that_are_known() {
    assert_faults(
        "unknown: drop\ninbound: {default: {protocol: htpp}}\n",
        &[
            "1:10: unknown: expected one of passthrough, refuse, found \"drop\"",
            "2:31: inbound.default.protocol: expected one of auto, http, http2, grpc, tls, tcp, found \"htpp\"; \
             did you mean \"http\"?",
        ],
    );
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    assert_faults(
        "services: {a: b}\ninbound: [1]\nlimits: 7\nproxy: {workers: many}\n",
        &[
            "1:11: services: expected a list, found keys and values",
            "2:10: inbound: expected keys and values, found a list",
            "3:9: limits: expected keys and values, found \"7\"",
            "4:18: proxy.workers: expected a whole number from 1 to 1024, or cpu-limit, found \"many\"",
        ],
    );
}

#[test]
fn a_number_is_no_text_and_a_text_is_no_number() {
    assert_faults(
        "services:\n- name: 80\n  ports: [{port: \"80\", endpoints: []}]\n",
        &[
            "2:9: services[0].name: expected text, found \"80\"",
            "3:18: services[0].ports[0].port: expected a whole number from 1 to 65535, found the text \"80\"",
        ],
    );
}

#[test]
fn duplicates_are_refused_and_the_first_is_named() {
    assert_faults(
        "services:
- name: web
  vips: [10.0.0.1, 10.0.0.1]
  ports:
  - port: 80
    endpoints: [{address: \"10.1.0.1:80\"}, {address: \"10.1.0.1:80\"}]
  - {port: 80, endpoints: []}
- name: web
  ports: [{port: 80, endpoints: []}]
- name: other
  vips: [10.0.0.1]
  ports: [{port: 80, endpoints: []}]
inbound: {ports: [{port: 1}, {port: 1}]}
",
        &[
            "3:20: services[0].vips[1]: the address 10.0.0.1 is at line 3 already",
            "6:53: services[0].ports[0].endpoints[1].address: the endpoint 10.1.0.1:80 is at line 6 already",
            "7:12: services[0].ports[1].port: the port 80 is at line 5 already",
            "8:9: services[1].name: the service web is at line 2 already",
            "12:11: services[2].ports[0]: 10.0.0.1:80 belongs to the port at line 5 already",
            "13:30: inbound.ports[1]: the port 1 is at line 13 already",
        ],
    );
}

#[test]
fn weights_are_from_one_up_and_their_sum_is_bounded() {
    assert_faults(
        "services:
- name: web
  ports:
  - port: 80
    endpoints:
    - {address: \"10.1.0.1:80\", weight: 0}
    - {address: \"10.1.0.2:80\", weight: 4294967296}
    - {address: \"10.1.0.3:80\", weight: -1}
  - port: 81
    endpoints: [{address: \"10.1.0.1:80\", weight: 4294967295}, {address: \"10.1.0.2:80\"}]
",
        &[
            "6:40: services[0].ports[0].endpoints[0].weight: expected a whole number from 1 to 4294967295, found \"0\"",
            "7:40: services[0].ports[0].endpoints[1].weight: expected a whole number from 1 to 4294967295, found \"4294967296\"",
            "8:40: services[0].ports[0].endpoints[2].weight: expected a whole number from 1 to 4294967295, found \"-1\"",
            "10:16: services[0].ports[1].endpoints: the weights add up to 4294967296, more than 4294967295",
        ],
    );
}

#[test]
fn addresses_that_cannot_be_reached_are_refused() {
    assert_faults(
        "services:
- name: web
  vips: [0.0.0.0, 224.0.0.1, 10.0.0, \"::ffff:10.0.0.1\"]
  ports:
  - port: 80
    endpoints:
    - {address: 10.1.0.1}
    - {address: \"10.1.0.1:0\"}
    - {address: \"web:80\"}
    - {address: \"[::]:80\"}
    - {address: \"[fe80::1%2]:80\"}
",
        &[
            "3:10: services[0].vips[0]: 0.0.0.0 stands for no address in particular",
            "3:19: services[0].vips[1]: 224.0.0.1 is a multicast address",
            "3:30: services[0].vips[2]: \"10.0.0\" is not an IP address",
            "3:38: services[0].vips[3]: ::ffff:10.0.0.1 is an IPv4 address in IPv6 clothes; write it as IPv4",
            "7:17: services[0].ports[0].endpoints[0].address: \"10.1.0.1\" is not an IP address with a port, such as \
             10.0.0.1:80 or \"[fd00::1]:80\"",
            "8:17: services[0].ports[0].endpoints[1].address: \"10.1.0.1:0\" has the port 0",
            "9:17: services[0].ports[0].endpoints[2].address: \"web:80\" is not an IP address with a port, such as \
             10.0.0.1:80 or \"[fd00::1]:80\"",
            "10:17: services[0].ports[0].endpoints[3].address: :: stands for no address in particular",
            "11:17: services[0].ports[0].endpoints[4].address: \"[fe80::1%2]:80\" has a scope, which is not supported",
        ],
    );
}

#[test]
fn an_address_of_the_proxy_itself_is_no_service() {
    assert_faults(
        "services:\n- name: web\n  vips: [127.0.0.1]\n  ports: [{port: 15001, endpoints: []}]\n",
        &["4:11: services[0].ports[0]: 127.0.0.1:15001 is where this proxy listens"],
    );
}

#[test]
fn limits_have_units_and_ranges() {
    assert_faults(
        "limits:
  connect_timeout: 2
  upstream_idle: 0s
  head_timeout: never
  header_bytes: 1000
  header_fields: 0
  keepalive: {idle: 1500ms, count: 200}
  http2: {stream_window: 1KiB}
  backoff: {first: 20s}
  drain: {deadline: 1s}
",
        &[
            "2:20: limits.connect_timeout: expected a duration such as 500ms, 4s or 30m, found \"2\"",
            "3:18: limits.upstream_idle: must be from 1ms to 576h",
            "4:17: limits.head_timeout: expected a duration such as 500ms, 4s or 30m, or off, found \"never\"",
            "5:17: limits.header_bytes: must be from 1KiB to 8MiB",
            "6:18: limits.header_fields: expected a whole number from 1 to 65536, found \"0\"",
            "7:21: limits.keepalive.idle: must be a whole number of seconds",
            "7:36: limits.keepalive.count: expected a whole number from 1 to 127, found \"200\"",
            "8:26: limits.http2.stream_window: must be from 65535 to 2147483647",
            "9:12: limits.backoff: the longest pause (most) is shorter than the first one (first)",
            "10:10: limits.drain: the deadline is before the least time (least)",
        ],
    );
}

#[test]
fn a_limit_of_the_process_under_a_port_is_sent_to_the_top() {
    assert_faults(
        "inbound: {ports: [{port: 80, limits: {connections: 5}}]}\n",
        &[
            "1:52: inbound.ports[0].limits.connections: holds for the whole process; write it into the limits at the top \
           of the document",
        ],
    );
}

#[test]
fn choices_belong_to_least_request() {
    assert_faults(
        "services:\n- name: web\n  ports:\n  - {port: 80, endpoints: [], balance: {algorithm: random, choices: 2}}\n",
        &["4:69: services[0].ports[0].balance.choices: belongs to the algorithm least_request only"],
    );
}

#[test]
fn words_that_switch_something_are_one_of_a_few() {
    assert_faults(
        "inbound: {ports: [{port: 80, forwarded_for: all}]}\nproxy: {access_log: yaml}\n",
        &[
            "1:45: inbound.ports[0].forwarded_for: expected one of off, append, found \"all\"",
            "2:21: proxy.access_log: expected one of off, text, json, found \"yaml\"",
        ],
    );
}

#[test]
fn admin_is_loopback_only_and_doors_do_not_overlap() {
    assert_faults(
        "proxy:
  admin: {listen: \"0.0.0.0:15000\"}
  telemetry: {listen: \"127.0.0.1:15001\"}
  inbound: {listen: [\"[::]:1\", \"[::1]:1\"]}
",
        &[
            "2:10: proxy.admin: admin commands the process: it may listen on loopback addresses only",
            "3:14: proxy.telemetry: 127.0.0.1:15001 overlaps 127.0.0.1:15001, where outbound listens",
            "4:32: proxy.inbound.listen[1]: [::1]:1 overlaps [::]:1",
        ],
    );
}

#[test]
fn a_door_that_takes_the_default_of_another_is_the_one_to_blame() {
    assert_faults(
        "proxy:\n  outbound: {listen: \"127.0.0.1:15000\"}\n",
        &["2:13: proxy.outbound: 127.0.0.1:15000 overlaps 127.0.0.1:15000, where admin listens"],
    );
}

#[test]
fn faults_of_the_text_and_of_the_values_come_together_in_the_order_of_the_text() {
    assert_faults(
        "unknown: drop\nunknown: refuse\nlimits: {connections: 0}\n",
        &[
            "1:10: unknown: expected one of passthrough, refuse, found \"drop\"",
            "2:1: the key \"unknown\" is here twice",
            "3:23: limits.connections: expected a whole number from 1 to 16777216, found \"0\"",
        ],
    );
}

#[test]
fn a_template_of_the_access_log_is_refused_with_the_letter_where_it_is_malformed() {
    assert_faults(
        "proxy:\n  access_log: {format: text, template: \"a %DURATON%\"}\n",
        &["2:40: proxy.access_log.template: at letter 3: %DURATON% is no operator; did you mean \"DURATION\"?"],
    );
    assert_faults(
        "proxy:\n  access_log:\n    format: json\n    template: {a: \"%UNIQUE_ID%\", b: {c: \"x%\", d: 3, e: [f]}}\n",
        &[
            "4:19: proxy.access_log.template.a: at letter 1: %UNIQUE_ID% is Envoy's, and this proxy does not have it",
            "4:41: proxy.access_log.template.b.c: at letter 2: a % begins an operator, such as %DURATION%; the sign itself is %%",
            "4:50: proxy.access_log.template.b.d: expected text, found \"3\"",
            "4:56: proxy.access_log.template.b.e: expected text, found a list",
        ],
    );
    assert_faults(
        "proxy: {access_log: {format: text, template: {a: b}}}\n",
        &["1:46: proxy.access_log.template: expected text, found keys and values"],
    );
    assert_faults(
        "proxy: {access_log: {format: json, template: a}}\n",
        &[
            "1:46: proxy.access_log.template: expected keys and values, found \"a\"",
            "1:46: proxy.access_log.template: needs 1 to 128 keys",
        ],
    );
    assert_faults(
        "proxy:\n  access_log:\n    format: text\n    template: \"a\\nb\"\n",
        &["4:15: proxy.access_log.template: has a line break inside, and what is logged of a request is one line"],
    );
    assert_faults(
        "proxy: {access_log: {template: a}}\n",
        &["1:21: proxy.access_log: the key \"format\" is missing"],
    );
}

#[test]
fn a_filter_of_the_access_log_has_statuses_a_duration_and_a_share() {
    assert_faults(
        "proxy: {access_log: {format: json, filter: {status: [5xx, 99, 4xy], duration: 3, failed: yes, sample: 0.5}}}\n",
        &[
            "1:59: proxy.access_log.filter.status[1]: expected a status such as 404, a class such as 5xx, a range such as \
             400-499, or 500+",
            "1:63: proxy.access_log.filter.status[2]: expected a status such as 404, a class such as 5xx, a range such as \
             400-499, or 500+",
            "1:79: proxy.access_log.filter.duration: expected a duration such as 500ms, 4s or 30m, found \"3\"",
            "1:90: proxy.access_log.filter.failed: expected one of true, false, found \"yes\"",
            "1:103: proxy.access_log.filter.sample: expected a share from 0.0001% to 100%",
        ],
    );
    assert_faults(
        "proxy: {access_log: {format: text, otlp: {collector: \"http://otel:4317/v1\", service: \"\"}}}\n",
        &[
            "1:54: proxy.access_log.otlp.collector: has a path, which gRPC chooses itself",
            "1:86: proxy.access_log.otlp.service: must be 1 to 128 characters, and none of them a control character",
        ],
    );
    assert_faults(
        "proxy: {access_log: {format: text, otlp: {}}}\n",
        &["1:42: proxy.access_log.otlp: the key \"collector\" is missing"],
    );
    for share in ["0%", "101%", "1e1%", "-1%", "nan%", "%"] {
        let text = format!("proxy: {{access_log: {{format: json, filter: {{sample: \"{share}\"}}}}}}\n");
        assert!(mesh::parse(&text).is_err(), "{share}");
    }
}
