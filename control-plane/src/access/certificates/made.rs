//! An authority of our own, and leaves of it.

use super::pair::Texts;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::time::{Duration, SystemTime};

/// How long the authority holds: its certificate is in the configuration of every proxy.
pub(super) const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// Clocks differ: what is made now is good from then on.
const SKEW: Duration = Duration::from_hours(1);

/// A new authority: its certificate and its key, in PEM.
pub(super) fn authority(now: SystemTime) -> Result<(String, String), Error> {
    let key = KeyPair::generate()?;
    let certificate = authority_params(now)?.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// An authority that comes after another.
pub(super) struct Successor {
    pub(super) certificate: String,
    pub(super) key: String,
    /// Signed by the one before: whoever believes that one believes this one, too.
    pub(super) vouched: String,
}

/// An authority after the one with this key.
pub(super) fn successor(before_key: &str, now: SystemTime) -> Result<Successor, Error> {
    let key = KeyPair::generate()?;
    let mut params = authority_params(now)?;
    let certificate = params.self_signed(&key)?;
    let before = Issuer::new(authority_params(now)?, KeyPair::from_pem(before_key)?);
    params.use_authority_key_identifier_extension = true;
    let vouched = params.signed_by(&key, &before)?;
    Ok(Successor {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        vouched: vouched.pem(),
    })
}

/// A new leaf of the authority that has this key, with a key of its own. `believed` is what clients are told to believe, and
/// `between` what is shown with the leaf.
pub(super) fn leaf(
    believed: &str,
    authority_key: &str,
    between: &str,
    names: &[String],
    life: Duration,
    now: SystemTime,
) -> Result<Texts, Error> {
    let issuer = Issuer::new(authority_params(now)?, KeyPair::from_pem(authority_key)?);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    lasts(&mut params, now, life);
    params.distinguished_name.push(DnType::CommonName, "evenkeel-control");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Texts {
        chain: format!("{}{between}", certificate.pem()).into_bytes(),
        key: key.serialize_pem().into_bytes(),
        authority: believed.as_bytes().to_vec(),
    })
}

/// The same for an authority that is there already: what a leaf says of it depends on its name and its key.
fn authority_params(now: SystemTime) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    lasts(&mut params, now, AUTHORITY_LIFE);
    params
        .distinguished_name
        .push(DnType::CommonName, "Evenkeel control plane");
    // It vouches for those that come after it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn lasts(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    let now = date_time_ymd(1970, 1, 1) + now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    params.not_before = now - SKEW;
    params.not_after = now + life;
}
