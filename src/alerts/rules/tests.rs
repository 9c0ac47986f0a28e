use std::time::Duration;

use super::*;
use crate::alerts::decimals::{Decimals, TokenDecimals};

const UINT256_MAX: &str = "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const UINT256_DIGITS: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";
const INT256_MIN: &str =
    "-57896044618658097711785492504343953926634992332820282019728792003956564819968";
const USDC: &str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
const DAI: &str = "0x6B175474E89094C44Da98b954EedeAC495271d0F";

fn rules(rules: impl IntoIterator<Item = AlertRule>) -> AlertRules {
    AlertRules::compile(rules.into_iter().collect(), &["ops".to_owned()]).unwrap()
}

fn refused(rule: AlertRule) -> ConfigError {
    let names = ["ops", "sales"].map(str::to_owned);
    AlertRules::compile(vec![rule], &names).unwrap_err()
}

fn sale(fields: &[(&str, &str)]) -> Update {
    let sale = Update::new("sale", "auction:1").unwrap();
    let add = |sale: Update, (name, value): &(&str, &str)| sale.with_field(*name, *value);
    fields.iter().try_fold(sale, add).unwrap()
}

/// Whether a rule with `condition` is raised by an amount; `None` if it cannot say.
fn holds(condition: &str, decimals: u8, amount: &str) -> Option<bool> {
    let rule = AlertRule::new("a").when(condition);
    let rules = rules([rule.decimals("amount", decimals)]);
    let raised = !rules.raised_by(&sale(&[("amount", amount)])).is_empty();
    rules.problems().is_empty().then_some(raised)
}

/// What has been told, without counts.
fn told(rules: &AlertRules) -> Vec<String> {
    rules.problems().iter().map(ToString::to_string).collect()
}

fn check_each(rows: &[(&str, u8, &str, Option<bool>)]) {
    for (condition, decimals, amount, expected) in rows {
        let found = holds(condition, *decimals, amount);
        assert_eq!(
            found, *expected,
            "{condition} of {decimals} decimals, with {amount}"
        );
    }
}

#[test]
fn amounts_are_compared_in_whole_tokens() {
    check_each(&[
        ("amount >= 1000.5", 18, "1000500000000000000000", Some(true)),
        (
            "amount >= 1000.5",
            18,
            "1000499999999999999999",
            Some(false),
        ),
        ("amount > 1000.5", 18, "1000500000000000000000", Some(false)),
        ("amount > 1000.5", 18, "1000500000000000000001", Some(true)),
        ("amount == 1000.50", 6, "1000500000", Some(true)),
        ("amount != 1000.5", 6, "1000500000", Some(false)),
        // Hexadecimal constants are in tokens too.
        ("amount < 0x10", 6, "0xf423ff", Some(true)),
        ("amount < 0x10", 6, "0xf42400", Some(false)),
        ("amount < 0x10", 0, "15", Some(true)),
        ("amount < 0x10", 0, "0x10", Some(false)),
        ("amount > -0.5", 6, "-499999", Some(true)),
        ("amount > -0.5", 6, "-500000", Some(false)),
        ("amount < 0", 18, "-1", Some(true)),
        ("amount == 0", 18, "-0", Some(true)),
        ("amount == -0.0", 18, "0x0", Some(true)),
        ("amount in [0.5, 1]", 6, "500000", Some(true)),
        ("amount in [0.5, 1]", 6, "0x7a121", Some(false)),
        ("amount not in [0.5, 1]", 6, "1000000", Some(false)),
        ("amount in [0.5, 'all']", 6, "all", Some(true)),
        ("amount in [0.5, 'all']", 6, "some", Some(false)),
    ]);
}

#[test]
fn an_amount_is_a_whole_number_of_units() {
    check_each(&[
        ("amount >= 1", 6, "1000000.0", None),
        ("amount >= 1", 6, "1e6", None),
        ("amount >= 1", 6, "", None),
        ("amount in [0.5, 1]", 6, "all", None),
    ]);
}

