//! [`TicketKey`]: signs what lets a client that cannot send headers listen for a while.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::clock::Timestamp;
use crate::error::{ConfigError, Error, ErrorKind};
use crate::live::filter::MAX_SUBJECTS;
use crate::place::Setting;
use crate::tag::Tag;

/// A shorter one can be guessed; HS256 asks for as much (RFC 7518 §3.2).
const SHORTEST_KEY: usize = 32;
/// As many subjects as there may be, of addresses.
const LONGEST: usize = 32 * 1024;
/// The subject that stands for all.
pub(super) const ALL: &str = "*";

/// Signs and checks tickets: JSON Web Tokens (RFC 7519) signed by HMAC-SHA256 (`HS256`, RFC 7518 §3.2), so that any
/// language's library can make them. Their claims are `exp`, in seconds since 1970, and `subjects`, a list of what they
/// let somebody listen to, or `["*"]`; `nbf` is honoured. A ticket travels in the URL (`?ticket=`): give it minutes.
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::{Clock, SystemClock};
/// use tower_tagcache::live::TicketKey;
///
/// # fn main() -> Result<(), tower_tagcache::BoxError> {
/// let tickets = TicketKey::new("a key of thirty-two bytes or more")?;
/// let until = SystemClock::new().now().plus(Duration::from_secs(600));
/// let ticket = tickets.issue(["auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be"], until)?;
/// assert_eq!(ticket.split('.').count(), 3);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TicketKey {
    mac: Hmac<Sha256>,
}

/// What a ticket lets somebody do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LiveTicket {
    pub(super) expires: Timestamp,
    /// `None`: everything.
    pub(super) subjects: Option<HashSet<Box<str>>>,
}

impl TicketKey {
    /// Signs with `key`.
    ///
    /// # Errors
    /// It is shorter than 32 bytes. It is not quoted.
    pub fn new(key: &str) -> Result<Self, ConfigError> {
        let setting = Setting::of("live", "ticket_key");
        let mac = Hmac::new_from_slice(key.as_bytes()).ok();
        match mac.filter(|_| key.len() >= SHORTEST_KEY) {
            Some(mac) => Ok(Self { mac }),
            None => Err(ConfigError::new(setting, "is shorter than 32 bytes", "***")),
        }
    }

    /// A ticket for `subjects`, which are tags, or `*` for all. It is good until `expires`, in whole seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: none or more than 200 subjects, or one that is no [`Tag`].
    pub fn issue(
        &self,
        subjects: impl IntoIterator<Item = impl AsRef<str>>,
        expires: Timestamp,
    ) -> Result<String, Error> {
        let subjects = subjects.into_iter();
        let subjects: Vec<_> = subjects.map(|one| one.as_ref().to_owned()).collect();
        for subject in subjects.iter().filter(|subject| *subject != ALL) {
            Tag::new(subject)?;
        }
        if subjects.is_empty() || subjects.len() > MAX_SUBJECTS {
            let why = format!("a ticket is for 1 to {MAX_SUBJECTS} subjects");
            return Err(Error::new(ErrorKind::Invalid, why));
        }
        let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = encode(json!({ "alg": "HS256", "typ": "JWT" }));
        let claims = encode(json!({ "exp": expires.as_millis() / 1_000, "subjects": subjects }));
        let signed = format!("{header}.{claims}");
        let mac = self.mac.clone().chain_update(&signed).finalize();
        let signature = URL_SAFE_NO_PAD.encode(mac.into_bytes());
        Ok(format!("{signed}.{signature}"))
    }

    /// What `text` lets somebody do at `now`, or why it is none.
    pub(super) fn check(&self, text: &str, now: Timestamp) -> Result<LiveTicket, &'static str> {
        let malformed = "the ticket is no JSON Web Token";
        let (signed, signature) = text
            .rsplit_once('.')
            .filter(|_| text.len() <= LONGEST)
            .ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
        // In constant time.
        let mac = self.mac.clone().chain_update(signed);
        mac.verify_slice(&decode(signature)?)
            .map_err(|_| "the ticket is not signed with the key of this server")?;
        let json = |part: &str| -> Result<Value, &str> {
            serde_json::from_slice(&decode(part)?).map_err(|_| malformed)
        };
        let (header, claims) = (json(header)?, json(claims)?);
        // What is signed by another method, or has to be understood to be believed, is not believed.
        if header["alg"] != "HS256" || header.get("crit").is_some() {
            return Err("the ticket is not signed by HS256");
        }
        // RFC 7519 §4.1.3: who is not named there must not take it.
        if claims.get("aud").is_some() {
            return Err("the ticket is for another service (`aud`)");
        }
        let seconds = |time: &Value| time.as_f64().filter(|time| *time >= 0.0);
        let why = "`exp` and `nbf` of a ticket are seconds since 1970";
        let time = |name: &str| claims.get(name).map(|time| seconds(time).ok_or(why));
        let at = |seconds: f64| {
            let since = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            Timestamp::from_millis(0).plus(since)
        };
        let expires = at(time("exp").ok_or("the ticket does not say when it expires (`exp`)")??);
        if now >= expires {
            return Err("the ticket has expired");
        }
        if let Some(begin) = time("nbf")
            && now < at(begin?)
        {
            return Err("the ticket is not good yet (`nbf`)");
        }
        let subjects = subjects_of(&claims)?;
        Ok(LiveTicket { expires, subjects })
    }
}

