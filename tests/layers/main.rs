//! The layout of `docs/STYLE.md` §3: a module imports only from the tiers above its own, and a file
//! stays within 400 lines. What is compiled for tests only is exempt.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod shape;
mod source;
mod words;

use self::source::{Source, directory_of};

/// A row of the table: these modules, and what they may import beside their own submodules.
struct Row {
    modules: &'static [&'static str],
    may_import: &'static [&'static [&'static str]],
}

const WORDS: &[&str] = &[
    "alias",
    "amount",
    "backoff",
    "chance",
    "clock",
    "defaults",
    "error",
    "key",
    "observe",
    "certificates",
    "outcome",
    "patience",
    "place",
    "position",
    "secret",
    "spelling",
    "sync",
    "tag",
    "telling",
    "update",
    "weaken",
    "web",
    "written",
];
const DECISIONS: &[&str] = &["alerts", "entry", "rules", "semantics", "validity"];
const PLACES: &[&str] = &["activity", "coalesce", "embedded", "log", "redis", "store"];

const TABLE: &[Row] = &[
    Row {
        modules: WORDS,
        may_import: &[WORDS],
    },
    Row {
        modules: &["entry", "semantics", "validity"],
        may_import: &[WORDS],
    },
    Row {
        modules: &["rules"],
        may_import: &[WORDS, &["semantics", "entry"]],
    },
    // It compares as conditions on events do.
    Row {
        modules: &["alerts"],
        may_import: &[WORDS, &["rules"]],
    },
    Row {
        modules: &["coalesce", "log"],
        may_import: &[WORDS, &["entry", "validity"]],
    },
    // A store's lookup also returns the tip of the log.
    Row {
        modules: &["store"],
        may_import: &[WORDS, &["entry", "validity", "log"]],
    },
    // It makes entries and alerts of what the log announces.
    Row {
        modules: &["activity"],
        may_import: &[WORDS, &["alerts", "rules", "log"]],
    },
    // They implement the three traits.
    Row {
        modules: &["embedded", "redis"],
        may_import: &[WORDS, &["activity", "entry", "validity", "log", "store"]],
    },
    // It sees `Store` and `Log`, never who implements them.
    Row {
        modules: &["engine"],
        may_import: &[WORDS, DECISIONS, &["coalesce", "log", "store"]],
    },
    // Faces are strangers to each other.
    Row {
        modules: &[
            "feed",
            "invalidation",
            "live",
            "metrics",
            "middleware",
            "outgoing",
            "relay",
        ],
        may_import: &[WORDS, DECISIONS, PLACES, &["engine"]],
    },
    // The public API only, which is what `lib.rs` re-exports, and the settings of its public modules.
    Row {
        modules: &["config"],
        // A suggestion is the same word everywhere.
        may_import: &[&["defaults", "outgoing", "spelling", "written"]],
    },
];

/// The program, which is a crate of its own: of the library it sees the public API, by the compiler.
const PROGRAM_TABLE: &[Row] = &[
    Row {
        modules: &["setting", "written"],
        may_import: &[],
    },
    Row {
        modules: &["proxy"],
        may_import: &[&["setting", "written"]],
    },
    Row {
        modules: &["admin"],
        may_import: &[&["proxy", "setting", "written"]],
    },
    Row {
        modules: &["config"],
        may_import: &[&["admin", "proxy", "setting", "written"]],
    },
    Row {
        modules: &["cli"],
        may_import: &[&["admin", "config", "proxy", "setting", "written"]],
    },
];

/// Sees the public API, which is what `lib.rs` re-exports.
const OUTSIDE: &[&str] = &["config"];

/// Know everything.
const ASSEMBLY: &[&str] = &["bench", "builder", "lib"];

const MAX_LINES: usize = 400;

/// What is wrong with `module` of a crate with this `table` importing `imports`, a line each.
fn breaches(table: &[Row], module: &str, imports: &BTreeSet<String>) -> Vec<String> {
    if ASSEMBLY.contains(&module) {
        return Vec::new();
    }
    let Some(row) = table.iter().find(|row| row.modules.contains(&module)) else {
        return vec![format!("`{module}` is in no tier: give it a row")];
    };
    let known = |name: &str| {
        let mut modules = table.iter().flat_map(|row| row.modules).chain(ASSEMBLY);
        modules.any(|known| *known == name)
    };
    let allowed = |name: &str| {
        let re_export = !known(name);
        name == module
            || (OUTSIDE.contains(&module) && re_export)
            || row.may_import.iter().any(|tier| tier.contains(&name))
    };
    let breach = |name: &String| format!("`{module}` imports `{name}`");
    imports
        .iter()
        .filter(|name| !allowed(name))
        .map(breach)
        .collect()
}