#[test]
fn a_fraction_that_no_amount_has_lies_between_two() {
    check_each(&[
        ("amount >= 1000.5", 0, "1000", Some(false)),
        ("amount >= 1000.5", 0, "1001", Some(true)),
        ("amount == 1000.5", 0, "1000", Some(false)),
        ("amount != 1000.5", 0, "1000", Some(true)),
        ("amount == 1.0000001", 6, "1000000", Some(false)),
        ("amount in [1.0000001]", 6, "1000000", Some(false)),
        ("amount >= 1.0000001", 6, "1000000", Some(false)),
        ("amount >= 1.0000001", 6, "1000001", Some(true)),
        ("amount <= 1.0000001", 6, "1000000", Some(true)),
        ("amount < 0.00000001", 6, "0", Some(true)),
        ("amount > 0.00000001", 6, "1", Some(true)),
        ("amount > -0.00000001", 6, "-1", Some(false)),
    ]);
}

#[test]
fn numbers_of_any_size_are_compared() {
    let (next, last) = ("639934", "639935");
    let with = |operator: &str, places: usize, end: &str| {
        let digits = UINT256_DIGITS.replace(last, end);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let dot = if places == 0 { "" } else { "." };
        format!("amount {operator} {whole}{dot}{fraction}")
    };
    for decimals in [0, 6, 18, 77] {
        let places = usize::from(decimals);
        for (operator, end, expected) in [
            ("==", last, true),
            (">=", last, true),
            (">", last, false),
            (">", next, true),
            ("==", next, false),
            ("<=", next, false),
        ] {
            let condition = with(operator, places, end);
            for value in [UINT256_MAX, UINT256_DIGITS] {
                check_each(&[(&condition, decimals, value, Some(expected))]);
            }
        }
        // One unit more than all there are, and the smallest there is.
        let above = with(">", places, "639936");
        check_each(&[(&above, decimals, UINT256_MAX, Some(false))]);
        check_each(&[("amount < -0.5", 77, INT256_MIN, Some(true))]);
    }
    let least = "amount < -57896044618658097711785492504343953926634992332820282019728.79";
    check_each(&[
        (least, 18, INT256_MIN, Some(true)),
        (&format!("{least}3"), 18, INT256_MIN, Some(false)),
    ]);
}

#[test]
fn the_decimals_are_those_of_the_token() {
    let tokens = TokenDecimals::by("token")
        .of(USDC, 6)
        .of(DAI.to_lowercase(), 18);
    let rule = |tokens| {
        AlertRule::new("a")
            .when("amount >= 1.5")
            .decimals("amount", tokens)
    };
    let (strict, lenient) = (
        rules([rule(tokens.clone())]),
        rules([rule(tokens.default(2))]),
    );
    let unknown = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
    for (token, amount, expected) in [
        (USDC, "1500000", true),
        (&USDC.to_lowercase(), "1499999", false),
        (DAI, "1500000", false),
        (DAI, "1500000000000000000", true),
        (unknown, "150", true),
        (unknown, "149", false),
    ] {
        let sale = sale(&[("token", token), ("amount", amount)]);
        let raised = !lenient.raised_by(&sale).is_empty();
        assert_eq!(raised, expected, "{token} {amount}");
        let raised = !strict.raised_by(&sale).is_empty();
        assert_eq!(raised, expected && token != unknown, "{token} {amount}");
    }
    assert!(lenient.problems().is_empty());
    let what = format!(
        "alert `a`: the field `token` is a token whose decimals are not known: \"{unknown}\""
    );
    assert_eq!(told(&strict), [what]);
    assert_eq!(strict.problems()[0].count, 2);
    assert!(lenient.raised_by(&sale(&[("amount", "9")])).is_empty());
    assert_eq!(told(&lenient), ["alert `a`: the field `token` is missing"]);
}

#[test]
fn all_conditions_must_hold() {
    let tokens = format!("token in ['{USDC}', '{DAI}']");
    let rule = AlertRule::new("a").types(["sale", "kick"]).when(tokens);
    let rules = rules([rule.when("network == \"ethereum\"").when("paid != 'no'")]);
    let folded = USDC.to_lowercase();
    for (token, network, paid, expected) in [
        (USDC, "ethereum", "yes", true),
        (&*folded, "ethereum", "yes", true),
        (&*folded, "Ethereum", "yes", false),
        (USDC, "base", "yes", false),
        (USDC, "ethereum", "no", false),
        ("0x1", "ethereum", "yes", false),
    ] {
        let sale = sale(&[("token", token), ("network", network), ("paid", paid)]);
        let raised = !rules.raised_by(&sale).is_empty();
        assert_eq!(raised, expected, "{token} {network} {paid}");
    }
    assert!(
        rules
            .raised_by(&Update::new("offer", "auction:1").unwrap())
            .is_empty()
    );
    assert!(rules.problems().is_empty());
}

