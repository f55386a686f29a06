//! What a Rust source names: modules of its own crate, other crates, `unsafe`.
//!
//! Parsed, not searched: `use` trees, paths in expressions, types, patterns and attributes, `self` and
//! `super` resolved, and the tokens inside macros, which no parser of the language looks into.

use proc_macro2::{Spacing, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// The name by which the crate could name itself.
const OWN_CRATE: &str = "strongroom";

/// Something that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// A path in the own crate, from its root; empty where it is the root itself.
    Module(Vec<String>),
    /// The first word of a path that may be another crate's name, or a local one.
    Crate(String),
    /// A module in a file of its own, declared in this file's outermost module.
    Declared(String),
    /// The word `unsafe`.
    Unsafe,
    /// `#[path]` or `include!`: code from a file that its module's name does not tell.
    OtherFile,
}

/// All that the source of the module `module` names, each with its line.
pub(crate) fn names_in(module: &[String], source: &str) -> syn::Result<Vec<(usize, Name)>> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder { module: module.to_vec(), file_depth: module.len(), found: Vec::new() };
    finder.find_unsafe(syn::parse_str(source)?);
    finder.visit_file(&file);
    Ok(finder.found)
}

struct Finder {
    /// The module that is being visited, with modules written inside the file.
    module: Vec<String>,
    /// How much of it is the file's own.
    file_depth: usize,
    found: Vec<(usize, Name)>,
}

impl Finder {
    fn add(&mut self, span: Span, name: Name) {
        self.found.push((span.start().line, name));
    }

    /// Takes a path's words, `*` for a glob, and notes what they name.
    fn add_path(&mut self, span: Span, words: &[String]) {
        let Some(first) = words.first() else { return };
        let supers = words.iter().take_while(|word| *word == "super").count();
        let (base, rest) = match first.as_str() {
            "crate" | OWN_CRATE => (&[][..], &words[1..]),
            "self" => (&self.module[..], &words[1..]),
            "super" => (&self.module[..self.module.len().saturating_sub(supers)], &words[supers..]),
            _ => return self.add(span, Name::Crate(first.clone())),
        };
        let path = base.iter().chain(rest).filter(|word| *word != "self").cloned().collect();
        self.add(span, Name::Module(path));
    }

    fn add_use(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |word: &proc_macro2::Ident| [before, &[word.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_use(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add_path(name.ident.span(), &with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add_path(rename.ident.span(), &with(&rename.ident)),
            syn::UseTree::Glob(glob) => {
                self.add_path(glob.star_token.span, &[before, &["*".to_owned()]].concat());
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_use(before, tree)),
        }
    }

    /// Finds the word wherever it stands: functions, blocks, implementations, macros.
    fn find_unsafe(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) if word == "unsafe" => self.add(word.span(), Name::Unsafe),
                TokenTree::Group(group) => self.find_unsafe(group.stream()),
                _ => {}
            }
        }
    }

    /// Finds paths among tokens that were not parsed: a macro's or an attribute's arguments.
    fn find_paths(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            if let TokenTree::Group(group) = token {
                self.find_paths(group.stream());
            }
            index += match token {
                TokenTree::Ident(first) => {
                    let follows_use = index > 0 && is_word(&tokens[index - 1], "use");
                    let (words, end) = path_at(&tokens, index);
                    if let Some(TokenTree::Group(group)) =
                        tokens.get(end).filter(|_| ends_in_colons(&tokens, end))
                    {
                        for part in parts(group.stream()) {
                            self.add_path(first.span(), &[&words[..], &part].concat());
                        }
                    } else if words.len() > 1 || follows_use {
                        self.add_path(first.span(), &words);
                    }
                    end - index
                }
                _ => 1,
            };
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.add_path(item.ident.span(), &[item.ident.to_string()]);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if self.module.len() == self.file_depth && item.content.is_none() {
            self.add(item.ident.span(), Name::Declared(item.ident.to_string()));
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first().filter(|_| path.segments.len() > 1) {
            let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add_path(first.ident.span(), &words);
        }
        visit::visit_path(self, path);
    }

    /// `pub(in crate::x)` shows a name to a module; it imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("path") {
            self.add(attribute.pound_token.span, Name::OtherFile);
        }
        if let syn::Meta::List(list) = &attribute.meta {
            self.find_paths(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|last| last.ident == "include") {
            self.add(call.bang_token.span, Name::OtherFile);
        }
        self.find_paths(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// The words `a::b::c` that begin at `index`, and the index after them and after a last `::`.
fn path_at(tokens: &[TokenTree], index: usize) -> (Vec<String>, usize) {
    let mut words = Vec::new();
    let mut at = index;
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        words.push(word.to_string());
        at += 1;
        if !ends_in_colons(tokens, at + 2) {
            break;
        }
        at += 2;
    }
    (words, at)
}

/// Whether `::` stands before `end`.
fn ends_in_colons(tokens: &[TokenTree], end: usize) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    let is_joint =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint);
    end >= 2 && tokens.get(end - 2..end).is_some_and(|pair| pair.iter().all(is_colon) && is_joint(&pair[0]))
}

/// The beginnings of the paths in the braces of `a::{b::c, d}`.
fn parts(tokens: TokenStream) -> Vec<Vec<String>> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    tokens.split(is_comma).map(|part| path_at(part, 0).0).collect()
}
