//! What the mesh changes of a request head. The bytes stay as they came: lines are cut, and others written beside them.

use super::FORWARDED_FOR;
use super::RequestHead;
use crate::protocol::http::h1::TargetForm;
use crate::protocol::http::h1::forwarded_for::forwarded_for;
use crate::protocol::http::h1::head::Lines;
use crate::route::Fields;
use crate::route::Full;
use crate::route::Head;
use crate::telemetry::trace::Onward;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header::HOST;
use std::net::IpAddr;

/// What is written in the place of something that came, or behind it. Most heads have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    /// In the place of the target.
    pub(super) target: Option<Vec<u8>>,
    /// In the place of the host.
    pub(super) host: Option<HeaderValue>,
    /// Behind the lines that came.
    pub(super) added: Vec<(HeaderName, HeaderValue)>,
}

/// A head whose fields can be changed, with the bytes that it was parsed from.
pub struct RequestFields<'a> {
    head: &'a mut RequestHead,
    bytes: &'a [u8],
}

impl RequestHead {
    /// Its fields, to be changed.
    pub fn editing<'a>(&'a mut self, bytes: &'a [u8]) -> RequestFields<'a> {
        RequestFields { head: self, bytes }
    }

    /// Adds `client` to `X-Forwarded-For`, once. Lines that `Connection` names end with the hop, as any others do.
    pub fn append_forwarded_for(&mut self, bytes: &[u8], client: IpAddr) {
        let lines = Lines::fields(&bytes[..self.length], self.fields)
            .filter(|field| field.name.eq_ignore_ascii_case(FORWARDED_FOR.as_bytes()));
        let came = lines.filter(|field| !self.cuts.contains(field.line));
        self.forwarded_for = Some(forwarded_for(came.map(|field| field.value), client).into());
        self.cut(bytes, FORWARDED_FOR);
    }

    /// Tells the next one which trace this belongs to, in the place of what came of that.
    pub fn carry(&mut self, bytes: &[u8], onward: Onward) {
        if self.traced {
            for field in Lines::fields(&bytes[..self.length], self.fields) {
                if onward.replaces(field.name) {
                    self.cuts.add(field.line);
                }
            }
        }
        self.onward = Some(onward);
    }

    /// The list of clients that is written in the place of the lines that came.
    pub fn forwarded_for(&self) -> Option<&[u8]> {
        self.forwarded_for.as_deref()
    }

    /// `http` or `https`, as an absolute target says.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Sends it for another path and query, and to another host. What names them both is no longer an absolute target: the
    /// host is in its field alone. CONNECT has no path, and its authority is where the tunnel ends: it stays.
    pub fn redirect(&mut self, bytes: &[u8], path_and_query: Option<Vec<u8>>, host: Option<HeaderValue>) {
        if self.form == TargetForm::Authority || (path_and_query.is_none() && host.is_none()) {
            return;
        }
        if host.is_some() {
            self.cut(bytes, HOST.as_str());
        }
        let target = path_and_query.or_else(|| {
            let absolute = self.form == TargetForm::Absolute;
            absolute.then(|| self.origin_form(bytes))
        });
        let edits = self.edits.get_or_insert_default();
        edits.target = target.or_else(|| edits.target.take());
        edits.host = host.or_else(|| edits.host.take());
    }

    /// Path and query, or what stands for none.
    fn origin_form(&self, bytes: &[u8]) -> Vec<u8> {
        match self.path.of(bytes) {
            [] if self.method == Method::OPTIONS => b"*".to_vec(),
            [] => b"/".to_vec(),
            query @ [b'?', ..] => [b"/", query].concat(),
            path => path.to_vec(),
        }
    }

    /// The host where it is another than that of the line that came, or where no line came.
    pub(super) fn other_host<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        match self.edits.as_ref().and_then(|edits| edits.host.as_ref()) {
            Some(host) => Some(host.as_bytes()),
            None if self.host_differs => self.authority(bytes),
            None => None,
        }
    }

    pub(super) fn has_other_host(&self) -> bool {
        self.edits.as_ref().is_some_and(|edits| edits.host.is_some())
    }

    pub(super) fn other_target(&self) -> Option<&[u8]> {
        self.edits.as_ref()?.target.as_deref()
    }

    pub(super) fn added(&self) -> &[(HeaderName, HeaderValue)] {
        self.edits.as_ref().map_or(&[], |edits| &edits.added)
    }
}

impl RequestFields<'_> {
    fn added(&mut self) -> &mut Vec<(HeaderName, HeaderValue)> {
        &mut self.head.edits.get_or_insert_default().added
    }
}

impl Fields for RequestFields<'_> {
    fn value(&self, name: &HeaderName, before: usize) -> Option<&[u8]> {
        let lines = Lines::fields(&self.bytes[..self.head.length], self.head.fields);
        let lines = lines.filter(|field| field.name.eq_ignore_ascii_case(name.as_str().as_bytes()));
        let came = lines
            .filter(|field| !self.head.cuts.contains(field.line))
            .map(|field| field.value);
        let list = self.head.forwarded_for.as_deref().filter(|_| name == FORWARDED_FOR);
        let added = self.head.added().iter().filter(|(added, _)| added == name);
        came.chain(list)
            .chain(added.map(|(_, value)| value.as_bytes()))
            .nth(before)
    }
}

