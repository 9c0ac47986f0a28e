//! A file that changes under a running cache.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tower_tagcache::Cache;
use tower_tagcache::config::{Config, Loaded, Reload, Reloaded};

/// A file of a test's own, removed with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tagcache-reload-{}-{number}.toml", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    /// Each text of a test has a length of its own, so that no two are alike from outside even where
    /// file times are coarse.
    fn write(&self, text: &str) {
        fs::write(&self.0, text).expect("a file");
    }

    fn load(&self) -> Loaded {
        Config::load(Some(&self.0), &|_| None).expect("a good file")
    }

    /// A cache that was built from it, and who watches it.
    fn watched(&self) -> (Cache, Reload) {
        let (cache, _companion) = self.load().build().expect("a good file");
        let reload = Reload::new(self.load(), cache.clone(), |_| None);
        (cache, reload)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn rule(name: &str, more: &str) -> String {
    format!("[[rules]]\nname = \"{name}\"\nroute = \"/{name}/{{id}}\"\nttl = \"60s\"\n{more}\n")
}

#[test]
fn a_changed_file_is_read_when_two_looks_find_it_alike() {
    let file = File::new(&rule("a", ""));
    let (_cache, mut reload) = file.watched();
    assert_eq!(reload.look(), Reloaded::Unchanged);
    file.write(&rule("longer", ""));
    assert_eq!(reload.look(), Reloaded::Unchanged, "perhaps half written");
    file.write(&rule("longest", ""));
    assert_eq!(reload.look(), Reloaded::Unchanged, "it was");
    let replaced = reload.look();
    assert!(
        matches!(replaced, Reloaded::Replaced { .. }),
        "{replaced:?}"
    );
    assert_eq!(reload.look(), Reloaded::Unchanged);
}

#[test]
fn a_file_with_a_mistake_changes_nothing_and_is_told_once() {
    let file = File::new(&rule("a", ""));
    let (_cache, mut reload) = file.watched();
    file.write("[[rules]]\nname = \"a\"\nroute = \"/{\"\n");
    assert_eq!(reload.look(), Reloaded::Unchanged);
    let Reloaded::Refused(error) = reload.look() else {
        panic!("a bad route")
    };
    assert!(error.to_string().contains("route"), "{error}");
    assert_eq!(reload.look(), Reloaded::Unchanged, "nothing new to tell");
    file.write(&rule("mended", ""));
    assert_eq!(reload.look(), Reloaded::Unchanged);
    let replaced = reload.look();
    assert!(
        matches!(replaced, Reloaded::Replaced { .. }),
        "{replaced:?}"
    );
}

#[test]
fn what_counts_after_a_restart_is_named() {
    let file = File::new(&rule("a", ""));
    let (_cache, mut reload) = file.watched();
    let more = "[cache]\nnear_after = 3\n[redis]\nnamespace = \"other\"\n[live]\nopen = true\n\
                [outgoing]\nallow_plain = true\n[feed]\n[push_service]\n";
    file.write(&format!("{more}{}", rule("a", "")));
    let Reloaded::Replaced { restart, .. } = reload.now() else {
        panic!("a good file")
    };
    let expected = ["redis", "cache", "outgoing", "live", "feed", "push_service"];
    assert_eq!(restart, expected);
    file.write(&format!(
        "{more}[activity]\n[[alerts]]\nname = \"l\"\n{}",
        rule("a", "")
    ));
    let Reloaded::Replaced { restart, .. } = reload.now() else {
        panic!("a good file")
    };
    assert_eq!(restart, ["activity", "alerts"]);
}

#[test]
fn a_file_that_is_gone_leaves_the_rules() {
    let file = File::new(&rule("a", ""));
    let (_cache, mut reload) = file.watched();
    fs::remove_file(&file.0).expect("it was there");
    assert_eq!(reload.look(), Reloaded::Unchanged, "perhaps being replaced");
    let refused = reload.look();
    assert!(matches!(refused, Reloaded::Refused(_)), "{refused:?}");
    assert_eq!(reload.look(), Reloaded::Unchanged, "nothing new to tell");
}
