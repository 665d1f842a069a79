//! A new authority in the place of the one that signs, so that nobody is left behind: the new one is believed beside the old one, and
//! what it signs comes with a certificate by which the old one vouches for it. Pods that were injected before believe the old
//! one only, for as long as they live. Pure: time is an argument.

use super::made;
use super::pair::{self, Texts};
use super::secret::{self, AUTHORITY_KEY, bytes};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::{Duration, SystemTime};

/// On the Secret: what is wanted, `rotate` or `retire`. It is taken away when that is done.
pub(super) const WISH: &str = "evenkeel.io/authority";
/// On the Secret: since when the authority signs. Pods that are older do not believe it by themselves.
const SINCE: &str = "evenkeel.io/authority-since";
/// So many are believed at once: each is in the configuration of every proxy, and a client looks at a few only.
const MOST: usize = 4;
/// In DER, as those builds wrote it: basic constraints, critical, an authority, path length 0.
const NOBODY_BETWEEN: [u8; 18] = [
    0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x08, 0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00,
];
const END: &str = "-----END CERTIFICATE-----";

/// What is to become of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Another one signs; those before are still believed.
    Rotate,
    /// Those before are not believed any more.
    Retire,
}

impl Wish {
    /// For the log.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Rotate => "another authority signs",
            Self::Retire => "authorities of before are retired",
        }
    }
}

/// What somebody has asked for, or time has come for.
pub(super) fn wish(secret: &Secret, now: SystemTime) -> Result<Option<Wish>, String> {
    let annotations = secret.metadata.annotations.as_ref();
    match annotations
        .and_then(|annotations| annotations.get(WISH))
        .map(String::as_str)
    {
        Some("rotate") => Ok(Some(Wish::Rotate)),
        Some("retire") => Ok(Some(Wish::Retire)),
        Some(other) => Err(format!(
            "the annotation {WISH}: {other:?} is not \"rotate\" or \"retire\""
        )),
        None => {
            let expires = pair::expires(&bytes(secret, secret::AUTHORITY));
            let rest = expires.map(|expires| expires.duration_since(now).unwrap_or_default());
            Ok(rest
                .filter(|rest| *rest < made::AUTHORITY_LIFE / 3)
                .map(|_| Wish::Rotate))
        }
    }
}

/// The Secret as it is to be. `Err`: why it cannot be.
pub(super) fn granted(
    wish: Wish,
    secret: &Secret,
    names: &[String],
    life: Duration,
    now: SystemTime,
) -> Result<Secret, String> {
    let believed = certificates(secret, secret::AUTHORITY)?;
    let shown = certificates(secret, secret::CHAIN)?;
    let between: Vec<_> = shown.into_iter().skip(1).collect();
    let before_key = String::from_utf8(bytes(secret, AUTHORITY_KEY)).map_err(|_| unusable())?;
    let (believed, key, between) = match wish {
        Wish::Rotate if believed.len() >= MOST => {
            return Err(format!(
                "{MOST} authorities are believed already: retire those of before first"
            ));
        }
        Wish::Rotate => {
            let next = made::successor(&before_key, now).map_err(|_| unusable())?;
            let believed = [vec![next.certificate], believed].concat();
            (believed, next.key, [vec![next.vouched], between].concat())
        }
        Wish::Retire => (believed.into_iter().take(1).collect(), before_key, Vec::new()),
    };
    let texts = made::leaf(&believed.concat(), &key, &between.concat(), names, life, now).map_err(|_| unusable())?;
    pair::load(&texts, names, now)?;
    if wish == Wish::Rotate {
        let before = Texts {
            authority: bytes(secret, secret::AUTHORITY),
            ..texts.clone()
        };
        pair::load(&before, names, now)
            .map_err(|reason| format!("who believes the old one would not take it: {reason}"))?;
    }
    let mut granted = secret::with(secret, texts, key.into_bytes());
    let annotations = granted.metadata.annotations.get_or_insert_default();
    annotations.remove(WISH);
    if wish == Wish::Rotate {
        let since = Timestamp::try_from(now).map_err(|error| error.to_string())?;
        annotations.insert(SINCE.to_owned(), since.to_string());
    }
    Ok(granted)
}

/// Whether the authority that signs says of itself that nobody may stand between it and a leaf, as those of the first builds do. Proxies
/// connect all the same: whom one believes is not on the path that is looked at (RFC 5280 6.1). Clients that are stricter do not.
pub(super) fn allows_nobody_between(secret: &Secret) -> bool {
    let text = bytes(secret, secret::AUTHORITY);
    let first = CertificateDer::pem_slice_iter(&text).next().and_then(Result::ok);
    first.is_some_and(|first| first.windows(NOBODY_BETWEEN.len()).any(|part| part == NOBODY_BETWEEN))
}

/// The certificates of a text, each in PEM.
pub(super) fn certificates(secret: &Secret, key: &str) -> Result<Vec<String>, String> {
    let text = String::from_utf8(bytes(secret, key)).map_err(|_| format!("{key} is no text"))?;
    let ended = text.split_inclusive(END).filter(|part| part.contains(END));
    Ok(ended.map(|part| format!("{}\n", part.trim_start())).collect())
}

