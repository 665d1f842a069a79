//! Messages made from the grammar, with a wrong turn here and there, and then with mistakes in every second of them.
//!
//! The same seed makes the same message.

use crate::dice::Dice;

/// Now and then one that is wrong, so that a message is wrong in one place and right in all others.
macro_rules! mostly {
    ($dice:expr, $right:expr, $wrong:expr) => {
        if $dice.one_in(24) {
            $dice.pick($wrong).to_owned()
        } else {
            $dice.pick($right).to_owned()
        }
    };
}

const METHODS: &[&str] = &[
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "CONNECT",
    "PATCH",
    "DELETE",
    "M-SEARCH",
    "get",
    "!#$%&'*+-.^_`|~",
];
const NO_METHODS: &[&str] = &[
    "",
    "G\tT",
    "GET ",
    "G(T",
    "G\u{e9}T",
    " GET",
    "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM",
];
const HOSTS: &[&str] = &[
    "a",
    "a.example",
    "A-1.b_c~d",
    "10.0.0.1",
    "256.1.1.1",
    "[::1]",
    "[1:2:3:4:5:6:7:8]",
    "[::ffff:10.0.0.1]",
    "[1::]",
    "[abcd::1:2]",
    "a%20b",
    "a!$&'()*+;=",
];
const NO_HOSTS: &[&str] = &[
    "a,b",
    "u@b",
    "a b",
    "a%2",
    "a%zz",
    "[::1",
    "::1",
    "[]",
    "[:::]",
    "[1:2:3]",
    "[12345::]",
    "[1:2:3:4:5:6:7::8:9]",
    "[::256.0.0.1]",
    "[::1.2.3]",
    "[::1.2.3.4:5]",
    "[fe80::1%25eth0]",
    "[v1.a]",
    "a\\b",
    "<a>",
    "\u{e9}",
    "a]b",
    "[::1]a",
];
const PORTS: &[&str] = &["", "", "", ":80", ":443", ":", ":65535", ":00080"];
const NO_PORTS: &[&str] = &[":80:80", ":x", ":-1", ":+1", ":123456", ":65536", ":0", ": 80"];
const PATHS: &[&str] = &[
    "/",
    "/",
    "/a",
    "/a/b;c=d/../e",
    "//a",
    "/%41%2f",
    "/\u{c3}\u{bc}",
    "/\"<>\\^`{|}",
    "/:@!$&'()*+,;=-._~",
    "/%",
];
const NO_PATHS: &[&str] = &["/a#b", "/a\tb", "/\0", "/\u{7f}", "/a b", "a", ""];
const QUERIES: &[&str] = &["", "", "", "?", "?a=b", "?a?b/c", "?%zz"];
const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"];
const NO_VERSIONS: &[&str] = &[
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/0.9",
    "http/1.1",
    "HTTP/1",
    "HTTP/1.1 ",
    "HTTP/11.1",
    "",
];
const STATUSES: &[&str] = &[
    "200", "200", "200", "204", "304", "100", "103", "101", "206", "301", "404", "426", "503", "999",
];
const NO_STATUSES: &[&str] = &["099", "20", "2000", "2x0", "", " 200", "+20", "20\u{b2}"];
const REASONS: &[&str] = &["", " ", " OK", " Not Found", " \tk\u{e9}in Gr\u{fc}\u{df}", "  x "];
const NO_REASONS: &[&str] = &["\tOK", " O\0K", " O\rK", " \u{7f}", "OK"];
const FIELDS: &[&str] = &[
    "Accept: */*",
    "X-A:1",
    "x-a: \t2 \t",
    "X-Empty:",
    "X-Blank: \t ",
    "Cookie: a=b; c=\"d\"",
    "X-Bytes: \u{80}\u{e9}\u{ff}",
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!#$%&'*+-.^_`|~: x",
    "TE: trailers",
    "Expect: 100-continue",
    "Upgrade: websocket, h2c",
    "Keep-Alive: timeout=5",
    "Connection: close",
    "Connection: x, Close",
    "Connection: keep-alive",
    "connection: Keep-Alive, X-A, ,Upgrade",
    "Connection: content-length, host",
    "Proxy-Connection: close",
    "Content-Type: application/grpc",
    "Trailer: x",
];
const NO_FIELDS: &[&str] = &[
    " folded",
    "\tfolded",
    "X : y",
    ": y",
    "X",
    "X(: y",
    "X\u{e9}: y",
    "X: a\0b",
    "X: a\rb",
    "X: a\r",
    "X: \u{7f}",
    "X: a\u{8}",
    "Host: a, b",
];
const LENGTHS: &[&str] = &["0", "5", "5", "005", "9223372036854775807"];
const NO_LENGTHS: &[&str] = &[
    "+5",
    "-0",
    "5, 5",
    "5 5",
    "0x5",
    "5.0",
    "",
    "9223372036854775808",
    "99999999999999999999",
    "\u{b2}",
];
const CODINGS: &[&str] = &["chunked", "chunked", "Chunked", " \tCHUNKED\t"];
const NO_CODINGS: &[&str] = &[
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "xchunked",
    "chunked;a=b",
    "\"chunked\"",
    "identity",
    "",
    "chunked\u{b}",
];
const EXTENSIONS: &[&str] = &[
    "",
    "",
    "",
    "",
    ";a",
    ";a=b",
    ";a=\"b\"",
    ";a=\"\"",
    "; a = b\t;\tc",
    ";a=\"\\\"\\\\;\"",
    ";a=\"\u{e9} \t\";b",
];
const NO_EXTENSIONS: &[&str] = &[
    " ",
    " ;a",
    ";",
    ";;",
    ";a=",
    ";a=b=c",
    ";a=\"",
    ";a=\"b\"c",
    ";a=\"\\",
    ";=b",
    ";a ",
    ";a=b ",
    ";a=\"b\" ",
    ";\u{e9}",
    ";a=\"\0\"",
    ";a\r",
    ";a b",
    ";a=\"b\\\u{1}\"",
];

