//! `Accept-Encoding` (RFC 9110 §12.5.3): what says the same is made one.

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::syntax::{is_token, lines, trim_ows};

/// The most members that are looked at. A longer list stays as it is.
const MAX_MEMBERS: usize = 32;
/// A weight of 1, in thousandths.
const FULL: u16 = 1000;

/// A content coding, `identity`, or `*`, and its weight in thousandths.
type Weighted = (SmallVec<[u8; 16]>, u16);

/// What a client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AcceptedCodings(SmallVec<[Weighted; 6]>);

impl AcceptedCodings {
    /// `None` where the field is not there, cannot be read, or names a coding twice: then nothing is known of
    /// what the client would accept.
    fn of(request: &HeaderMap) -> Option<Self> {
        let mut members = SmallVec::<[Weighted; 6]>::new();
        request.get(ACCEPT_ENCODING)?;
        for line in lines(request, &ACCEPT_ENCODING) {
            for text in line.split(|byte| *byte == b',') {
                let text = trim_ows(text);
                if text.is_empty() {
                    continue;
                }
                let member = weighted(text)?;
                let twice = members.iter().any(|(coding, _)| *coding == member.0);
                if twice || members.len() == MAX_MEMBERS {
                    return None;
                }
                members.push(member);
            }
        }
        Some(Self(members))
    }

    /// The weight of `coding` by its own name.
    fn named(&self, coding: &[u8]) -> Option<u16> {
        let mut members = self.0.iter();
        members.find_map(|(name, weight)| (**name == *coding).then_some(*weight))
    }

    /// The weight of a coding; 0 where it is refused or not spoken of.
    fn weight(&self, coding: &[u8]) -> u16 {
        let any = || self.named(b"*");
        self.named(coding).or_else(any).unwrap_or(0)
    }

    /// What has no coding is acceptable unless it is refused, by name or with all the rest.
    fn refuses_identity(&self) -> bool {
        let any = || self.named(b"*");
        self.named(b"identity").or_else(any) == Some(0)
    }
}

/// `gzip;q=0.5`. The old names of two codings are their new ones (RFC 9110 §8.4.1).
fn weighted(text: &[u8]) -> Option<Weighted> {
    let mut parts = text.splitn(2, |byte| *byte == b';').map(trim_ows);
    let coding = parts.next().filter(|coding| is_token(coding))?;
    let weight = parts.next().map_or(Some(FULL), weight)?;
    let mut name: SmallVec<[u8; 16]> = SmallVec::from_slice(coding);
    name.make_ascii_lowercase();
    if *name == *b"x-gzip" || *name == *b"x-compress" {
        name.drain(..2);
    }
    Some((name, weight))
}

/// `q=0.5` in thousandths (RFC 9110 §12.4.2).
fn weight(text: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), rest @ ..] = text else {
        return None;
    };
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = u16::from(*whole - b'0');
    for place in 0..3 {
        let digit = digits.get(place).unwrap_or(&b'0');
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        weight = weight * 10 + digit;
    }
    (weight <= FULL).then_some(weight)
}

/// The field in one way of writing, by the names of the codings: neither order, letter case, white space nor
/// the digits of a weight say anything. `None` where it cannot be read. What is written can be, so that it is
/// no other field's text.
pub(super) fn canonical(request: &HeaderMap) -> Option<Vec<u8>> {
    let mut members = AcceptedCodings::of(request)?.0;
    members.sort_unstable();
    let mut text = Vec::with_capacity(64);
    for (coding, weight) in &members {
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(coding);
        if *weight != FULL {
            text.extend_from_slice(format!(";q=0.{weight:03}").as_bytes());
        }
    }
    Some(text)
}

