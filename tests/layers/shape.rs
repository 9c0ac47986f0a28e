//! `docs/STYLE.md` §5: no circle among files, an `impl` stands with its type, and no two types share a name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::{Item, Type, Visibility};

use crate::crates;
use crate::source::{Source, Target, Uses, named};

/// The files that `from` uses, and those that they use, and so on.
fn reached<'s>(uses: &Uses<'s>, from: &'s Path) -> BTreeSet<&'s Path> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        let used = uses.get(file).into_iter().flatten();
        next.extend(
            used.map(|(used, _)| *used)
                .filter(|used| reached.insert(*used)),
        );
    }
    reached
}

/// For each file that takes part in a circle, what it takes from the others of it.
fn circles(source: &Source) -> Vec<String> {
    let uses = source.uses();
    let reached: BTreeMap<&Path, _> = uses
        .keys()
        .map(|file| (*file, reached(&uses, file)))
        .collect();
    let mut found = Vec::new();
    for (file, used) in &uses {
        for (other, names) in used {
            if reached[other].contains(file) {
                found.push(format!(
                    "{} -> {}: {names:?}",
                    file.display(),
                    other.display()
                ));
            }
        }
    }
    found
}

/// The inherent `impl`s that stand neither in the module of their type nor below it.
fn strays(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (path, module) in &source.modules {
        for item in &module.items {
            let Item::Impl(block) = item else { continue };
            let (None, Type::Path(of)) = (&block.trait_, &*block.self_ty) else {
                continue;
            };
            let segments: Vec<_> = of
                .path
                .segments
                .iter()
                .map(|s| s.ident.to_string())
                .collect();
            let home = source.resolve(path, &segments);
            if let Some(Target { module: home, name }) =
                home.filter(|t| !path.starts_with(&t.module))
            {
                let (file, home) = (module.file.display(), home.join("::"));
                found.push(format!(
                    "{file}: `impl {name}`, which is defined in `{home}`"
                ));
            }
        }
    }
    found
}

/// The types that others than their own module see and that share their name with another, and where they are.
fn namesakes(source: &Source) -> Vec<String> {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, module) in &source.modules {
        for item in &module.items {
            let is_type = matches!(
                item,
                Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_) | Item::Union(_)
            );
            match named(item) {
                None | Some((_, Visibility::Inherited)) => {}
                Some((name, _)) if is_type => {
                    defined.entry(name).or_default().push(path.join("::"));
                }
                Some(_) => {}
            }
        }
    }
    defined.retain(|_, places| places.len() > 1);
    defined
        .into_iter()
        .map(|(name, places)| format!("`{name}`: {}", places.join(", ")))
        .collect()
}

fn of_each(check: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let sources = crates().map(|(src, _)| Source::of(&src));
    sources.iter().flat_map(check).collect()
}

/// A crate of these files, each a module of its own at the root.
fn source(files: &[(&str, &str)]) -> Source {
    let modules = files
        .iter()
        .map(|(name, text)| format!("mod {name} {{ {text} }}"));
    let mut source = Source::of_text(&modules.collect::<String>());
    for (path, module) in &mut source.modules {
        if let Some(name) = path.first() {
            module.file = format!("{name}.rs").into();
        }
    }
    source
}

#[test]
fn what_is_wrong_with_a_shape_is_found() {
    let a = ("a", "pub struct A;");
    let uses_a = ("b", "use crate::a::A; pub fn b(_: A) {}");
    assert!(circles(&source(&[a, uses_a])).is_empty());
    let circle = [
        ("a", "pub struct A(crate::b::B);"),
        ("b", "pub struct B(crate::a::A);"),
    ];
    assert_eq!(circles(&source(&circle)).len(), 2);
    let in_a_macro = [("a", "pub struct A; fn f() { f!(crate::b::b()) }"), uses_a];
    assert_eq!(circles(&source(&in_a_macro)).len(), 2);
    let re_exported = [("a", "pub use crate::b::b; pub struct A;"), uses_a];
    assert!(circles(&source(&re_exported)).is_empty());

    let stray = ("b", "use crate::a::A; impl A {} impl Clone for A {}");
    assert_eq!(strays(&source(&[a, stray])).len(), 1);
    let below = ("a", "pub struct A; mod below { impl super::A {} }");
    assert!(strays(&source(&[below])).is_empty());

    assert_eq!(
        namesakes(&source(&[a, ("b", "pub(super) enum A {}")])).len(),
        1
    );
    assert!(namesakes(&source(&[a, ("b", "struct A; pub fn a() {}")])).is_empty());
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let found = of_each(circles);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_impl_stands_with_its_type() {
    let found = of_each(strays);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_two_types_share_a_name() {
    let found = of_each(namesakes);
    assert!(found.is_empty(), "{}", found.join("\n"));
}
