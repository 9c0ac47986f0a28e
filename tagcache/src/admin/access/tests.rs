use std::net::Ipv4Addr;

use http::HeaderValue;

use crate::admin::{AdminToken, PublicPurge};

use super::*;

const TOKEN: &str = "0123456789abcdef";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

const ALL: [Call; 6] = [
    Call::Look,
    Call::Inspect,
    Call::Purge,
    Call::Resend,
    Call::Test,
    Call::PublicPurge,
];

/// The calls that `fields` from `peer` may make.
fn admitted(settings: &AdminSettings, peer: IpAddr, fields: &[(&str, &str)]) -> Vec<Call> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("127.0.0.1:9180"));
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let asker = Asker {
        peer,
        headers: &headers,
    };
    let admitted = |call: &Call| admit(settings, *call, asker).is_ok();
    ALL.into_iter().filter(admitted).collect()
}

fn with_token() -> AdminSettings {
    AdminSettings {
        token: Some(AdminToken::new(TOKEN).unwrap()),
        ..AdminSettings::default()
    }
}

/// Everything that can be had without a token.
fn generous() -> AdminSettings {
    AdminSettings {
        purge_from_loopback: true,
        test_calls: true,
        public_purge: Some(PublicPurge {
            networks: vec!["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        }),
        ..AdminSettings::default()
    }
}

#[test]
fn safety_21_by_default_nobody_changes_anything() {
    let settings = AdminSettings::default();
    assert_eq!(admitted(&settings, HERE, &[]), [Call::Look, Call::Inspect]);
    assert_eq!(admitted(&settings, THERE, &[]), [Call::Look]);
}

#[test]
fn safety_21_a_token_is_asked_of_everybody_once_it_is_set() {
    let settings = AdminSettings {
        token: with_token().token,
        ..generous()
    };
    let bearer = format!("Bearer {TOKEN}");
    for peer in [HERE, THERE] {
        assert_eq!(
            admitted(&settings, peer, &[("authorization", &bearer)]),
            ALL
        );
        let wrong = [("authorization", "Bearer 0123456789abcdeF")];
        assert_eq!(admitted(&settings, peer, &wrong), [Call::Look]);
        let listed = [Call::Look, Call::PublicPurge];
        assert_eq!(
            admitted(&settings, peer, &[]),
            listed,
            "the list of networks"
        );
    }
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(admitted(&settings, elsewhere, &[]), [Call::Look]);
}

#[test]
fn safety_21_where_no_token_is_set_none_is_the_right_one() {
    let settings = AdminSettings::default();
    for given in ["Bearer ", "Bearer 0123456789abcdef"] {
        let admitted = admitted(&settings, THERE, &[("authorization", given)]);
        assert_eq!(admitted, [Call::Look]);
    }
}

#[test]
fn safety_21_without_a_token_only_this_machine_may_and_only_for_itself() {
    let settings = generous();
    assert_eq!(admitted(&settings, HERE, &[]), ALL);
    assert_eq!(
        admitted(
            &settings,
            IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]),
            &[]
        ),
        ALL,
        "an IPv4 address in IPv6"
    );
    assert_eq!(
        admitted(&settings, THERE, &[]),
        [Call::Look, Call::PublicPurge]
    );
    for field in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
        let admitted = admitted(&settings, HERE, &[(field, "192.0.2.1")]);
        assert_eq!(admitted, [Call::Look], "a proxy on this machine: {field}");
    }
    for (field, value) in [
        ("origin", "https://attacker.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let admitted = admitted(&settings, HERE, &[(field, value)]);
        assert_eq!(admitted, [Call::Look], "a browser: {field}: {value}");
    }
    for host in ["attacker.example:9180", "127.0.0.1.attacker.example", ""] {
        let admitted = admitted(&settings, HERE, &[("host", host)]);
        let expected = [Call::Look, Call::PublicPurge];
        assert_eq!(admitted, expected, "a name that was bound anew: {host}");
    }
    for host in ["localhost", "LOCALHOST:1", "[::1]:9180", "127.1.2.3"] {
        assert_eq!(admitted(&settings, HERE, &[("host", host)]), ALL, "{host}");
    }
}
