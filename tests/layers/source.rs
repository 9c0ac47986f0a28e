//! A crate's production code as a tree of modules: which file a module stands in, what it defines, and what it
//! names. What is compiled for tests only is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Where a module is: the names on the way to it from the root of its crate.
pub(crate) type ModulePath = Vec<String>;

#[derive(Default)]
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
    /// Files that only tests compile, and what is below them.
    pub(crate) tests: Vec<PathBuf>,
}

/// A module, in a file of its own or within another's.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
    names: BTreeMap<String, Vec<Binding>>,
}

/// What a name stands for in a module.
#[derive(Debug)]
enum Binding {
    Item,
    Module,
    /// What a `use` makes of it.
    Use(Vec<String>),
}

/// What a path leads to: an item, and the module that defines it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) module: ModulePath,
    pub(crate) name: String,
}

/// For each file those that it takes something from, and what.
pub(crate) type Uses<'s> = BTreeMap<&'s Path, BTreeMap<&'s Path, BTreeSet<String>>>;

/// A path in the code of a module, by its segments.
pub(crate) type Segments = Vec<String>;

impl Source {
    /// The crate whose root is `lib.rs` in `src`.
    pub(crate) fn of(src: &Path) -> Self {
        let mut source = Self::default();
        source.read(Vec::new(), &src.join("lib.rs"));
        source
    }

    /// A crate of one file.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut source = Self::default();
        let parsed = syn::parse_file(text).expect("the text is Rust");
        source.add(Vec::new(), Path::new("lib.rs"), parsed.items);
        source
    }

    fn read(&mut self, module: ModulePath, file: &Path) {
        let text = fs::read_to_string(file).expect("a source file is readable");
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.add(module, file, parsed.items);
    }

    fn add(&mut self, module: ModulePath, file: &Path, items: Vec<Item>) {
        let (tests, items): (Vec<_>, Vec<_>) = items
            .into_iter()
            .partition(|item| for_tests(attributes(item)));
        let below = |name: &str| submodule(file, name);
        let test_files = tests.iter().filter_map(|item| match item {
            Item::Mod(item) if item.content.is_none() => below(&item.ident.to_string()),
            _ => None,
        });
        self.tests.extend(test_files);
        let names = bindings(&items);
        for item in &items {
            let Item::Mod(item) = item else { continue };
            let name = item.ident.to_string();
            let path = [module.as_slice(), std::slice::from_ref(&name)].concat();
            match &item.content {
                Some((_, items)) => self.add(path, file, items.clone()),
                None => {
                    if let Some(below) = below(&name) {
                        self.read(path, &below);
                    }
                }
            }
        }
        let file = file.to_owned();
        let added = Module { file, items, names };
        self.modules.insert(module, added);
    }

    /// What `segments` lead to from within `module`, if that is in this crate.
    pub(crate) fn resolve(&self, module: &[String], segments: &[String]) -> Option<Target> {
        self.walk(module, segments, 0)
    }

    fn walk(&self, module: &[String], segments: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = segments.split_first()?;
        // A name that is made of itself leads nowhere.
        if depth > 16 {
            return None;
        }
        match first.as_str() {
            "crate" => return self.walk(&[], rest, depth + 1),
            "self" => return self.walk(module, rest, depth + 1),
            "super" => {
                let (_, parent) = module.split_last()?;
                return self.walk(parent, rest, depth + 1);
            }
            _ => {}
        }
        let known = self.modules.get(module)?.names.get(first)?;
        let find = |binding: &Binding| match binding {
            Binding::Item => Some(Target {
                module: module.to_vec(),
                name: first.clone(),
            }),
            Binding::Use(path) => {
                let path = [path.as_slice(), rest].concat();
                self.walk(module, &path, depth + 1)
            }
            Binding::Module if rest.is_empty() => None,
            Binding::Module => {
                let inner = [module, std::slice::from_ref(first)].concat();
                self.walk(&inner, rest, depth + 1)
            }
        };
        // With more to follow it is a module, if there is one of that name.
        let is_module = |binding: &&Binding| matches!(binding, Binding::Module);
        let (modules, others): (Vec<_>, Vec<_>) = known.iter().partition(is_module);
        match rest.is_empty() {
            true => others.into_iter().find_map(find),
            false => modules.into_iter().chain(others).find_map(find),
        }
    }

    /// For each file those that it takes something from, and what, wherever that is re-exported. What a module takes
    /// from the one that it is a part of does not count: the two are one module, told in several files.
    pub(crate) fn uses(&self) -> Uses<'_> {
        let mut uses = Uses::new();
        for (path, module) in &self.modules {
            let of_file = uses.entry(&module.file).or_default();
            for named in module.paths() {
                let Some(target) = self.resolve(path, &named) else {
                    continue;
                };
                let file = self.modules[&target.module].file.as_path();
                if !path.starts_with(&target.module) && file != module.file {
                    of_file.entry(file).or_default().insert(target.name);
                }
            }
        }
        uses
    }
}

