use super::*;
use crate::key::CacheKey;
use http::HeaderName;

fn present(lines: &[(&'static str, HeaderValue)], test: impl FnOnce(Present<'_>)) {
    let mut present = Present::new(AutomaticFields::ALL);
    for (name, value) in lines {
        present.note(name, value);
    }
    test(present);
}

fn key(lines: &[(&'static str, &'static str)]) -> CacheKey {
    let line = |(name, value)| (name, HeaderValue::from_static(value));
    let lines: Vec<_> = lines.iter().copied().map(line).collect();
    let mut builder = KeyBuilder::new();
    present(&lines, |mut present| present.write(&mut builder));
    builder.finish()
}

#[test]
fn fields_are_sorted_field_names_and_all_are_found() {
    assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
    for (name, _) in FIELDS {
        assert!(
            HeaderName::from_lowercase(name.as_bytes()).is_ok(),
            "{name}"
        );
        assert_ne!(key(&[(name, "1")]), key(&[]), "{name}");
    }
}

#[test]
fn safety_11_and_12_each_known_field_changes_the_key() {
    let none = key(&[]);
    for (name, _) in FIELDS {
        let one = key(&[(name, "1")]);
        assert_ne!(one, none, "{name}");
        if name != "forwarded" {
            assert_ne!(one, key(&[(name, "2")]), "{name}");
            assert_ne!(one, key(&[(name, "1"), (name, "2")]), "{name}");
        }
    }
    let client = [("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4")];
    assert_eq!(key(&client), none);
}

#[test]
fn of_forwarded_only_host_and_proto_count() {
    let rows = [
        ("for=1.2.3.4", "for=5.6.7.8", true),
        ("for=1.2.3.4;host=a", "for=\"[::1]:80\";host=a", true),
        ("for=1;by=2;HOST=a", "HOST=a", true),
        ("host=a", "host=b", false),
        ("host=a;proto=http", "host=a;proto=https", false),
        ("host=\"a\"", "host=\"b\"", false),
        ("host=\"a,b;c\"", "host=\"a,b;d\"", false),
        // Which element counts is the reader's choice, so their borders stay.
        ("host=a;proto=x,proto=y", "host=a,proto=x;proto=y", false),
        ("host=a,for=1", "host=a", false),
        ("for=1, host=a", "host=a, for=1", false),
        // Malformed: all of it counts.
        ("for=1.2.3.4 host=a", "for=5.6.7.8 host=a", false),
        ("for=1;host", "for=2;host", false),
        ("for=\"1", "for=\"2", false),
        ("for=1;", "for=2;", false),
        ("", "for=", false),
    ];
    for (a, b, same) in rows {
        let equal = key(&[("forwarded", a)]) == key(&[("forwarded", b)]);
        assert_eq!(equal, same, "{a} and {b}");
    }
}

#[test]
fn a_method_override_is_seen() {
    let overrides = |name: &'static str, value: &'static str| {
        let mut found = false;
        let lines = [(name, HeaderValue::from_static(value))];
        present(&lines, |present| found = present.override_method());
        found
    };
    assert!(overrides("x-http-method-override", "DELETE"));
    assert!(overrides("x-http-method", "HEAD"));
    assert!(!overrides("x-method-override", "get"));
    assert!(!overrides("x-forwarded-host", "DELETE"));
}

#[test]
fn only_an_automatic_field_can_be_left_out() -> Result<(), ConfigError> {
    let fields = AutomaticFields::ALL.without("X-Forwarded-Host")?;
    assert_eq!(
        fields.0.count_ones(),
        AutomaticFields::ALL.0.count_ones() - 1
    );
    let error = AutomaticFields::ALL
        .without("accept")
        .expect_err("not automatic");
    assert_eq!(error.input(), "accept");
    Ok(())
}
