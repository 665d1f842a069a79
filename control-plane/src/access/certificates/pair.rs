//! A certificate and its key, checked as a client would check it, and ready to be shown.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The year 10000: the last second that a certificate can name has passed.
const END_OF_TIME: Duration = Duration::from_hours(70_389_528);

/// Three texts in PEM. One of them is secret, so they are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Texts {
    /// `tls.crt`: the leaf, and those between it and the authority.
    pub(super) chain: Vec<u8>,
    /// `tls.key`.
    pub(super) key: Vec<u8>,
    /// `ca.crt`: whom clients are to believe.
    pub(super) authority: Vec<u8>,
}

/// What is shown.
pub(super) struct Loaded {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) authority: String,
    /// How many authorities that is.
    pub(super) believed: usize,
    pub(super) expires: SystemTime,
}

impl Loaded {
    /// Whether they show the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert && self.authority == other.authority
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expires = &self.expires;
        f.debug_struct("Loaded")
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// Checks that a client that believes `ca.crt` takes the certificate for each of `names` now.
pub(super) fn load(texts: &Texts, names: &[String], now: SystemTime) -> Result<Loaded, String> {
    let chain = certificates("tls.crt", &texts.chain)?;
    let authorities = certificates("ca.crt", &texts.authority)?;
    // What is wrong with a key is not told by its text.
    let key = PrivateKeyDer::from_pem_slice(&texts.key).map_err(|_| "tls.key: holds no private key in PEM")?;
    let provider = ring::default_provider();
    let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| format!("tls.crt and tls.key: {error}"))?;

    let believed = authorities.len();
    let verifier = verifier(authorities)?;
    let verify = |name: &str, at| {
        let name = ServerName::try_from(name.to_owned()).map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(&key.cert[0], &key.cert[1..], &name, &[], UnixTime::since_unix_epoch(at))
    };
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for name in names {
        verify(name, since).map_err(|error| format!("tls.crt: for {name}: {error}"))?;
    }
    // The verifier knows when the leaf ends, and says so when asked for a later time.
    let first = names.first().map(String::as_str).unwrap_or_default();
    let expires = match verify(first, END_OF_TIME) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => not_after.as_secs(),
        _ => END_OF_TIME.as_secs(),
    };
    Ok(Loaded {
        authority: String::from_utf8_lossy(&texts.authority).into_owned(),
        believed,
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(expires),
        key: Arc::new(key),
    })
}

/// When the first of these certificates ends.
pub(super) fn expires(text: &[u8]) -> Option<SystemTime> {
    let first = certificates("ca.crt", text).ok()?.into_iter().next()?;
    let verifier = verifier(vec![first.clone()]).ok()?;
    let anybody = ServerName::try_from("localhost").ok()?;
    // Its time is looked at before anything else.
    match verifier.verify_server_cert(&first, &[], &anybody, &[], UnixTime::since_unix_epoch(END_OF_TIME)) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.as_secs()))
        }
        _ => None,
    }
}

fn verifier(authorities: Vec<CertificateDer<'static>>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| format!("ca.crt: {error}"))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| format!("ca.crt: {error}"))
}

fn certificates(file: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if text.is_empty() {
        return Err(format!("{file}: is missing or empty"));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| format!("{file}: is not PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("{file}: holds no certificate in PEM"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::made;
    use super::*;

    fn names() -> Vec<String> {
        vec!["evenkeel-control.evenkeel-system.svc".to_owned()]
    }

    fn made(now: SystemTime) -> Texts {
        let (authority, key) = made::authority(now).unwrap();
        made::leaf(&authority, &key, "", &names(), Duration::from_hours(24), now).unwrap()
    }

    fn refused(texts: &Texts, names: &[String], now: SystemTime) -> String {
        load(texts, names, now).expect_err("it is not good")
    }

    #[test]
    fn what_is_made_is_good_for_its_names_and_its_time() {
        let now = SystemTime::now();
        let texts = made(now);
        let loaded = load(&texts, &names(), now).unwrap();
        let lasts = loaded.expires.duration_since(now).unwrap();
        assert!(
            lasts <= Duration::from_hours(24) && lasts > Duration::from_hours(23),
            "{lasts:?}"
        );
        let other = refused(&texts, &["other.svc".to_owned()], now);
        assert!(
            other.starts_with("tls.crt: for other.svc: ") && other.contains("not valid for name"),
            "{other}"
        );
        let late = refused(&texts, &names(), now + Duration::from_hours(25));
        assert!(late.contains("expired"), "{late}");
    }

    #[test]
    fn what_does_not_belong_together_is_refused_and_no_key_is_told() {
        let now = SystemTime::now();
        let (good, other) = (made(now), made(now));
        let with = |change: fn(&mut Texts, &Texts)| {
            let mut texts = good.clone();
            change(&mut texts, &other);
            refused(&texts, &names(), now)
        };
        for (change, expected) in [
            (
                (|texts, other| texts.key.clone_from(&other.key)) as fn(&mut Texts, &Texts),
                "tls.crt and tls.key: ",
            ),
            (
                |texts, other| texts.authority.clone_from(&other.authority),
                "tls.crt: for ",
            ),
            (
                |texts, _| texts.key = b"garbage".to_vec(),
                "tls.key: holds no private key in PEM",
            ),
            (
                |texts, _| texts.chain = b"garbage".to_vec(),
                "tls.crt: holds no certificate in PEM",
            ),
            (|texts, _| texts.authority.clear(), "ca.crt: is missing or empty"),
            (|texts, _| texts.chain.truncate(200), "tls.crt: is not PEM: "),
            (
                |texts, _| texts.authority = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
                "ca.crt: ",
            ),
        ] {
            let reason = with(change);
            assert!(reason.starts_with(expected), "{reason}");
        }
        let shown = format!("{:?}", load(&good, &names(), now).unwrap());
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