/// Asks for no more than the one of `codings`, which stand in the order of preference, that the client likes
/// best; for none where it likes none of them, or `identity` better. What it refuses is never asked for, and
/// what it refuses of `identity` is said.
pub(crate) fn reduce_encodings(request: &mut HeaderMap, codings: &[HeaderValue]) {
    // Most say what is asked for already, or nothing.
    match request.get(ACCEPT_ENCODING) {
        None => return,
        Some(line) if Some(line) == codings.first() => {
            let mut lines = request.get_all(ACCEPT_ENCODING).iter();
            if lines.nth(1).is_none() {
                return;
            }
        }
        Some(_) => {}
    }
    let Some(accepted) = AcceptedCodings::of(request) else {
        return;
    };
    let mut best: Option<(&HeaderValue, u16)> = None;
    for coding in codings {
        let weight = accepted.weight(coding.as_bytes());
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((coding, weight));
        }
    }
    let plain = accepted.named(b"identity").unwrap_or(0);
    let best = best.filter(|(_, weight)| *weight >= plain);
    let reduced = match (best, accepted.refuses_identity()) {
        (Some((coding, _)), false) => coding.clone(),
        (Some((coding, _)), true) => {
            let text = [coding.as_bytes(), b", identity;q=0"].concat();
            let Ok(value) = HeaderValue::from_bytes(&text) else {
                return;
            };
            value
        }
        (None, false) => HeaderValue::from_static("identity"),
        // Another coding must do, or none will.
        (None, true) => return,
    };
    request.insert(ACCEPT_ENCODING, reduced);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::headers;

    fn request(lines: &[&'static str]) -> HeaderMap {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| ("accept-encoding", *line))
            .collect();
        headers(&lines)
    }

    fn reduced(lines: &[&'static str], codings: &[&'static str]) -> Vec<String> {
        let mut request = request(lines);
        let codings: Vec<_> = codings
            .iter()
            .map(|coding| HeaderValue::from_static(coding))
            .collect();
        reduce_encodings(&mut request, &codings);
        let lines = request.get_all(ACCEPT_ENCODING).iter();
        lines
            .map(|line| line.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn safety_116_the_best_acceptable_coding_is_asked_for() {
        for (sent, gzip, either) in [
            ("gzip", "gzip", "gzip"),
            ("gzip, deflate, br", "gzip", "br"),
            ("GZIP ,Deflate", "gzip", "gzip"),
            ("x-gzip", "gzip", "gzip"),
            ("br;q=1.0, gzip;q=0.8", "gzip", "br"),
            ("br;q=0.5, gzip;q=0.8", "gzip", "gzip"),
            ("*", "gzip", "br"),
            ("br;q=0, *", "gzip", "gzip"),
            ("*, identity;q=0.5", "gzip", "br"),
            ("gzip;q=0.5, identity", "identity", "identity"),
            ("gzip;q=0.5, identity;q=0.5", "gzip", "gzip"),
            ("gzip;q=0", "identity", "identity"),
            ("gzip;q=0.000, br", "identity", "br"),
            ("gzip;q=0, *;q=0.1", "identity", "br"),
            ("deflate", "identity", "identity"),
            ("identity", "identity", "identity"),
            ("", "identity", "identity"),
            (" , ", "identity", "identity"),
            (
                "gzip, identity;q=0",
                "gzip, identity;q=0",
                "gzip, identity;q=0",
            ),
            ("gzip, *;q=0", "gzip, identity;q=0", "gzip, identity;q=0"),
            // Whoever is left must be asked for, as it was said.
            ("deflate, *;q=0", "deflate, *;q=0", "deflate, *;q=0"),
            (
                "br, gzip;q=0, *;q=0",
                "br, gzip;q=0, *;q=0",
                "br, identity;q=0",
            ),
            ("*;q=0", "*;q=0", "*;q=0"),
            // What cannot be read says nothing that could be kept.
            ("gzip;q=2", "gzip;q=2", "gzip;q=2"),
            ("gzip;q=0.1234", "gzip;q=0.1234", "gzip;q=0.1234"),
            ("gzip;level=1", "gzip;level=1", "gzip;level=1"),
            ("gzip, gzip;q=0", "gzip, gzip;q=0", "gzip, gzip;q=0"),
            ("gz ip", "gz ip", "gz ip"),
            ("\"gzip\"", "\"gzip\"", "\"gzip\""),
        ] {
            assert_eq!(reduced(&[sent], &["gzip"]), [gzip], "{sent}");
            assert_eq!(reduced(&[sent], &["br", "gzip"]), [either], "{sent}");
        }
        assert!(reduced(&[], &["gzip"]).is_empty());
        assert_eq!(reduced(&["gzip", "br"], &["gzip"]), ["gzip"]);
        assert_eq!(reduced(&["gzip", "gzip;q=0"], &["gzip"]).len(), 2);
    }

    #[test]
    fn safety_116_what_says_the_same_is_written_in_one_way() {
        for (left, right) in [
            ("gzip, br", "BR ,gzip"),
            ("br;q=1.0, gzip;q=0.80", "gzip;Q=0.8, br"),
            ("x-gzip", "gzip;q=1"),
            ("gzip;q=0.001", "gzip ; q=0.001"),
        ] {
            let (left, right) = (canonical(&request(&[left])), canonical(&request(&[right])));
            assert!(left.is_some());
            assert_eq!(left, right);
        }
        for (left, right) in [
            ("gzip;q=0.5, br", "gzip, br;q=0.5"),
            ("gzip", "gzip;q=0"),
            ("gzip", "gzip, identity;q=0"),
            ("gzip", "gzip, deflate"),
        ] {
            let (left, right) = (canonical(&request(&[left])), canonical(&request(&[right])));
            assert_ne!(left, right);
        }
        let (one, two) = (request(&["gzip, br"]), request(&["br", "gzip"]));
        assert_eq!(canonical(&one), canonical(&two));
    }
}
