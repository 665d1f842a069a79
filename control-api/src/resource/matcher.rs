//! `envoy.type.matcher.v3`: tests of text, which many messages hold.

mod re2;

use crate::report::Report;
use crate::report::note_set;
use envoy_types::pb::envoy::r#type::matcher::v3 as proto;
use proto::string_matcher::MatchPattern;
use regex::bytes::Captures;
use regex::bytes::Regex;
use regex::bytes::RegexBuilder;
use std::fmt;

/// Bytes of a compiled expression: many times what routes need, and little beside what a proxy has.
const LARGEST: usize = 1 << 20;
/// Bytes of what each thread remembers of an expression while it runs.
const LARGEST_CACHE: usize = 256 << 10;

/// A test of text: `StringMatcher`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringMatch {
    /// What is asked of the text.
    pub test: TextTest,
    /// `ignore_case`, of ASCII; without effect on expressions.
    pub ignore_case: bool,
}

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// It is this.
    Exact(String),
    /// It begins with this.
    Prefix(String),
    /// It ends with this.
    Suffix(String),
    /// It holds this.
    Contains(String),
    /// All of it matches.
    Regex(Pattern),
}

/// A regular expression in RE2's syntax, which a text matches as a whole. It is equal to another of the same words.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

/// `RegexMatchAndSubstitute`: what is put in the place of each match. It is equal to another of the same words.
#[derive(Clone)]
pub struct Substitution {
    pattern: String,
    with: String,
    any: Regex,
    parts: Vec<Part>,
}

/// A part of what is put in.
#[derive(Clone)]
enum Part {
    Text(Vec<u8>),
    /// What this group has matched.
    Group(usize),
}

/// What is wrong with a [`Substitution`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The expression.
    Pattern(String),
    /// What is put in.
    Substitution(String),
}

impl StringMatch {
    /// Whether `text` passes.
    pub fn matches(&self, text: &[u8]) -> bool {
        let same = |one: &[u8], other: &str| {
            if self.ignore_case {
                one.eq_ignore_ascii_case(other.as_bytes())
            } else {
                one == other.as_bytes()
            }
        };
        match &self.test {
            TextTest::Exact(exact) => same(text, exact),
            TextTest::Prefix(prefix) => text.get(..prefix.len()).is_some_and(|start| same(start, prefix)),
            TextTest::Suffix(suffix) => {
                let start = text.len().checked_sub(suffix.len());
                start.is_some_and(|start| same(&text[start..], suffix))
            }
            TextTest::Contains(part) => text.windows(part.len().max(1)).any(|window| same(window, part)),
            TextTest::Regex(pattern) => pattern.matches(text),
        }
    }
}

impl Pattern {
    /// # Errors
    /// What is wrong with the expression, and where.
    pub fn new(text: &str) -> Result<Self, String> {
        let translated = re2::translate(text);
        // Alone first: `a)(b` would be fine between brackets.
        compile(text, &translated)?;
        Ok(Self {
            text: text.to_owned(),
            whole: compile(text, &format!("\\A(?:{translated})\\z"))?,
        })
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.whole.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl Substitution {
    /// # Errors
    /// Which of the two is wrong, and why.
    pub fn new(pattern: &str, with: &str) -> Result<Self, Wrong> {
        let any = compile(pattern, &re2::translate(pattern)).map_err(Wrong::Pattern)?;
        let parts = parts(with, any.captures_len()).map_err(Wrong::Substitution)?;
        Ok(Self {
            pattern: pattern.to_owned(),
            with: with.to_owned(),
            any,
            parts,
        })
    }

    /// `text` with every match replaced.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        for found in self.any.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            out.extend_from_slice(&text[at..whole.start()]);
            self.put(&found, &mut out);
            at = whole.end();
        }
        out.extend_from_slice(&text[at..]);
        out
    }

    fn put(&self, found: &Captures<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Group(number) => out.extend_from_slice(found.get(*number).map_or(b"", |group| group.as_bytes())),
            }
        }
    }

    /// The expression and what is put in, as they were written.
    pub fn as_strs(&self) -> (&str, &str) {
        (&self.pattern, &self.with)
    }
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.as_strs() == other.as_strs()
    }
}

impl Eq for Substitution {}

impl fmt::Debug for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Substitution({:?}, {:?})", self.pattern, self.with)
    }
}

