//! Rules of RFC 9110, 9112 and 3986 by their names there, as questions about whole strings.

/// `token` (RFC 9110 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_tchar)
}

pub(crate) fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Any number of `HTAB / SP / VCHAR / obs-text`: what a field value and a reason phrase are made of (RFC 9110 5.5).
pub(crate) fn is_text(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\t' || c == ' ' || is_vchar(c) || is_obs_text(c))
}

pub(crate) fn is_vchar(c: char) -> bool {
    ('!'..='~').contains(&c)
}

pub(crate) fn is_obs_text(c: char) -> bool {
    ('\u{80}'..='\u{ff}').contains(&c)
}

/// `1*DIGIT`.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Without `OWS` at both ends (RFC 9110 5.6.3).
pub(crate) fn without_ows(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `field-name ":" OWS field-value OWS` (RFC 9112 5).
pub(crate) fn field_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    (is_token(name) && is_text(value)).then(|| (name.to_owned(), without_ows(value).to_owned()))
}

/// `uri-host [ ":" port ]` (RFC 9110 7.2), within what this proxy takes: a port of five digits, no comma in a name.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = split_authority(text);
    is_uri_host(&host) && port.is_none_or(|port| port.is_empty() || is_number(&port) && port.len() <= 5)
}

/// The host, and what follows its colon if there is one.
pub(crate) fn split_authority(text: &str) -> (String, Option<String>) {
    let behind_address = text.find(']').map_or(0, |bracket| bracket + 1);
    match text[behind_address..].split_once(':') {
        Some((rest, port)) => (format!("{}{rest}", &text[..behind_address]), Some(port.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// `IP-literal / IPv4address / reg-name` (RFC 3986 3.2.2); an `IPv4address` is a `reg-name`, too. Of literals only
/// `IPv6address`, for nobody knows an address of the future.
fn is_uri_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(is_ipv6_address),
        None => is_reg_name(host),
    }
}

/// `*( unreserved / pct-encoded / sub-delims )`, without the comma.
fn is_reg_name(name: &str) -> bool {
    let mut pieces = name.split('%');
    let is_plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c) || "!$&'()*+;=".contains(c))
    };
    pieces.next().is_some_and(is_plain)
        && pieces.all(|piece| {
            let encoded: String = piece.chars().take(2).collect();
            encoded.len() == 2 && encoded.chars().all(|c| c.is_ascii_hexdigit()) && is_plain(piece)
        })
}

fn is_ipv6_address(text: &str) -> bool {
    match text.split_once("::") {
        Some((before, behind)) => match (groups(before, false), groups(behind, true)) {
            (Some(before), Some(behind)) => before + behind <= 7,
            _ => false,
        },
        None => !text.is_empty() && groups(text, true) == Some(8),
    }
}

/// How many groups of 16 bits these are, where the last may be an `IPv4address` and count for two.
fn groups(text: &str, may_end_in_ipv4: bool) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let groups: Vec<&str> = text.split(':').collect();
    let (last, others) = groups.split_last()?;
    let is_h16 = |group: &str| (1..=4).contains(&group.len()) && group.chars().all(|c| c.is_ascii_hexdigit());
    if !others.iter().all(|group| is_h16(group)) {
        return None;
    }
    if is_h16(last) {
        Some(groups.len())
    } else {
        (may_end_in_ipv4 && is_ipv4_address(last)).then(|| others.len() + 2)
    }
}

fn is_ipv4_address(text: &str) -> bool {
    let octets: Vec<&str> = text.split('.').collect();
    octets.len() == 4
        && octets
            .iter()
            .all(|octet| (0..=255).any(|number| number.to_string() == **octet))
}

/// `quoted-string` (RFC 9110 5.6.4) at the beginning of `text`; what follows it.
pub(crate) fn behind_quoted_string(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    loop {
        let c = rest.chars().next()?;
        let behind = &rest[c.len_utf8()..];
        match c {
            '"' => return Some(behind),
            '\\' => {
                let quoted = behind.chars().next().filter(|c| is_text(&c.to_string()))?;
                rest = &behind[quoted.len_utf8()..];
            }
            _ if is_text(&c.to_string()) => rest = behind,
            _ => return None,
        }
    }
}