impl Module {
    /// The paths in its code: of types, functions and so on, in macros too, and what it imports for itself. What it
    /// re-exports it does not use.
    pub(crate) fn paths(&self) -> BTreeSet<Segments> {
        let mut paths = Paths::default();
        for item in &self.items {
            paths.visit_item(item);
        }
        paths.found
    }
}

/// The first segments of all `crate::` paths in `module`.
pub(crate) fn imports(module: &Module) -> BTreeSet<String> {
    let mut paths = Paths {
        re_exports: true,
        ..Paths::default()
    };
    for item in &module.items {
        paths.visit_item(item);
    }
    let within = |path: &Segments| match path.as_slice() {
        [root, first, ..] if root == "crate" => Some(first.clone()),
        _ => None,
    };
    paths.found.iter().filter_map(within).collect()
}

/// The file of the module `name` that `file` declares.
fn submodule(file: &Path, name: &str) -> Option<PathBuf> {
    let below = directory_of(file).join(name);
    let candidates = [below.with_extension("rs"), below.join("mod.rs")];
    candidates.into_iter().find(|path| path.exists())
}

/// Where the submodules of the module in `file` are.
pub(crate) fn directory_of(file: &Path) -> PathBuf {
    if file.ends_with("lib.rs") || file.ends_with("mod.rs") {
        file.with_file_name("")
    } else {
        file.with_extension("")
    }
}

/// What the items of a module name.
fn bindings(items: &[Item]) -> BTreeMap<String, Vec<Binding>> {
    let mut names: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    let mut bind = |name: String, binding| names.entry(name).or_default().push(binding);
    for item in items {
        match item {
            Item::Mod(item) => bind(item.ident.to_string(), Binding::Module),
            Item::Use(item) => {
                for (name, path) in leaves(&item.tree) {
                    bind(name, Binding::Use(path));
                }
            }
            other => {
                if let Some((name, _)) = named(other) {
                    bind(name, Binding::Item);
                }
            }
        }
    }
    names
}

/// The name of an item, and who sees it.
pub(crate) fn named(item: &Item) -> Option<(String, Visibility)> {
    let (name, visibility) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        Item::Macro(item) => (item.ident.as_ref()?, &Visibility::Inherited),
        _ => return None,
    };
    Some((name.to_string(), visibility.clone()))
}

/// The names that a `use` gives, and the path of each.
fn leaves(tree: &UseTree) -> Vec<(String, Segments)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let below = leaves(&path.tree).into_iter();
            let whole = |(name, path): (String, Segments)| {
                // `use a::{self}` names `a`.
                let named_self = path == ["self"];
                let path = match named_self {
                    true => vec![first.clone()],
                    false => [vec![first.clone()], path].concat(),
                };
                let name = if name == "self" { first.clone() } else { name };
                (name, path)
            };
            below.map(whole).collect()
        }
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(name) => vec![(name.rename.to_string(), vec![name.ident.to_string()])],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
        UseTree::Glob(_) => Vec::new(),
    }
}

