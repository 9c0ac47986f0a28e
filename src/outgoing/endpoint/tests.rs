use super::*;

fn rules(settings: &OutgoingSettings) -> EndpointRules {
    EndpointRules::new(settings).unwrap()
}

fn refused(rules: &EndpointRules, url: &str) -> String {
    match rules.endpoint(url) {
        Ok(endpoint) => panic!("{url} passes, to {}", endpoint.origin()),
        Err(why) => why,
    }
}

#[test]
fn an_address_is_refused_however_it_is_spelt() {
    let rules = rules(&OutgoingSettings::default());
    for (host, what) in [
        ("127.0.0.1", "loopback"),
        ("127.0.0.1.", "loopback"),
        ("127.1", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f.1", "loopback"),
        ("0x7f000001", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("017700000001", "loopback"),
        ("%31%32%37.0.0.1", "loopback"),
        ("１２７。0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[0:0:0:0:0:0:0:1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        ("[64:ff9b::7f00:1]", "loopback"),
        ("[2002:7f00:1::]", "6to4"),
        ("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "Teredo"),
        ("[::127.0.0.1]", "not global unicast"),
        ("0", "unspecified"),
        ("[::]", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("0xa9fea9fe", "link-local"),
        ("10.1", "private"),
        ("192.168.1.1:8443", "private"),
        ("[fd00::1]:8443", "unique local"),
        ("255.255.255.255", "broadcast"),
    ] {
        let why = refused(&rules, &format!("https://{host}/hook"));
        assert!(why.contains(what), "{host}: {why}");
    }
    for host in [
        "1.1.1.1",
        "16843009",
        "[2606:4700::1111]",
        "[::ffff:1.1.1.1]",
    ] {
        rules.endpoint(&format!("https://{host}/hook")).unwrap();
    }
}

#[test]
fn a_url_that_is_not_plainly_one_is_refused() {
    let rules = rules(&OutgoingSettings::default());
    let long = format!("https://a.example/{}", "a".repeat(LONGEST_URL));
    for (url, what) in [
        ("http://hooks.example.org/", "not encrypted"),
        ("ftp://hooks.example.org/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("data:,x", "scheme"),
        ("hooks.example.org", "no URL"),
        ("https://", "no URL"),
        ("", "no URL"),
        ("https://user@hooks.example.org/", "user"),
        ("https://:x@hooks.example.org/", "user"),
        ("https://hooks.example.org/#x", "fragment"),
        ("https://hooks.example.org/#", "fragment"),
        ("https://hooks.example.org./", "dot"),
        ("https://localhost/", "this machine"),
        ("https://LOCALHOST:8443/", "this machine"),
        ("https://a.b.localhost/", "this machine"),
        ("https://localhost./", "dot"),
        (" https://hooks.example.org/", "space"),
        ("https://hooks.exa\nmple.org/", "space"),
        ("https:\\\\hooks.example.org/", "backslash"),
        ("https://hooks.example.org:99999/", "no URL"),
        ("https://[fe80::1%25eth0]/", "no URL"),
        (&long, "longer"),
    ] {
        let why = refused(&rules, url);
        assert!(why.contains(what), "{url}: {why}");
    }
}

#[test]
fn what_the_settings_allow_passes() {
    let settings = OutgoingSettings::default().allow_plain(true);
    let settings = settings.networks(["10.1.0.0/16", "127.0.0.1", "fd00:1::/32"]);
    let rules = rules(&settings);
    for host in [
        "10.1.2.3",
        "[::ffff:10.1.2.3]",
        "[64:ff9b::10.1.2.3]",
        "localhost",
        "[fd00:1::1]",
    ] {
        rules.endpoint(&format!("http://{host}:8080/")).unwrap();
    }
    for host in ["10.2.0.1", "127.0.0.2", "[::1]", "[fd00:2::1]"] {
        refused(&rules, &format!("http://{host}/"));
    }
}

#[test]
fn only_hosts_that_are_named_pass() {
    let settings = OutgoingSettings::default();
    let settings = settings.hosts([
        "Hooks.Example.org",
        "*.bücher.example",
        "1.1.1.1",
        "[2606:4700::1111]",
    ]);
    let rules = rules(&settings);
    for host in [
        "hooks.example.org",
        "HOOKS.example.org:8443",
        "a.bücher.example",
        "a.b.xn--bcher-kva.example",
        "1.1.1.1",
        "0x01010101",
        "[2606:4700:0::1111]",
    ] {
        rules.endpoint(&format!("https://{host}/")).unwrap();
    }
    for host in [
        "example.org",
        "x.hooks.example.org",
        "hooks.example.org.evil.example",
        "bücher.example",
        "xbücher.example",
        "8.8.8.8",
        "[2606:4700::1112]",
    ] {
        let why = refused(&rules, &format!("https://{host}/"));
        assert!(why.contains("allowed hosts"), "{host}: {why}");
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for host in [
        "",
        "*",
        "*.",
        "*.1.1.1.1",
        "a.*.example",
        "*.*.example",
        "example.org.",
        "a b",
        "https://x",
    ] {
        let error = EndpointRules::new(&OutgoingSettings::default().hosts([host])).unwrap_err();
        assert_eq!(error.input(), host);
    }
    for network in ["", "10.0.0.0/33", "localhost", "10.0.0"] {
        let error = EndpointRules::new(&OutgoingSettings::default().networks([network]));
        assert_eq!(error.unwrap_err().input(), network);
    }
}

#[test]
fn an_endpoint_says_what_a_request_needs_and_shows_no_secret() {
    let rules = rules(&OutgoingSettings::default());
    for (url, authority, target, origin) in [
        ("https://a.example", "a.example", "/", "https://a.example"),
        (
            "https://A.example:443/x?y=z",
            "a.example",
            "/x?y=z",
            "https://a.example",
        ),
        (
            "https://a.example:8443/x",
            "a.example:8443",
            "/x",
            "https://a.example:8443",
        ),
        (
            "https://[2606:4700::1]:1/",
            "[2606:4700::1]:1",
            "/",
            "https://[2606:4700::1]:1",
        ),
        (
            "https://a.example/../a b".replace(' ', "%20").as_str(),
            "a.example",
            "/a%20b",
            "https://a.example",
        ),
    ] {
        let endpoint = rules.endpoint(url).unwrap();
        assert_eq!(endpoint.authority(), authority);
        assert_eq!(endpoint.target(), target);
        assert_eq!(endpoint.origin(), origin);
        assert_eq!(format!("{endpoint:?}"), format!("Endpoint({origin}/…)"));
    }
}