/// The top-level module that `file` belongs to.
fn module_of(src: &Path, file: &Path) -> String {
    let path = file.strip_prefix(src).expect("the file is below src");
    let first = path.components().next().expect("the path is not empty");
    Path::new(first.as_os_str())
        .with_extension("")
        .display()
        .to_string()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a source directory is readable") {
        let path = entry.expect("a directory entry is readable").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Where each of the two crates is, and its table.
fn crates() -> [(PathBuf, &'static [Row]); 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [
        (root.join("src"), TABLE),
        (root.join("tagcache/src"), PROGRAM_TABLE),
    ]
}

#[test]
fn modules_import_only_from_the_tiers_above_them() {
    let mut problems = Vec::new();
    for (src, table) in crates() {
        for module in Source::of(&src).modules.values() {
            let found = breaches(
                table,
                &module_of(&src, &module.file),
                &source::imports(module),
            );
            let file = module.file.display();
            problems.extend(found.iter().map(|found| format!("{file}: {found}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Otherwise a file could escape the checks.
#[test]
fn every_source_file_is_reached_from_the_crate_root() {
    for (src, _) in crates() {
        let source = Source::of(&src);
        let shipped: BTreeSet<_> = source.modules.values().map(|module| &module.file).collect();
        let for_tests = |file: &Path| {
            let below = |root: &PathBuf| file == root || file.starts_with(directory_of(root));
            source.tests.iter().any(below)
        };
        let escaped: Vec<_> = files_below(&src)
            .into_iter()
            .filter(|file| !file.ends_with("main.rs"))
            .filter(|file| !shipped.contains(file) && !for_tests(file))
            .collect();
        assert!(escaped.is_empty(), "{escaped:#?}");
        assert!(!shipped.is_empty());
    }
}

#[test]
fn source_files_stay_within_400_lines() {
    let long: Vec<_> = crates()
        .into_iter()
        .flat_map(|(src, _)| files_below(&src))
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn a_breach_of_the_table_is_found() {
    for (module, imports, expected) in [
        ("tag", "error", true),
        ("tag", "entry", false),
        ("validity", "entry", false),
        ("semantics", "rules", false),
        ("rules", "semantics", true),
        ("rules", "validity", false),
        ("rules", "alerts", false),
        ("alerts", "rules", true),
        ("alerts", "log", false),
        ("entry", "entry", true),
        ("store", "log", true),
        ("log", "store", false),
        ("log", "engine", false),
        ("coalesce", "validity", true),
        ("coalesce", "log", false),
        ("activity", "log", true),
        ("activity", "redis", false),
        ("feed", "activity", true),
        ("feed", "live", false),
        ("redis", "store", true),
        ("redis", "engine", false),
        ("engine", "store", true),
        ("engine", "redis", false),
        ("engine", "middleware", false),
        ("middleware", "engine", true),
        ("middleware", "invalidation", false),
        ("outgoing", "live", false),
        ("outgoing", "clock", true),
        ("invalidation", "redis", true),
        ("invalidation", "builder", false),
        ("engine", "Cache", false),
        ("config", "Cache", true),
        ("config", "engine", false),
        ("config", "spelling", true),
        ("config", "outgoing", true),
        ("config", "log", false),
        ("builder", "redis", true),
        ("unheard_of", "tag", false),
    ] {
        let allowed = breaches(TABLE, module, &BTreeSet::from([imports.to_owned()])).is_empty();
        assert_eq!(allowed, expected, "`{module}` imports `{imports}`");
    }
    for (module, imports, expected) in [
        ("config", "proxy", true),
        ("proxy", "config", false),
        ("proxy", "admin", false),
        ("cli", "config", true),
    ] {
        let imports = BTreeSet::from([imports.to_owned()]);
        let allowed = breaches(PROGRAM_TABLE, module, &imports).is_empty();
        assert_eq!(allowed, expected, "`{module}` imports {imports:?}");
    }
}
