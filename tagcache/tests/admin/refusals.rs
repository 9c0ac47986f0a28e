//! SAFETY 21: who may not purge.

use crate::site::{AdminSite, TOKEN, closed, open, with_token};

const PURGE: &str = r#"{"all":true}"#;

#[tokio::test]
async fn safety_21_without_token_and_permission_nothing_is_purged() {
    let site = AdminSite::with(closed()).await;
    site.filled(&["/auctions"]).await;
    let told = site.purge(PURGE).await;
    assert_eq!(told.status, 403);
    assert!(
        told.json()["error"]
            .as_str()
            .unwrap()
            .contains("admin token")
    );
    for fields in [
        &[("authorization", "Bearer ")][..],
        &[("authorization", "Bearer correct-horse-battery")],
        &[("x-invalidate-cache", "1")],
        &[("x-forwarded-for", "127.0.0.1")],
    ] {
        let told = site.call("POST", "/purge", fields, PURGE).await;
        assert_eq!(told.status, 403, "{fields:?}");
    }
    for method in ["PURGE", "BAN", "DELETE", "PUT"] {
        let told = site.call(method, "/auctions", &[], "").await;
        assert_eq!(told.status, 404, "{method}");
        let told = site.call(method, "/purge", &[], PURGE).await;
        assert_eq!(told.status, 405, "{method}");
    }
    assert!(!site.forwards("/auctions").await);
}

#[tokio::test]
async fn safety_21_only_the_right_token_purges() {
    let mut settings = with_token();
    settings.purge_from_loopback = true;
    let site = AdminSite::with(settings).await;
    site.filled(&["/auctions"]).await;
    let bearer = format!("Bearer {TOKEN}");
    for wrong in [
        "Bearer correct-horse-batterY",
        "Bearer",
        "Basic Og==",
        "",
        TOKEN,
    ] {
        let told = site
            .call("POST", "/purge", &[("authorization", wrong)], PURGE)
            .await;
        assert_eq!(told.status, 401, "{wrong:?}");
        assert!(told.head.contains("www-authenticate: bearer"));
    }
    assert_eq!(site.purge(PURGE).await.status, 401, "none");
    assert_eq!(site.get("/config").await.status, 401);
    let twice = [("authorization", &*bearer), ("authorization", "Bearer x")];
    assert_eq!(site.call("POST", "/purge", &twice, PURGE).await.status, 401);
    assert!(!site.forwards("/auctions").await);
    let right = [("authorization", &*bearer)];
    assert_eq!(site.call("POST", "/purge", &right, PURGE).await.status, 200);
    assert!(site.forwards("/auctions").await);
    assert_eq!(site.call("GET", "/config", &right, "").await.status, 200);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(site.get(path).await.status, 200, "{path} needs none");
    }
}

#[tokio::test]
async fn safety_21_a_page_in_a_browser_and_a_proxy_are_not_this_machine() {
    let mut settings = open();
    settings.test_calls = true;
    let site = AdminSite::with(settings).await;
    site.filled(&["/auctions"]).await;
    for field in [
        ("origin", "http://attacker.example"),
        ("sec-fetch-site", "same-origin"),
        ("host", "attacker.example"),
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("via", "1.1 nginx"),
    ] {
        for path in ["/purge", "/test/invalidate-cache"] {
            let told = site.call("POST", path, &[field], PURGE).await;
            assert_eq!(told.status, 403, "{field:?} {path}");
        }
    }
    assert!(!site.forwards("/auctions").await);
    assert_eq!(site.purge(PURGE).await.status, 200);
}