#[test]
fn each_rule_that_is_raised_is_named_in_order() {
    let rules = rules([
        AlertRule::new("all"),
        AlertRule::new("kicks").types(["kick"]),
        AlertRule::new("sales")
            .types(["sale"])
            .webhooks(["ops"])
            .push()
            .limit(10, Duration::from_secs(1))
            .message("{type}!"),
    ]);
    let sale = sale(&[]);
    let raised = rules.raised_by(&sale);
    let names: Vec<_> = raised.iter().map(|raised| raised.rule.name()).collect();
    assert_eq!(names, ["all", "sales"]);
    assert_eq!(
        (&raised[0].message, raised[1].message.as_deref()),
        (&None, Some("sale!"))
    );
    assert!(raised[0].rule.webhooks().is_empty() && !raised[0].rule.push());
    assert!(raised[1].rule.webhooks() == ["ops"] && raised[1].rule.push());
    assert_eq!(raised[0].rule.limit(), None);
    let limit = raised[1].rule.limit().unwrap();
    assert_eq!((limit.alerts, limit.per.0), (10, Duration::from_secs(1)));
    assert!(rules.raised_by(&Update::resync("reorg")).is_empty());
    assert_eq!(rules.iter().count(), 3);
}

#[test]
fn what_cannot_be_judged_is_told_once_and_counted() {
    let rules = rules([
        AlertRule::new("a").when("amount > 1"),
        AlertRule::new("b")
            .when("network == 'x'")
            .when("amount > 1"),
        AlertRule::new("c"),
    ]);
    for amount in ["many", "lots", "1.5"] {
        assert_eq!(rules.raised_by(&sale(&[("amount", amount)])).len(), 1);
    }
    assert_eq!(rules.raised_by(&sale(&[("network", "y")])).len(), 1);
    let told: Vec<_> = rules
        .problems()
        .into_iter()
        .map(|p| (p.to_string(), p.count))
        .collect();
    assert_eq!(
        told,
        [
            ("alert `a`: the field `amount` is missing".to_owned(), 1),
            (
                "alert `a`: the field `amount` is no whole number: \"many\"".to_owned(),
                3
            ),
            ("alert `b`: the field `network` is missing".to_owned(), 3),
        ]
    );
}

#[test]
fn messages_have_amounts_in_tokens() {
    let rule = AlertRule::new("a")
        .decimals("amount", 18)
        .decimals("fee", TokenDecimals::by("token").of(USDC, 6))
        .message("{type} of {amount} at { auction } ({subject}, fee {fee}) {{{id}}}");
    let rules = rules([rule]);
    let fields = [
        ("amount", "0x3635c9adc5dea00000"),
        ("auction", "A"),
        ("id", "7"),
    ];
    let paid = [&fields[..], &[("fee", "2500000"), ("token", USDC)]].concat();
    let message = |update: &Update| rules.raised_by(update).remove(0).message.unwrap();
    assert_eq!(
        message(&sale(&paid)),
        "sale of 1000 at A (auction:1, fee 2.5) {7}"
    );
    assert!(rules.problems().is_empty());
    // The alert is raised all the same.
    let unknown = [&fields[..], &[("fee", "2500000"), ("token", DAI)]].concat();
    assert_eq!(
        message(&sale(&unknown)),
        "sale of 1000 at A (auction:1, fee ?) {7}"
    );
    assert_eq!(
        message(&sale(&[("amount", "x")])),
        "sale of ? at ? (auction:1, fee ?) {?}"
    );
    assert_eq!(rules.problems().len(), 5);
}

#[test]
fn a_rule_is_explained_in_words() {
    let minute = Duration::from_secs(60);
    for (rule, expected) in [
        (
            AlertRule::new("a"),
            "all updates, to the live channel alone",
        ),
        (
            AlertRule::new("a")
                .types(["sale"])
                .when(" amount >= 1000.5")
                .decimals("amount", 18)
                .webhooks(["ops"])
                .limit(10, minute),
            "updates of the type sale, amount >= 1000.5 tokens (18 decimals), to the webhook ops, at most 10 a minute",
        ),
        (
            AlertRule::new("a")
                .types(["sale", "kick"])
                .when("amount > 1")
                .when("token == 'x'")
                .push()
                .decimals("amount", TokenDecimals::by("token"))
                .limit(1, minute * 90),
            "updates of the type sale or kick, amount > 1 tokens (decimals by token), token == 'x', to Web Push \
             subscriptions, at most 1 in 90m",
        ),
        (
            AlertRule::new("a").webhooks(["ops", "sales"]).push(),
            "all updates, to the webhooks ops and sales and Web Push subscriptions",
        ),
    ] {
        let names = ["ops", "sales"].map(str::to_owned);
        let rules = AlertRules::compile(vec![rule], &names).unwrap();
        let explained: Vec<_> = rules.iter().map(CompiledAlert::explain).collect();
        assert_eq!(explained, [expected]);
    }
}

