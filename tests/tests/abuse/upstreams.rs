//! Servers that answer nonsense, or never come to an end. Their clients get an error or a connection that ends, and the proxy
//! does not collect what they say.

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use evenkeel_tests::cluster::Family;
use evenkeel_tests::script::End;
use evenkeel_tests::script::Script;
use evenkeel_tests::script::Step;
use evenkeel_tests::script::ask;

use crate::frames::CONTINUATION;
use crate::frames::DATA;
use crate::frames::END_HEADERS;
use crate::frames::END_STREAM;
use crate::frames::HEADERS;
use crate::frames::PING;
use crate::frames::PRIORITY;
use crate::frames::SETTINGS;
use crate::frames::WINDOW_UPDATE;
use crate::frames::frame;
use crate::world::World;

/// This stands for "without end": many times what the proxy may hold.
const ENDLESS: usize = 16 << 20;

/// What the proxy may grow by for one such server: a head of 64 KiB, a body's buffer, and what the allocator rounds up.
const BOUND: u64 = 3 << 20;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// `beginning`, then `piece` over and over.
fn endless(beginning: &[u8], piece: &[u8]) -> Vec<u8> {
    [beginning, &piece.repeat(ENDLESS / piece.len())].concat()
}

/// What the client hears from a server that waits for `question` and says `answer`; the witness is served meanwhile.
fn heard(family: Family, protocol: &'static str, question: &[u8], answer: Vec<u8>) -> Result<(String, End)> {
    told(
        family,
        protocol,
        vec![Step::Receive(question.to_vec()), Step::Send(answer)],
    )
}

/// The same for a server that does this.
fn told(family: Family, protocol: &'static str, steps: Vec<Step>) -> Result<(String, End)> {
    told_one_after_another(family, protocol, vec![steps])?
        .pop()
        .context("one story")
}