/// Decodes a test of text.
pub(super) fn string(message: proto::StringMatcher, report: &mut Report) -> Option<StringMatch> {
    let proto::StringMatcher {
        ignore_case,
        match_pattern,
    } = message;
    let test = match match_pattern {
        Some(MatchPattern::Exact(text)) => Some(TextTest::Exact(text)),
        Some(MatchPattern::Prefix(text)) => some_text("prefix", text, report).map(TextTest::Prefix),
        Some(MatchPattern::Suffix(text)) => some_text("suffix", text, report).map(TextTest::Suffix),
        Some(MatchPattern::Contains(text)) => some_text("contains", text, report).map(TextTest::Contains),
        Some(MatchPattern::SafeRegex(message)) => report
            .within("safe_regex", |report| pattern(message, report))
            .map(TextTest::Regex),
        Some(MatchPattern::Custom(_)) => {
            report.refuse_field("custom", "is not supported");
            None
        }
        None => {
            report.refuse("says nothing of what to match");
            None
        }
    };
    Some(StringMatch {
        test: test?,
        ignore_case,
    })
}

/// What everything would match is not meant.
pub(super) fn some_text(field: &str, text: String, report: &mut Report) -> Option<String> {
    if text.is_empty() {
        report.refuse_field(field, "is empty");
        return None;
    }
    Some(text)
}

/// Decodes an expression that a text has to match as a whole.
pub(super) fn pattern(message: proto::RegexMatcher, report: &mut Report) -> Option<Pattern> {
    let regex = expression(message, report)?;
    let pattern = Pattern::new(&regex).map_err(|reason| report.refuse_field("regex", reason));
    pattern.ok()
}

/// Decodes an expression and what is put in the place of its matches.
pub(super) fn substitution(message: proto::RegexMatchAndSubstitute, report: &mut Report) -> Option<Substitution> {
    let proto::RegexMatchAndSubstitute { pattern, substitution } = message;
    let Some(pattern) = pattern else {
        report.refuse_field("pattern", "is missing");
        return None;
    };
    let pattern = report.within("pattern", |report| expression(pattern, report))?;
    let made = Substitution::new(&pattern, &substitution).map_err(|wrong| match wrong {
        Wrong::Pattern(reason) => report.refuse_field("pattern.regex", reason),
        Wrong::Substitution(reason) => report.refuse_field("substitution", reason),
    });
    made.ok()
}

fn expression(message: proto::RegexMatcher, report: &mut Report) -> Option<String> {
    let proto::RegexMatcher { regex, engine_type } = message;
    // RE2 is the only engine; its bound on programs is deprecated.
    note_set!(report; engine_type);
    some_text("regex", regex, report)
}

fn compile(text: &str, translated: &str) -> Result<Regex, String> {
    build(translated, true).map_err(|error| {
        // The position is that in the text as it was written, where that text is wrong, too.
        let error = build(text, false).err().unwrap_or(error);
        format!("{text:?}: {}", wrong(&error))
    })
}

fn build(text: &str, unicode: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(unicode)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST_CACHE)
        .build()
}

/// What is wrong and where, in one line. The crate shows the expression, a caret below the place, and the fault.
fn wrong(error: &regex::Error) -> String {
    let regex::Error::Syntax(shown) = error else {
        return error.to_string();
    };
    let fault = shown.lines().last().unwrap_or_default();
    let fault = fault.strip_prefix("error: ").unwrap_or(fault);
    let caret = shown
        .lines()
        .rfind(|line| line.contains('^') && line.trim_matches([' ', '^']).is_empty());
    match caret.and_then(|line| line.find('^')) {
        // The crate indents by four.
        Some(at) if at >= 4 => format!("{fault}, at character {}", at - 3),
        _ => fault.to_owned(),
    }
}

