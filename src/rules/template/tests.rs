use super::normaliser::canonical_int;
use super::*;
use proptest::prelude::*;

const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn parse(text: &str) -> Result<Template<String>, ConfigError> {
    Template::parse(text, |name| match name {
        "nope" => Err("unknown capture `nope`".into()),
        name => Ok(name.to_owned()),
    })
}

fn expand(text: &str, values: &[(&str, &[&'static str])]) -> Result<Vec<String>, TemplateError> {
    let template = parse(text).expect("a good template");
    let tags = template.expand(|source| {
        let found = values.iter().find(|(name, _)| name == source)?;
        Some(found.1.iter().map(|value| Cow::Borrowed(*value)).collect())
    })?;
    Ok(tags.iter().map(|tag| tag.as_str().to_owned()).collect())
}

#[test]
fn a_template_is_its_literals_and_values() {
    let rows: &[(&str, &[&str])] = &[
        ("auctions", &["auctions"]),
        ("a:{one}", &["a:1"]),
        ("{one}-{two}", &["1-x", "1-y"]),
        ("{two}{two}", &["xx", "xy", "yx", "yy"]),
        ("{{{one}}}", &["{1}"]),
        ("{{one}}", &["{one}"]),
        ("a:{none}", &[]),
        ("{repeated}", &["z"]),
    ];
    let values: &[(&str, &[&str])] = &[
        ("one", &["1"]),
        ("two", &["x", "y"]),
        ("none", &[]),
        ("repeated", &["z", "z"]),
    ];
    for (text, tags) in rows {
        assert_eq!(
            expand(text, values).as_deref(),
            Ok(&tags.map_owned()[..]),
            "{text}"
        );
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn a_template_that_cannot_be_filled_says_why() {
    let many: &[&str] = &["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let long: &'static str = "x".repeat(300).leak();
    let long: &[&str] = &[long];
    let values: &[(&str, &[&str])] = &[
        ("empty", &[""]),
        ("word", &["word"]),
        ("many", many),
        ("long", long),
        ("newline", &["a\nb"]),
    ];
    let rows = [
        (
            "{absent}",
            TemplateError::Missing("absent".into()),
            NotStored::TagMissing,
        ),
        (
            "{empty}",
            TemplateError::Missing("empty".into()),
            NotStored::TagMissing,
        ),
        (
            "{word:int}",
            TemplateError::Refused("word:int".into()),
            NotStored::TagMissing,
        ),
        // 9 × 9 values are more than 64 tags.
        ("{many}{many}", TemplateError::TooMany, NotStored::TagLimit),
        (
            "{long}",
            TemplateError::Malformed("{long}".into()),
            NotStored::TagLimit,
        ),
        (
            "{newline}",
            TemplateError::Malformed("{newline}".into()),
            NotStored::TagLimit,
        ),
    ];
    for (text, unfilled, reason) in rows {
        assert_eq!(expand(text, values), Err(unfilled.clone()), "{text}");
        assert_eq!(NotStored::from(unfilled), reason, "{text}");
    }
}

#[test]
fn a_bad_template_is_quoted_with_its_place() {
    let rows = [
        ("", "tag \"\" is empty in \"\""),
        (
            "a:{b",
            "unclosed `{` (a literal one is written `{{`) in \"a:{b\" at column 3",
        ),
        (
            "a:{b{c}}",
            "unclosed `{` (a literal one is written `{{`) in \"a:{b{c}}\" at column 3",
        ),
        (
            "a}b",
            "unopened `}` (a literal one is written `}}`) in \"a}b\" at column 2",
        ),
        ("a:{}", "empty placeholder in \"a:{}\" at column 4"),
        (
            "é:{nope}",
            "unknown capture `nope` in \"é:{nope}\" at column 4",
        ),
        (
            "a:{b:adress}",
            "unknown normaliser `adress` (known are `auto`, `address`, `int`, `lower`, `upper`) in \"a:{b:adress}\" at column 6",
        ),
        ("{a} ", "tag \"x \" has a space at one end in \"{a} \""),
    ];
    for (text, message) in rows {
        let error = parse(text).map(|_| ()).expect_err(text);
        assert_eq!(error.to_string(), format!("tag: {message}"), "{text}");
    }
}

#[test]
fn family_is_known_where_the_literal_has_it() -> Result<(), ConfigError> {
    for (text, family) in [
        ("auction:{a}", Some("auction")),
        ("auctions", None),
        ("{a}:b", None),
        ("x{a}:b", None),
    ] {
        assert_eq!(parse(text)?.family(), family, "{text}");
    }
    Ok(())
}

#[test]
fn safety_48_spellings_of_one_value_are_one_tag() {
    let lower: &str = CHECKSUMMED.to_lowercase().leak();
    let upper: &str = CHECKSUMMED.to_uppercase().leak();
    let rows: &[(&str, &[&str], Option<&str>)] = &[
        ("address", &[CHECKSUMMED, lower, upper], Some(lower)),
        ("auto", &[CHECKSUMMED, lower, upper], Some(lower)),
        ("address", &["0x12", "auction", "", &CHECKSUMMED[2..]], None),
        // Only addresses are folded: a word, or a hash, may mean another thing in another case.
        ("auto", &["Vault"], Some("Vault")),
        ("lower", &["VaulT"], Some("vault")),
        ("upper", &["VaulT"], Some("VAULT")),
        (
            "int",
            &["255", "0xff", "0XFF", "0x00fF", "00255"],
            Some("255"),
        ),
        ("int", &["0", "-0", "0x0", "000"], Some("0")),
        ("int", &["-12", "-012"], Some("-12")),
        (
            "int",
            &["", "-", "0x", "1.0", "1e3", "+1", " 1", "0xfg", "-0x1"],
            None,
        ),
        (
            "int",
            &["0xffffffffffffffffffffffffffffffffffffffff"],
            Some("1461501637330902918203684832716283019655932542975"),
        ),
        (
            "int",
            &["0x3b9aca00000000000"],
            Some("68719476736000000000"),
        ),
    ];
    for (name, spellings, form) in rows {
        let normaliser = Normaliser::parse(name).expect(name);
        for value in *spellings {
            let got = normaliser.apply(Cow::Borrowed(value));
            assert_eq!(got.as_deref(), *form, "{name} {value}");
        }
    }
}

#[test]
fn safety_48_an_address_written_out_in_a_template_is_folded() {
    let template = format!("auction:{CHECKSUMMED}");
    assert_eq!(expand(&template, &[]), Ok(vec![template.to_lowercase()]));
}

#[test]
fn addresses_are_folded_only_where_they_stand_alone() {
    let lower = CHECKSUMMED.to_lowercase();
    for (text, folded) in [
        (format!("1:{CHECKSUMMED}"), format!("1:{lower}")),
        (
            format!("{CHECKSUMMED}/{CHECKSUMMED}"),
            format!("{lower}/{lower}"),
        ),
        (format!("é{CHECKSUMMED}é"), format!("é{lower}é")),
        (format!("{CHECKSUMMED}A"), format!("{CHECKSUMMED}A")),
        (format!("F{CHECKSUMMED}"), format!("F{CHECKSUMMED}")),
        ("x".into(), "x".into()),
        ("0x".into(), "0x".into()),
    ] {
        assert_eq!(fold_addresses(text.as_str().into()), folded, "{text}");
    }
}

#[test]
fn a_json_number_that_may_have_lost_digits_fills_nothing() -> serde_json::Result<()> {
    for (json, text) in [
        ("\"a\"", Some("a")),
        ("7", Some("7")),
        ("-7", Some("-7")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", None),
        ("1.5", None),
        ("true", Some("true")),
        ("null", None),
        ("[1]", None),
        ("{}", None),
    ] {
        let value: serde_json::Value = serde_json::from_str(json)?;
        assert_eq!(json_text(&value).as_deref(), text, "{json}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn int_agrees_with_the_machine(number: u128) {
        let hex = format!("{number:#x}");
        prop_assert_eq!(canonical_int(&hex), Some(number.to_string()));
        prop_assert_eq!(canonical_int(&number.to_string()), Some(number.to_string()));
    }

    #[test]
    fn parsing_never_panics(text in "[a{}:é ]{0,12}") {
        let _ = parse(&text);
    }

    #[test]
    fn folding_never_panics_and_changes_case_only(text in "[0xXaAé]{0,50}") {
        prop_assert!(fold_addresses(text.as_str().into()).eq_ignore_ascii_case(&text));
    }
}