/// Each rule and what is wrong with it, after its name.
fn check_refused<'e>(rows: impl IntoIterator<Item = (AlertRule, &'e str)>) {
    for (rule, expected) in rows {
        let expected = format!("alert `{}`, {expected}", rule.name);
        assert_eq!(refused(rule).to_string(), expected);
    }
}

#[test]
fn what_no_rule_can_be_is_refused() {
    let new = || AlertRule::new("a");
    let kind = |kind: &'static str| new().types(["sale", kind]);
    check_refused([
        (
            AlertRule::new(""),
            "name: not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in \"\"",
        ),
        (
            AlertRule::new("a b"),
            "name: not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in \"a b\"",
        ),
        (
            kind("a b"),
            "types: type of update \"a b\" is not 1 to 64 ASCII letters, digits, `_`, `-` and `.` in \"a b\"",
        ),
        (
            kind("resync"),
            "types: type of update \"resync\" is the cache's own in \"resync\"",
        ),
        (
            new().when("b => 5"),
            "when: unknown comparison (known are >= <= == != > <) in \"b => 5\" at column 3",
        ),
        (
            new().message("a {b"),
            "message: unclosed `{` (a literal one is written `{{`) in \"a {b\" at column 3",
        ),
        (
            new().limit(0, Duration::MAX),
            "limit: no alert at all in \"0\"",
        ),
        (
            new().limit(1, Duration::ZERO),
            "limit: no time at all in \"0s\"",
        ),
    ]);
    let error = AlertRules::compile(vec![new(), new()], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "alert `a`, name: another alert has this name in \"a\""
    );
}

#[test]
fn a_webhook_that_is_not_there_is_refused_with_the_nearest() {
    let webhooks = |names: &[&str]| AlertRule::new("a").webhooks(names.iter().copied());
    check_refused([
        (
            webhooks(&["ops", "opps"]),
            "webhooks: no webhook has this name; did you mean `ops`? in \"opps\"",
        ),
        (
            webhooks(&["telephone"]),
            "webhooks: no webhook has this name; there are `ops`, `sales` in \"telephone\"",
        ),
        (
            webhooks(&["ops", "ops"]),
            "webhooks: the webhook is named twice in \"ops\"",
        ),
    ]);
    let error = AlertRules::compile(vec![webhooks(&["ops"])], &[]).unwrap_err();
    assert_eq!(error.message(), "no webhook has this name; there are none");
}

#[test]
fn decimals_that_no_amount_can_have_are_refused() {
    let amount = |decimals: Decimals| AlertRule::new("a").message("{b}").decimals("b", decimals);
    let by = || TokenDecimals::by("token");
    let lower = USDC.to_lowercase();
    let twice = format!("decimals: the token is named twice in {lower:?}");
    let unread = "decimals: decimals of a field that no condition and no message reads";
    let misspelt = format!("{unread}; did you mean `amount`? in \"amont\"");
    check_refused([
        (
            amount(78.into()),
            "decimals: 78 decimals, more than 77 in \"b\"",
        ),
        (
            amount(by().of("x", 78).into()),
            "decimals: 78 decimals, more than 77 in \"x\"",
        ),
        (
            amount(by().default(78).into()),
            "decimals: 78 decimals, more than 77 in \"token\"",
        ),
        (
            amount(TokenDecimals::by("").into()),
            "decimals: no field that names the token in \"\"",
        ),
        (amount(by().of(USDC, 6).of(&lower, 6).into()), &twice),
        (
            AlertRule::new("a").when("amount > 1").decimals("amont", 18),
            &misspelt,
        ),
        // A text has no decimals.
        (
            AlertRule::new("a").when("b == 'x'").decimals("b", 18),
            &format!("{unread} in \"b\""),
        ),
    ]);
}