/// What is wrong with a key is not told by its text.
fn unusable() -> String {
    format!("{AUTHORITY_KEY} is no key that could sign")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn names() -> Vec<String> {
        vec!["evenkeel-control.evenkeel-system.svc".to_owned()]
    }

    fn first(now: SystemTime) -> Secret {
        Secret {
            data: Some(secret::made_anew(&names(), DAY, now).unwrap()),
            ..Secret::default()
        }
    }

    fn rotated(secret: &Secret, now: SystemTime) -> Secret {
        granted(Wish::Rotate, secret, &names(), DAY, now).unwrap()
    }

    /// Whether somebody who believes only what `before` says takes what `now` shows.
    fn is_taken(before: &Secret, shown: &Secret, now: SystemTime) -> bool {
        let texts = Texts {
            authority: bytes(before, secret::AUTHORITY),
            ..secret::texts(shown)
        };
        pair::load(&texts, &names(), now).is_ok()
    }

    #[test]
    fn whoever_believes_an_authority_of_before_takes_what_the_next_ones_sign_and_renew() {
        let now = SystemTime::now();
        let first = first(now);
        let second = rotated(&first, now);
        let third = rotated(&second, now);
        let renewed = secret::renewed(&third, &names(), DAY, now).unwrap();
        for shown in [&second, &third, &renewed] {
            for before in [&first, &second, &third].iter().filter(|before| {
                certificates(before, secret::AUTHORITY).unwrap().len()
                    <= certificates(shown, secret::AUTHORITY).unwrap().len()
            }) {
                assert!(is_taken(before, shown, now));
            }
        }
        assert_eq!(certificates(&renewed, secret::AUTHORITY).unwrap().len(), 3);
        assert_ne!(bytes(&first, AUTHORITY_KEY), bytes(&second, AUTHORITY_KEY));
        // Whoever was injected since believes it by itself.
        let newest = certificates(&second, secret::AUTHORITY).unwrap().remove(0);
        let alone = Texts {
            authority: newest.into_bytes(),
            ..secret::texts(&second)
        };
        assert!(pair::load(&alone, &names(), now).is_ok());
    }

    /// As the first builds made it.
    fn first_of_an_earlier_build(now: SystemTime) -> Secret {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Evenkeel control plane");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let authority = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        let texts = made::leaf(&authority, &key, "", &names(), DAY, now).unwrap();
        secret::with(&Secret::default(), texts, key.into_bytes())
    }

    #[test]
    fn an_authority_that_allows_nobody_between_is_rotated_for_proxies_and_known_for_what_it_is() {
        let now = SystemTime::now();
        let earlier = first_of_an_earlier_build(now);
        assert!(allows_nobody_between(&earlier) && !allows_nobody_between(&first(now)));
        let second = rotated(&earlier, now);
        assert!(is_taken(&earlier, &second, now) && is_taken(&second, &second, now));
        assert!(
            !allows_nobody_between(&second),
            "the next one may be rotated for everybody"
        );
        let retired = granted(Wish::Retire, &second, &names(), DAY, now).unwrap();
        assert!(is_taken(&second, &retired, now) && !is_taken(&earlier, &retired, now));
    }

    #[test]
    fn who_is_retired_is_believed_no_more_and_only_so_many_are_believed_at_once() {
        let now = SystemTime::now();
        let first = first(now);
        let mut last = first.clone();
        for _ in 1..MOST {
            last = rotated(&last, now);
        }
        assert!(is_taken(&first, &last, now));
        let refused = granted(Wish::Rotate, &last, &names(), DAY, now).unwrap_err();
        assert!(refused.contains("retire"), "{refused}");
        let retired = granted(Wish::Retire, &last, &names(), DAY, now).unwrap();
        assert_eq!(certificates(&retired, secret::AUTHORITY).unwrap().len(), 1);
        assert_eq!(certificates(&retired, secret::CHAIN).unwrap().len(), 1);
        assert!(is_taken(&last, &retired, now) && !is_taken(&first, &retired, now));
    }

    #[test]
    fn an_authority_is_rotated_when_somebody_asks_or_two_thirds_of_its_life_have_passed() {
        let now = SystemTime::now();
        let mut secret = first(now);
        assert_eq!(wish(&secret, now), Ok(None));
        assert_eq!(
            wish(&secret, now + made::AUTHORITY_LIFE / 3 * 2 + DAY),
            Ok(Some(Wish::Rotate))
        );
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(WISH.to_owned(), "rotate".to_owned());
        assert_eq!(wish(&secret, now), Ok(Some(Wish::Rotate)));
        let rotated = rotated(&secret, now);
        assert_eq!(wish(&rotated, now), Ok(None), "it was granted");
        assert!(rotated.metadata.annotations.unwrap().contains_key(SINCE));
        secret
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(WISH.to_owned(), "Rotate".to_owned());
        let refused = wish(&secret, now).unwrap_err();
        assert!(refused.contains("\"Rotate\""), "{refused}");
    }
}
