//! SAFETY 21: who may purge, as a configuration file says it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tagcache::admin::{AdminSettings, PublicPurge};
use tagcache::config::Configuration;
use tower_tagcache::config::{Config, ConfigFileError};

use crate::site::{AdminSite, TOKEN};

const PURGE: &str = r#"{"all":true}"#;

/// What `text` says under `[admin]`, with this token in the environment.
fn said(text: &str, of_env: Option<&str>) -> Result<AdminSettings, ConfigFileError> {
    let env = |name: &str| {
        let token = (name == "TAGCACHE_ADMIN_TOKEN").then_some(of_env)?;
        token.map(str::to_owned)
    };
    let text = format!("[admin]\n{text}\n");
    let file = Config::read(Some(Path::new("t.toml")), text, &env)?;
    let settings = Configuration::of(file, &env)?.admin_settings(&env)?;
    Ok(settings.expect("the section is there"))
}

/// Whether who presents `token` may purge.
async fn opens(mut settings: AdminSettings, token: &str) -> bool {
    settings.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let site = AdminSite::with(settings).await;
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", &*bearer)];
    site.call("POST", "/purge", &fields, PURGE).await.status == 200
}

#[tokio::test]
async fn safety_21_the_token_of_a_file_opens_and_the_environment_comes_first() {
    let name = format!("tagcache-token-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let text = format!("token = \"in-the-file-itself\"\ntoken_file = {path:?}");
    let of_file = said(&text, None);
    let of_env = said(&text, Some("from-the-environment"));
    fs::remove_file(&path).unwrap();
    let (of_file, of_env) = (of_file.unwrap(), of_env.unwrap());
    assert!(opens(of_file.clone(), TOKEN).await);
    assert!(!opens(of_file, "in-the-file-itself").await);
    assert!(opens(of_env.clone(), "from-the-environment").await);
    assert!(!opens(of_env, TOKEN).await);
    let of_text = said("token = \"in-the-file-itself\"", Some("")).unwrap();
    assert!(opens(of_text, "in-the-file-itself").await);

    let gone = said(&text, None).unwrap_err().to_string();
    assert!(gone.contains("t.toml:3"), "{gone}");
    assert!(gone.contains("cannot be read"), "{gone}");
}

#[test]
fn safety_21_purge_from_outside_is_open_to_the_networks_of_the_file_alone() {
    let settings = said("public_purge = [\"10.0.0.0/8\", \"::1\"]", None).unwrap();
    let Some(PublicPurge { networks }) = settings.public_purge else {
        panic!("it is there")
    };
    for (address, listed) in [
        ("10.1.2.3", true),
        ("11.0.0.1", false),
        ("::1", true),
        ("::2", false),
        ("127.0.0.1", false),
    ] {
        let address = address.parse().unwrap();
        let among = networks.iter().any(|network| network.contains(address));
        assert_eq!(among, listed, "{address}");
    }
    assert!(said("", None).unwrap().public_purge.is_none());
    let wrong = said("public_purge = [\"10.0.0.0/33\"]", None).unwrap_err();
    let wrong = wrong.to_string();
    assert!(wrong.contains("10.0.0.0/33"), "{wrong}");
}