/// `\1` is what the first group has matched, `\0` all of it, `\\` a backslash.
fn parts(substitution: &str, groups: usize) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = Vec::new();
    let mut bytes = substitution.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'\\') => text.push(b'\\'),
            Some(digit @ b'0'..=b'9') => {
                let group = usize::from(digit - b'0');
                if group >= groups {
                    return Err(format!("\\{group} is more than the pattern has groups"));
                }
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(group));
            }
            _ => return Err("a backslash stands before a digit or another one only".to_owned()),
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(text: &str) -> proto::RegexMatcher {
        proto::RegexMatcher {
            regex: text.to_owned(),
            engine_type: None,
        }
    }

    fn refused(work: impl FnOnce(&mut Report)) -> String {
        let mut report = Report::default();
        work(&mut report);
        report.finish().expect_err("a fault").to_string()
    }

    fn compiled(text: &str) -> Pattern {
        pattern(regex(text), &mut Report::default()).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn an_expression_matches_the_whole_text_or_nothing() {
        assert!(compiled("b|ab").matches(b"ab"));
        assert!(!compiled("a").matches(b"ab"));
        assert!(!compiled("a$").matches(b"a\n"));
        assert!(compiled("(?i)/a/.*").matches("/A/é".as_bytes()));
        assert!(!compiled(".*").matches(b"\xff"), "as RE2, which reads UTF-8");
        assert!(
            !compiled(r"\d").matches("٣".as_bytes()),
            "as RE2, whose digits are ASCII"
        );
    }

    #[test]
    fn a_bad_expression_is_a_fault_with_its_position() {
        for (text, fault) in [
            ("/a(b", "regex: \"/a(b\": unclosed group, at character 3"),
            ("a)(b", "regex: \"a)(b\": unopened group, at character 2"),
            (r"[\d_]++(", "regex: \"[\\\\d_]++(\": unclosed group, at character 8"),
            ("", "regex: is empty"),
        ] {
            assert_eq!(refused(|report| assert!(pattern(regex(text), report).is_none())), fault);
        }
        let large = refused(|report| assert!(pattern(regex("(.{1000}){1000}"), report).is_none()));
        assert!(large.contains("size limit"), "{large}");
    }

    #[test]
    fn every_match_is_replaced_and_groups_are_put_in() {
        for (pattern, with, text, expected) in [
            (
                "^/service/([^/]+)(/.*)$",
                r"\2/instance/\1",
                "/service/foo/v1/api",
                "/v1/api/instance/foo",
            ),
            ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
            (
                "^(.*?)one(.*)$",
                r"\1two\2",
                "/xxx/one/yyy/one/zzz",
                "/xxx/two/yyy/one/zzz",
            ),
            ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
            ("(a)|b", r"<\1\\\0>", "ab", r"<a\a><\b>"),
        ] {
            let message = proto::RegexMatchAndSubstitute {
                pattern: Some(regex(pattern)),
                substitution: with.to_owned(),
            };
            let found = substitution(message, &mut Report::default()).expect("a good expression");
            assert_eq!(String::from_utf8_lossy(&found.apply(text.as_bytes())), expected);
        }
    }

    #[test]
    fn a_substitution_names_only_what_is_there() {
        for (with, fault) in [
            (r"\2", "substitution: \\2 is more than the pattern has groups"),
            (
                r"a\",
                "substitution: a backslash stands before a digit or another one only",
            ),
            (
                r"\n",
                "substitution: a backslash stands before a digit or another one only",
            ),
        ] {
            let message = proto::RegexMatchAndSubstitute {
                pattern: Some(regex("(a)")),
                substitution: with.to_owned(),
            };
            assert_eq!(
                refused(|report| assert!(substitution(message, report).is_none())),
                fault
            );
        }
    }

    #[test]
    fn text_is_tested_at_its_ends_and_inside_in_any_case() {
        let test = |test: TextTest, ignore_case, text: &str| StringMatch { test, ignore_case }.matches(text.as_bytes());
        for (asked, text, exactly, loosely) in [
            (TextTest::Exact("Ab".into()), "ab", false, true),
            (TextTest::Exact("Ab".into()), "Ab", true, true),
            (TextTest::Exact("Ab".into()), "Abc", false, false),
            (TextTest::Prefix("Ab".into()), "abc", false, true),
            (TextTest::Prefix("Ab".into()), "A", false, false),
            (TextTest::Suffix("bC".into()), "abc", false, true),
            (TextTest::Suffix("bc".into()), "c", false, false),
            (TextTest::Contains("B".into()), "abc", false, true),
            (TextTest::Contains("abcd".into()), "abc", false, false),
        ] {
            assert_eq!(test(asked.clone(), false, text), exactly, "{asked:?} {text}");
            assert_eq!(test(asked.clone(), true, text), loosely, "{asked:?} {text}");
        }
    }
}
