//! Names and amounts, as an API server takes them. Written apart from the injector's own, which they judge.

/// RFC 1123, one label.
pub(super) fn dns_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// The key of a label or annotation, with a prefix or without.
pub(super) fn qualified(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bounded = |name: &str| name.ends_with(char::is_alphanumeric) && name.starts_with(char::is_alphanumeric);
    prefix.is_none_or(|prefix| prefix.split('.').all(dns_label))
        && (1..=63).contains(&name.len())
        && name.bytes().all(plain)
        && bounded(name)
}

/// RFC 6335: a service name.
pub(super) fn port_name(text: &str) -> bool {
    dns_label(text) && text.len() <= 15 && text.contains(|c: char| c.is_ascii_lowercase()) && !text.contains("--")
}

/// The name of a variable, as API servers without relaxed names take it.
pub(super) fn variable(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// An amount, as a number.
pub(super) fn quantity(text: &str) -> Option<f64> {
    let units = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
    ];
    let unit = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1.0));
    let number: f64 = number.parse().ok()?;
    (number >= 0.0).then_some(number * unit)
}