/// A connection that begins with a request, and goes on.
pub(crate) fn request(dice: &mut Dice) -> Vec<u8> {
    let empty = if dice.one_in(12) { "\r\n" } else { "" };
    let method = mostly!(dice, METHODS, NO_METHODS);
    let target = target(&method, dice);
    let version = mostly!(dice, VERSIONS, NO_VERSIONS);
    let mut fields = Vec::new();
    if !dice.one_in(12) {
        fields.push(format!("{}:{}", cased("Host", dice), authority(dice)));
    }
    let mut text = format!("{empty}{method} {target} {version}\r\n");
    message(fields, &mut text, dice);
    finished(&text, dice)
}

/// A connection that begins with a response, and goes on.
pub(crate) fn response(dice: &mut Dice) -> Vec<u8> {
    let version = mostly!(dice, VERSIONS, NO_VERSIONS);
    let status = mostly!(dice, STATUSES, NO_STATUSES);
    let reason = mostly!(dice, REASONS, NO_REASONS);
    let mut text = format!("{version} {status}{reason}\r\n");
    message(Vec::new(), &mut text, dice);
    finished(&text, dice)
}

fn target(method: &str, dice: &mut Dice) -> String {
    let path = |dice: &mut Dice| mostly!(dice, PATHS, NO_PATHS) + dice.pick(QUERIES);
    match dice.roll(24) {
        0 => "*".to_owned(),
        1 => authority(dice),
        2..6 => {
            let scheme = mostly!(dice, &["http", "http", "HTTPS"], &["ftp", "", "http:"]);
            let path = if dice.one_in(3) {
                dice.pick(QUERIES).to_owned()
            } else {
                path(dice)
            };
            format!("{scheme}://{}{path}", authority(dice))
        }
        _ if method == "CONNECT" => authority(dice),
        _ if method == "OPTIONS" && dice.one_in(2) => "*".to_owned(),
        _ => path(dice),
    }
}

fn authority(dice: &mut Dice) -> String {
    if dice.one_in(24) {
        return String::new();
    }
    mostly!(dice, HOSTS, NO_HOSTS) + &mostly!(dice, PORTS, NO_PORTS)
}

/// The name as one of the ways in which it may be written.
fn cased(name: &str, dice: &mut Dice) -> String {
    match dice.roll(3) {
        0 => name.to_ascii_lowercase(),
        1 => name.to_ascii_uppercase(),
        _ => name.to_owned(),
    }
}