/// What clients hear, one after another, from a server that has so many conversations.
fn told_one_after_another(
    family: Family,
    protocol: &'static str,
    conversations: Vec<Vec<Step>>,
) -> Result<Vec<(String, End)>> {
    let world = World::new(family, |port| port.protocol(protocol))?;
    let count = conversations.len();
    let _server = Script::start(&world.server, world.own_endpoint(), conversations)?;
    let mut told = Vec::new();
    for _ in 0..count {
        let story = std::thread::scope(|scope| -> Result<_> {
            let client = scope.spawn(|| ask(&world.client, world.own(), REQUEST));
            while !client.is_finished() {
                world.witness()?;
            }
            match client.join() {
                Ok(story) => story,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        told.push((String::from_utf8_lossy(&story.received).into_owned(), story.end));
    }
    world.held_at_most(BOUND)?;
    Ok(told)
}

fn is_a_bad_gateway((answer, _): &(String, End)) -> Result<()> {
    ensure!(
        answer.starts_with("HTTP/1.1 502 "),
        "{:?}",
        answer.get(..400).unwrap_or(answer)
    );
    Ok(())
}

/// No client takes it for whole.
fn is_cut_short((answer, end): &(String, End)) -> Result<()> {
    ensure!(
        answer.len() < 128 << 10,
        "{} bytes of it reached the client",
        answer.len()
    );
    ensure!(
        *end == End::Reset || !answer.ends_with("\r\n\r\n"),
        "whole, for the client: {end:?}"
    );
    Ok(())
}

const HEAD: &[u8] = b"\r\n\r\n";
/// Who speaks HTTP/2 to a server says this last before its request.
const PREFACE: &[u8] = b"SM\r\n\r\n";

#[test]
fn garbage_is_a_bad_gateway() -> Result<()> {
    for family in Family::BOTH {
        let garbage = || endless(b"", b"\x00\xff\r\n\x7f garbage \n");
        is_a_bad_gateway(&heard(family, "http", HEAD, garbage())?)?;
        is_a_bad_gateway(&heard(family, "http2", PREFACE, garbage())?)?;
    }
    Ok(())
}

#[test]
fn a_line_without_end_is_a_bad_gateway() -> Result<()> {
    is_a_bad_gateway(&heard(Family::V6, "http", HEAD, endless(b"HTTP/1.1 200 ", b"O"))?)
}

#[test]
fn a_head_without_end_is_a_bad_gateway() -> Result<()> {
    is_a_bad_gateway(&heard(
        Family::V4,
        "http",
        HEAD,
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Endless: and on and on\r\n"),
    )?)
}

#[test]
fn an_http2_head_without_end_is_a_bad_gateway() -> Result<()> {
    let field = [b"\x00\x01x\x64".as_slice(), &[b'a'; 100]].concat();
    let beginning = [frame(SETTINGS, 0, 0, b""), frame(HEADERS, 0, 1, b"\x88")].concat();
    let answer = endless(&beginning, &frame(CONTINUATION, 0, 1, &field));
    is_a_bad_gateway(&heard(Family::V6, "http2", PREFACE, answer)?)
}

#[test]
fn frames_that_carry_nothing_without_end_are_a_bad_gateway() -> Result<()> {
    let floods = [
        frame(SETTINGS, 0, 0, b""),
        frame(PING, 0, 0, &[0; 8]),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
    ];
    let conversation = |flood: &Vec<u8>| {
        let settings = frame(SETTINGS, 0, 0, b"");
        vec![Step::Receive(PREFACE.to_vec()), Step::Send(endless(&settings, flood))]
    };
    let told = told_one_after_another(Family::V4, "http2", floods.iter().map(conversation).collect())?;
    for (number, story) in told.iter().enumerate() {
        is_a_bad_gateway(story).with_context(|| format!("flood {number}"))?;
        ensure!(story.0.contains("upstream_flood"), "flood {number}: {}", story.0);
    }
    Ok(())
}

#[test]
fn a_small_head_that_unpacks_to_megabytes_is_a_bad_gateway() -> Result<()> {
    let bomb = [b"\x88\x40\x01x\x7f\xa1\x1e".as_slice(), &[b'a'; 4000], &[0xbe; 8192]].concat();
    let answer = [frame(SETTINGS, 0, 0, b""), frame(HEADERS, END_HEADERS, 1, &bomb)].concat();
    is_a_bad_gateway(&heard(Family::V6, "http2", PREFACE, answer)?)
}

#[test]
fn trailers_without_end_cut_the_answer_short() -> Result<()> {
    let beginning = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n";
    is_cut_short(&heard(
        Family::V4,
        "http",
        HEAD,
        endless(beginning, b"X-Endless: and on and on\r\n"),
    )?)
}

#[test]
fn http2_trailers_without_end_cut_the_answer_short() -> Result<()> {
    let field = [b"\x00\x01x\x64".as_slice(), &[b'a'; 100]].concat();
    let beginning = [
        frame(HEADERS, END_HEADERS, 1, b"\x88"),
        frame(DATA, 0, 1, b"body"),
        frame(HEADERS, END_STREAM, 1, &field),
    ]
    .concat();
    let steps = vec![
        Step::Receive(PREFACE.to_vec()),
        Step::Send(frame(SETTINGS, 0, 0, b"")),
        // The head of the request's HEADERS: its flags, and the first stream.
        Step::Receive(vec![HEADERS, END_HEADERS | END_STREAM, 0, 0, 0, 1]),
        Step::Send(endless(&beginning, &frame(CONTINUATION, 0, 1, &field))),
    ];
    let told = told(Family::V6, "http2", steps)?;
    ensure!(told.0.starts_with("HTTP/1.1 200 "), "{told:?}");
    is_cut_short(&told)
}

#[test]
fn a_chunk_extension_without_end_cuts_the_answer_short() -> Result<()> {
    let beginning = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;";
    is_cut_short(&heard(Family::V4, "http", HEAD, endless(beginning, b"extension"))?)
}

#[test]
fn interim_answers_without_end_are_a_bad_gateway() -> Result<()> {
    let (answer, _) = heard(
        Family::V6,
        "http",
        HEAD,
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    )?;
    ensure!(answer.starts_with("HTTP/1.1 103 "), "{:?}", answer.get(..100));
    ensure!(
        answer.matches(" 103 ").count() == 16,
        "{} were passed on",
        answer.matches(" 103 ").count()
    );
    ensure!(
        answer.contains("HTTP/1.1 502 ") && answer.contains("too_many_interim"),
        "{answer:?}"
    );
    Ok(())
}
