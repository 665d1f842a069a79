//! Names as Kubernetes takes them.

/// The longest label of DNS.
const LABEL: usize = 63;
/// The longest name of DNS.
const SUBDOMAIN: usize = 253;

/// A label of DNS: the name of a container, a volume or a namespace.
pub(super) fn label(text: &str) -> Result<String, String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is not a name: up to {LABEL} of a-z, 0-9 and '-', the first and the last no '-'"
    ))
}

/// Labels of DNS with dots between them: the name of a secret.
pub(super) fn subdomain(text: &str) -> Result<String, String> {
    if text.len() <= SUBDOMAIN && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is not a name such as registry.key"))
}

/// The name of a variable of the environment that is not one of ours.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(plain) || text.as_bytes()[0].is_ascii_digit() {
        return Err(format!("{text:?} is not the name of a variable: letters, digits and _"));
    }
    if text.starts_with("EVENKEEL_") || ["POD_NAME", "POD_NAMESPACE", "POD_ZONE"].contains(&text) {
        return Err(format!("{text} is set by the injector"));
    }
    Ok(text.to_owned())
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= LABEL && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}