fn subjects_of(claims: &Value) -> Result<Option<HashSet<Box<str>>>, &'static str> {
    let why = "the ticket does not list what it is for (`subjects`, of 1 to 200)";
    let list = claims["subjects"].as_array().ok_or(why)?;
    if list.is_empty() || list.len() > MAX_SUBJECTS {
        return Err(why);
    }
    let mut subjects = HashSet::new();
    for subject in list {
        match subject.as_str() {
            Some(ALL) => return Ok(None),
            // One address is one subject, however it is written.
            Some(text) => {
                let tag = Tag::new(text).map_err(|_| why)?;
                subjects.insert(tag.as_str().into())
            }
            None => return Err(why),
        };
    }
    Ok(Some(subjects))
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn tickets() -> TicketKey {
        TicketKey::new(KEY).unwrap()
    }

    fn signed(header: &str, claims: &str) -> String {
        let signed = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let mac = tickets().mac.chain_update(&signed).finalize();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    #[test]
    fn a_ticket_is_good_for_its_subjects_until_it_expires() {
        let expires = Timestamp::from_millis(60_000);
        let ticket = tickets().issue(["auction:1"], expires).unwrap();
        let good = tickets()
            .check(&ticket, Timestamp::from_millis(59_999))
            .unwrap();
        assert_eq!(good.subjects, Some(HashSet::from(["auction:1".into()])));
        assert_eq!(good.expires, expires);
        assert_eq!(
            tickets().check(&ticket, expires),
            Err("the ticket has expired")
        );
        assert!(tickets().issue([""], expires).is_err());
        assert!(tickets().issue(Vec::<String>::new(), expires).is_err());
        let fraction = signed(r#"{"alg":"HS256"}"#, r#"{"exp":60.9,"subjects":["a:1"]}"#);
        tickets().check(&fraction, expires).unwrap();
        let all = tickets().issue(["*"], expires).unwrap();
        assert_eq!(
            tickets()
                .check(&all, Timestamp::from_millis(0))
                .unwrap()
                .subjects,
            None
        );
        let other = TicketKey::new("another key of thirty-two bytes .").unwrap();
        assert!(other.check(&ticket, Timestamp::from_millis(0)).is_err());
    }

    #[test]
    fn what_a_library_of_another_language_signs_is_understood() {
        // Made by `hmac.new(key, signed, "sha256")` of Python.
        let ticket = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                      eyJleHAiOjQxMDI0NDQ4MDAsInN1YmplY3RzIjpbImE6MSJdfQ.\
                      pZqYYQm9MHl-cq53y6QqBOb4Cd-zzHM4Zf6Q1u6n0j4";
        let good = tickets().check(ticket, Timestamp::from_millis(0)).unwrap();
        assert_eq!(good.expires, Timestamp::from_millis(4_102_444_800_000));
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let hs256 = r#"{"alg":"HS256"}"#;
        let claims = r#"{"exp":60,"subjects":["a:1"]}"#;
        let now = Timestamp::from_millis(1_000);
        tickets().check(&signed(hs256, claims), now).unwrap();
        for (header, claims) in [
            (r#"{"alg":"none"}"#, claims),
            (r#"{"alg":"HS512"}"#, claims),
            (r#"{"alg":"HS256","crit":["x"]}"#, claims),
            ("{}", claims),
            ("", claims),
            (hs256, r#"{"subjects":["a:1"]}"#),
            (hs256, r#"{"exp":"60","subjects":["a:1"]}"#),
            (hs256, r#"{"exp":-1,"subjects":["a:1"]}"#),
            (hs256, r#"{"exp":60}"#),
            (hs256, r#"{"exp":60,"subjects":[]}"#),
            (hs256, r#"{"exp":60,"subjects":"a:1"}"#),
            (hs256, r#"{"exp":60,"subjects":[1]}"#),
            (hs256, r#"{"exp":60,"subjects":[""]}"#),
            (hs256, r#"{"exp":60,"nbf":30,"subjects":["a:1"]}"#),
            (hs256, r#"{"exp":60,"subjects":["a:1"],"aud":"x"}"#),
            (hs256, "[]"),
        ] {
            let refused = tickets().check(&signed(header, claims), now);
            assert!(refused.is_err(), "{header} {claims}");
        }
        let good = signed(hs256, claims);
        for text in [
            "",
            ".",
            "..",
            "a.b.c",
            &good[..good.len() - 1],
            &format!("{good}="),
            &format!("{good}.x"),
        ] {
            assert!(tickets().check(text, now).is_err(), "{text}");
        }
        assert!(TicketKey::new("short").is_err());
    }
}
