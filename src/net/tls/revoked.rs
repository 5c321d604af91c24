//! Lists of certificates that their authorities took back (RFC 5280 section 5), as a file has them.
//!
//! Owns which list of an authority counts: the one that was issued last, as OpenSSL chooses, wherever it stands in the file. The verifier
//! takes the first that fits.

use std::cmp::Reverse;
use std::path::Path;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::{der, distinguished, files, refusal};

/// One list and its place in the file, from 1 on.
struct List {
    place: usize,
    /// The name of its authority, as [`distinguished`] takes it.
    issuer: Vec<u8>,
    /// When it was issued, in Unix seconds.
    issued: u64,
    /// When another one was to be there, in the same.
    next: u64,
    whole: CertificateRevocationListDer<'static>,
}

/// The lists of a file, at least one, those that were issued last first.
///
/// # Errors
/// Which of them cannot be used, and why.
pub(super) fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    Ok(read(path)?.into_iter().map(|list| list.whole).collect())
}

/// What is worth a warning about lists that can be used: that the one that counts of an authority is out of date.
pub(super) fn warnings(path: &Path, now: u64) -> Vec<String> {
    // What cannot be read is a fault, and said as one.
    let lists = read(path).unwrap_or_default();
    let counts = |at: usize, of: &List| {
        let mut later = lists.iter().take(at);
        !later.any(|list| list.issuer == of.issuer)
    };
    let old = lists
        .iter()
        .enumerate()
        .filter(|(at, list)| list.next <= now && counts(*at, list));
    old.map(|(_, list)| {
        let name = distinguished::text(&list.issuer).unwrap_or_default();
        let (since, place, shown) = (refusal::time(list.next), list.place, path.display());
        format!(
            "list {place} in {shown}, of {name:?}, is out of date since {since} (its nextUpdate): no certificate of that authority is \
             taken until there is a new one"
        )
    })
    .collect()
}

fn read(path: &Path) -> Result<Vec<List>, String> {
    let shown = path.display();
    let text = files::read(path)?;
    let mut lists = Vec::new();
    for whole in CertificateRevocationListDer::pem_slice_iter(&text) {
        let whole = whole.map_err(|error| format!("{shown} is no PEM: {}", files::pem(&error)))?;
        let place = lists.len() + 1;
        let cannot =
            |why: &dyn std::fmt::Display| format!("list {place} in {shown} cannot be read: {why}");
        webpki::BorrowedCertRevocationList::from_der(&whole).map_err(|error| cannot(&error))?;
        lists.push(apart(place, whole).ok_or_else(|| cannot(&"it has no dates"))?);
    }
    if lists.is_empty() {
        return Err(format!(
            "no list in {shown}: PEM is needed (-----BEGIN X509 CRL-----)"
        ));
    }
    lists.sort_by_key(|list| Reverse(list.issued));
    Ok(lists)
}

/// Taken apart; none if it has no dates, `nextUpdate` among them: the verifier reads none without.
fn apart(place: usize, whole: CertificateRevocationListDer<'static>) -> Option<List> {
    let (list, _) = der::value(&whole, 0x30)?;
    let (signed, _) = der::value(list, 0x30)?;
    let (_version, rest) = der::value(signed, 2)?;
    let (_algorithm, rest) = der::value(rest, 0x30)?;
    let (issuer, rest) = der::value(rest, 0x30)?;
    let (issued, rest) = der::time(rest)?;
    let (next, _) = der::time(rest)?;
    let issuer = issuer.to_vec();
    Some(List {
        place,
        issuer,
        issued,
        next,
        whole,
    })
}