/// Fields in any order, the empty line, and a body, which is mostly the one that they announce.
fn message(mut fields: Vec<String>, text: &mut String, dice: &mut Dice) {
    let framing = dice.roll(8);
    if matches!(framing, 0..3) || dice.one_in(32) {
        let length = mostly!(dice, LENGTHS, NO_LENGTHS);
        fields.push(format!("{}: {length}", cased("Content-Length", dice)));
    }
    if matches!(framing, 3..6) || dice.one_in(32) {
        let coding = mostly!(dice, CODINGS, NO_CODINGS);
        fields.push(format!("{}:{coding}", cased("Transfer-Encoding", dice)));
    }
    for _ in 0..dice.roll(6) {
        let field = if dice.one_in(64) {
            dice.pick(NO_FIELDS)
        } else {
            dice.pick(FIELDS)
        };
        let place = dice.roll(fields.len() + 1);
        fields.insert(place, field.to_owned());
    }
    if dice.one_in(200) {
        let many = vec!["X: y".to_owned(); dice.roll(40)];
        fields.extend(many);
    }
    if dice.one_in(400) {
        fields.push(format!("Connection: {}", "x,".repeat(60 + dice.roll(8))));
    }
    for field in fields {
        text.push_str(&field);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    if matches!(framing, 3..6) || dice.one_in(8) {
        text.push_str(&chunked(dice));
    } else {
        text.push_str(&content(8, dice));
    }
    if dice.one_in(3) {
        text.push_str("GET /next HTTP/1.1\r\n");
    }
}

/// Chunks, the last one, and trailers.
fn chunked(dice: &mut Dice) -> String {
    let mut pieces = Vec::new();
    for _ in 0..dice.roll(4) {
        let content = content(20, dice);
        let size = content.chars().count();
        let size = match dice.roll(4) {
            _ if size == 0 => continue,
            0 => format!("{size:X}"),
            1 => format!("{size:0>width$x}", width = 1 + dice.roll(17)),
            _ => format!("{size:x}"),
        };
        let end = mostly!(dice, &["\r\n"], &["\n", "\r", "", "\r\r\n", " \r\n"]);
        pieces.push(format!("{size}{}\r\n{content}{end}", extension(dice)));
    }
    let last = mostly!(
        dice,
        &["0", "0", "000"],
        &["", "00000000000000000", "-0", "fffffffffffffff"]
    );
    pieces.push(format!("{last}{}\r\n", extension(dice)));
    for _ in 0..dice.roll(8) / 5 * dice.roll(4) {
        let field = if dice.one_in(24) {
            dice.pick(NO_FIELDS)
        } else {
            dice.pick(FIELDS)
        };
        pieces.push(format!("{field}\r\n"));
    }
    match dice.roll(600) {
        0 => pieces.push("X: y\r\n".repeat(95 + dice.roll(10))),
        1 => pieces.push(format!("X: {}\r\n", "y".repeat(64 * 1024 - 12 + dice.roll(12)))),
        2..8 => pieces.push(format!(
            "{}: 5\r\n",
            dice.pick(&["Content-Length", "TRANSFER-ENCODING", "host"])
        )),
        _ => {}
    }
    pieces.push("\r\n".to_owned());
    pieces.concat()
}

fn extension(dice: &mut Dice) -> String {
    if dice.one_in(200) {
        return format!(";{}", "x".repeat(250 + dice.roll(10)));
    }
    mostly!(dice, EXTENSIONS, NO_EXTENSIONS)
}

/// Fewer than `most` bytes, with what delimits messages among them.
fn content(most: usize, dice: &mut Dice) -> String {
    let length = dice.roll(most);
    (0..length)
        .map(|_| dice.pick(&['a', 'b', '0', '\r', '\n', ' ', ':', '\0', '\u{e9}', '\u{ff}']))
        .collect()
}

/// As bytes, each character being one, with mistakes in every second message.
fn finished(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    if dice.one_in(2) {
        for _ in 0..=dice.roll(3) {
            dice.mutate(&mut bytes);
        }
    }
    bytes
}
