//! In which form a page is wanted: by `?format=`, else by `Accept`, else as the page says.

use hyper::HeaderMap;
use hyper::header;

/// A form that a page can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people, in a terminal.
    Text,
    /// For programs.
    Json,
    /// For people, in a browser.
    Html,
}

/// What a request asks of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The form; `None`: any.
    pub(super) format: Option<Format>,
    /// What names must contain.
    pub(super) filter: String,
}

impl Asked {
    /// Reads the query and the head of a request; `takes` are the parameters that the page has. `Err`: which it takes.
    pub(super) fn of(headers: &HeaderMap, query: Option<&str>, takes: &[&str]) -> Result<Self, String> {
        let mut asked = Self {
            format: accepted(headers),
            filter: String::new(),
        };
        for parameter in query.unwrap_or_default().split('&').filter(|one| !one.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name, value) {
                _ if !takes.contains(&name) => return Err(refusal(parameter, takes)),
                ("format", "text") => asked.format = Some(Format::Text),
                ("format", "json") => asked.format = Some(Format::Json),
                ("filter", text) => asked.filter = decoded(text),
                _ => return Err(refusal(parameter, takes)),
            }
        }
        Ok(asked)
    }
}

fn refusal(parameter: &str, takes: &[&str]) -> String {
    let takes: Vec<_> = takes
        .iter()
        .map(|name| match *name {
            "format" => "?format=text or ?format=json".to_owned(),
            other => format!("?{other}=TEXT"),
        })
        .collect();
    let takes = if takes.is_empty() {
        "nothing".to_owned()
    } else {
        takes.join(", and ")
    };
    format!(
        "`{}` is not understood; this page takes {takes}",
        parameter.escape_debug()
    )
}

/// The form that whoever asks likes best; `None`: it does not matter.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let format = |range: &str| match range {
        "application/json" => Some(Some(Format::Json)),
        "text/plain" => Some(Some(Format::Text)),
        "text/html" => Some(Some(Format::Html)),
        "*/*" => Some(None),
        _ => None,
    };
    liked(headers, format).flatten()
}

/// What whoever asks likes best of all that is `known` by its media range, the first of those that are liked alike.
pub(super) fn liked<T>(headers: &HeaderMap, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let lines = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    let mut best: Option<(f32, T)> = None;
    for range in lines.flat_map(|line| line.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let Some(one) = known(&parts.next().unwrap_or_default().to_ascii_lowercase()) else {
            continue;
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q=")?.parse().ok())
            .unwrap_or(1.0);
        if weight > best.as_ref().map_or(0.0, |(weight, _)| *weight) {
            best = Some((weight, one));
        }
    }
    best.map(|(_, one)| one)
}

/// Without `%3A` and its like; what is no such sequence stands for itself.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if escaped.is_some() { &after[2..] } else { after };
        bytes.push(escaped.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str, query: Option<&str>) -> Result<Asked, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Asked::of(&headers, query, &["format", "filter"])
    }

    fn format(accept: &str) -> Option<Format> {
        asked(accept, None).unwrap().format
    }

    #[test]
    fn what_is_liked_best_is_what_is_given() {
        assert_eq!(format("*/*"), None);
        assert_eq!(format("application/json"), Some(Format::Json));
        assert_eq!(format("Application/JSON; charset=utf-8"), Some(Format::Json));
        assert_eq!(
            format("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            Some(Format::Html)
        );
        assert_eq!(format("application/json;q=0.1, text/plain;q=0.2"), Some(Format::Text));
        assert_eq!(format("application/json;q=0"), None);
        assert_eq!(format("image/png"), None);
    }

    #[test]
    fn the_query_is_stronger_than_the_head() {
        let found = asked("application/json", Some("format=text&filter=web%3A80%")).unwrap();
        assert_eq!(found.format, Some(Format::Text));
        assert_eq!(found.filter, "web:80%");
    }

    #[test]
    fn what_a_page_does_not_take_is_refused_with_what_it_takes() {
        for query in ["format=xml", "format", "from=1", "filter=a&x"] {
            let refused = asked("*/*", Some(query)).unwrap_err();
            assert!(refused.contains("?format=text or ?format=json"), "{refused}");
        }
        let refused = Asked::of(&HeaderMap::new(), Some("a=1"), &[]).unwrap_err();
        assert_eq!(refused, "`a=1` is not understood; this page takes nothing");
    }
}