impl Head for RequestFields<'_> {
    fn has(&self, name: &HeaderName) -> bool {
        let written = |onward: &Onward| onward.writes(name);
        self.value(name, 0).is_some() || self.head.onward.as_ref().is_some_and(written)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.head.cut(self.bytes, name.as_str());
        if name == FORWARDED_FOR {
            self.head.forwarded_for = None;
        }
        if let Some(edits) = &mut self.head.edits {
            edits.added.retain(|(added, _)| added != name);
        }
        self.head.onward = self.head.onward.take().and_then(|onward| onward.without(name));
    }

    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Full> {
        self.added().push((name.clone(), value.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::h1::HeadLimits;
    use crate::protocol::http::h1::Parsed;
    use crate::protocol::http::h1::request;

    fn edited(text: &str, edit: impl FnOnce(&mut RequestHead, &[u8])) -> (String, Option<http::Request<()>>) {
        let limits = HeadLimits {
            bytes: 1000,
            fields: 10,
        };
        let Ok(Parsed::Complete(mut head)) = request(text.as_bytes(), &limits) else {
            panic!("{text}")
        };
        edit(&mut head, text.as_bytes());
        let mut out = Vec::new();
        head.write_h1(text.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap(), head.to_http(text.as_bytes()).ok())
    }

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    #[test]
    fn only_the_lines_that_change_differ() {
        let came = "GET /a HTTP/1.1\r\nHost:  web\r\nX-A: 1\r\nX-b:2\r\nx-a: 3\r\n\r\n";
        assert_eq!(edited(came, |_, _| {}).0, came);
        let (out, request) = edited(came, |head, bytes| {
            let mut fields = head.editing(bytes);
            assert_eq!(
                (fields.value(&name("x-a"), 1), fields.value(&name("x-a"), 2)),
                (Some(&b"3"[..]), None)
            );
            fields.remove(&name("x-a"));
            assert!(!fields.has(&name("x-a")) && fields.has(&name("x-b")));
            fields.add(&name("x-c"), &HeaderValue::from_static("4")).unwrap();
            fields.add(&name("x-d"), &HeaderValue::from_static("5")).unwrap();
            fields.remove(&name("x-c"));
        });
        assert_eq!(out, "GET /a HTTP/1.1\r\nHost:  web\r\nX-b:2\r\nx-d: 5\r\n\r\n");
        let headers = request.unwrap().into_parts().0.headers;
        assert_eq!(
            (headers.len(), &headers["x-b"], &headers["x-d"]),
            (2, &"2".parse().unwrap(), &"5".parse().unwrap())
        );
    }

    #[test]
    fn another_path_and_another_host_stand_where_they_stood() {
        for (came, path, host, line, host_line, uri) in [
            (
                "GET /a?b HTTP/1.1\r\nHost: web\r\n\r\n",
                Some("/c?b"),
                None,
                "GET /c?b",
                "web",
                "http://web/c?b",
            ),
            (
                "GET /a?b HTTP/1.1\r\nHost: web\r\n\r\n",
                None,
                Some("d:81"),
                "GET /a?b",
                "d:81",
                "http://d:81/a?b",
            ),
            (
                "GET http://web/a HTTP/1.1\r\nHost: x\r\n\r\n",
                Some("/c"),
                None,
                "GET /c",
                "web",
                "http://web/c",
            ),
            (
                "GET http://web HTTP/1.1\r\nHost: web\r\n\r\n",
                None,
                Some("d"),
                "GET /",
                "d",
                "http://d/",
            ),
            (
                "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n",
                None,
                Some("d"),
                "OPTIONS *",
                "d",
                "http://d*",
            ),
            (
                "CONNECT web:1 HTTP/1.1\r\nHost: web:1\r\n\r\n",
                Some("/c"),
                Some("d"),
                "CONNECT web:1",
                "web:1",
                "web:1",
            ),
            ("GET /a HTTP/1.0\r\n\r\n", None, Some("d"), "GET /a", "d", "http://d/a"),
        ] {
            let (out, request) = edited(came, |head, bytes| {
                let path = path.map(|path| path.as_bytes().to_vec());
                head.redirect(bytes, path, host.map(HeaderValue::from_static));
            });
            assert_eq!(out, format!("{line} HTTP/1.1\r\nHost: {host_line}\r\n\r\n"), "{came}");
            let request = request.unwrap();
            if line != "OPTIONS *" {
                assert_eq!(request.uri(), uri, "{came}");
            }
        }
    }

    #[test]
    fn the_list_of_clients_is_a_field_like_any_other() {
        let came = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
        let client = "10.0.0.1".parse().unwrap();
        let (out, _) = edited(came, |head, bytes| {
            head.append_forwarded_for(bytes, client);
            let mut fields = head.editing(bytes);
            assert_eq!(fields.value(&name(FORWARDED_FOR), 0), Some(&b"10.0.0.1"[..]));
            fields.remove(&name(FORWARDED_FOR));
        });
        assert_eq!(out, came);
    }
}