fn for_tests(attributes: &[Attribute]) -> bool {
    let test = |attribute: &Attribute| {
        let condition = attribute.parse_args::<syn::Ident>();
        attribute.path().is_ident("cfg") && condition.is_ok_and(|condition| condition == "test")
    };
    attributes.iter().any(test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Gathers the paths of what it visits.
#[derive(Debug, Default)]
struct Paths {
    found: BTreeSet<Segments>,
    /// Whether what is re-exported counts.
    re_exports: bool,
}

impl Paths {
    /// The paths that stand in the arguments of a macro, whose syntax is its own.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.found.insert(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.found.insert(std::mem::take(&mut path));
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.found.insert(path);
    }
}

impl Visit<'_> for Paths {
    fn visit_item(&mut self, item: &Item) {
        // A module within the file has a place of its own in the tree.
        if !for_tests(attributes(item)) && !matches!(item, Item::Mod(_)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        if !for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_field(&mut self, field: &syn::Field) {
        if !for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &syn::FieldValue) {
        if !for_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_local(&mut self, local: &syn::Local) {
        if !for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        if self.re_exports || matches!(item.vis, Visibility::Inherited) {
            let leaves = leaves(&item.tree).into_iter();
            self.found.extend(leaves.map(|(_, path)| path));
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments = path.segments.iter().map(|part| part.ident.to_string());
        self.found.insert(segments.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &syn::Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone());
    }

    /// Documentation and derives name nothing that is called.
    fn visit_attribute(&mut self, _: &Attribute) {}
}

#[test]
fn imports_are_found_wherever_they_stand() {
    for (name, text, found) in [
        ("a path", "use crate::tag::Tag;", &["tag"][..]),
        ("a re-export", "pub(crate) use crate::log::View;", &["log"]),
        (
            "a group over lines",
            "use crate::{\n    clock::{Clock, Timestamp},\n    log::{self, view::{A, B}},\n};",
            &["clock", "log"],
        ),
        (
            "in an expression",
            "fn f() { crate::redis::open() }",
            &["redis"],
        ),
        (
            "a comment",
            "// crate::redis\n/* crate::log /* */ crate::log */",
            &[],
        ),
        (
            "a link in docs",
            "/// See [`x`](crate::observe::Notice).",
            &[],
        ),
        ("a string", r#"const A: &str = "a \" crate::redis";"#, &[]),
        (
            "a raw string",
            "const A: &str = r#\"\" crate::redis\"#;",
            &[],
        ),
        (
            "behind quotes and lifetimes",
            "fn f<'a>(c: &'a str) -> char { g('\"', '\\'', '/'); crate::log::h(c) }",
            &["log"],
        ),
        (
            "for tests only",
            "#[cfg(test)]\nmod tests { use crate::redis::R; fn f() { {} } }\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a test import alone",
            "#[cfg(test)]\nuse crate::embedded::{A, B};\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a test field",
            "struct S { #[cfg(test)] a: A }\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a feature is not a test",
            "#[cfg(any(test, feature = \"test-util\"))]\nmod m { use crate::log::L; }",
            &["log"],
        ),
    ] {
        let expected: BTreeSet<_> = found.iter().map(ToString::to_string).collect();
        // Documentation needs an item behind it.
        let source = Source::of_text(&format!("{text}\nstruct Last;"));
        let imported: BTreeSet<_> = source.modules.values().flat_map(imports).collect();
        assert_eq!(imported, expected, "{name}");
    }
}

#[test]
fn names_lead_to_what_they_stand_for() {
    let source = Source::of_text(
        "mod a { pub use self::b::Thing; pub mod b { pub struct Thing; pub fn make() {} } }\n\
         mod c { use crate::a::{self, Thing as Other}; use super::a::b::*; pub struct Own; }",
    );
    let resolve = |path: &str| {
        let segments: Segments = path.split("::").map(str::to_owned).collect();
        let found = source.resolve(&["c".to_owned()], &segments);
        found.map(|target| format!("{}::{}", target.module.join("::"), target.name))
    };
    for (path, expected) in [
        ("Own", Some("c::Own")),
        ("Other", Some("a::b::Thing")),
        ("Other::Variant", Some("a::b::Thing")),
        ("a::Thing", Some("a::b::Thing")),
        ("a::b::make", Some("a::b::make")),
        ("super::a::Thing", Some("a::b::Thing")),
        ("crate::c::Own", Some("c::Own")),
        ("crate::a", None),
        ("Thing", None),
        ("std::fmt", None),
    ] {
        assert_eq!(resolve(path).as_deref(), expected, "{path}");
    }
}
