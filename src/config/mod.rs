//! The YAML file: which one, what it says, and everything that is wrong with it in one go.
//!
//! ```text
//!  locate ─> load: files, drop-ins ─> parse: tree with places ─> keys: names, kinds, words, limits
//!                                                                   │ drops what is wrong
//!   Loaded or Errors <── validate: across fields <── de: the types <─┘
//! ```
//!
//! It owns no option of any component: [`Config`] is made of the `Options` that they own, and the
//! walk over the keys, CONFIG.md, the JSON schema and the sample file are all made from those types. It opens no
//! socket and starts nothing. The surprising decision: the walk over the schema and the reading of
//! the types both go on past a fault, by dropping the value that is wrong from the tree.

pub mod agentd;
pub mod bounded;
pub mod cross;
pub mod de;
mod excerpt;
pub mod fault;
mod fingerprint;
mod items;
pub mod keys;
pub mod load;
pub mod locate;
pub mod parse;
pub mod reference;
mod root;
pub mod schema;
pub mod secret;
pub mod tree;
mod validate;
pub mod web;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use fault::Errors;
pub use locate::locate;
pub use root::{Config, Control, Node};

use fault::{Faults, Sources};
use load::Read;
use secret::Near;

/// A config that was read without a fault, and where it came from.
pub type Loaded = Read<Config>;

/// Reads a config file with its drop-ins and the secrets it names.
///
/// # Errors
/// Everything that is wrong, over all files, as a compiler shows it.
pub fn load(path: &Path) -> Result<Loaded, Errors> {
    let mut faults = Faults::default();
    let sources = load::sources(path, &mut faults);
    load::read(sources, &near(path), faults, validate::validate)
}

/// What a config says of where the control socket and the state are, and nothing else of it: whoever has to reach a nodeward that runs
/// is not to mend a config first. With it why that may be somewhere else, in one line: a file could not be read, or one of the two keys.
///
/// # Errors
/// There is no such file.
pub fn places(path: &Path) -> Result<(Config, Option<String>), Errors> {
    let mut faults = Faults::default();
    let sources = load::sources(path, &mut faults);
    if !load::is_there(path) {
        return Err(faults.into_errors(sources));
    }
    let (mut config, wrong) = load::sections(
        sources,
        &["control", "state"],
        &near(path),
        faults,
        validate::state,
    );
    config.state = config.state.filter(|state| state.is_absolute());
    let first = |wrong: Errors| Some(wrong.without_lines().lines().next()?.to_owned());
    Ok((config, wrong.and_then(first)))
}

/// What a config says of what the journal keeps, and nothing else of it; none where that cannot be read or is wrong.
pub fn journal(path: &Path) -> Option<crate::journal::Options> {
    let mut faults = Faults::default();
    let sources = load::sources(path, &mut faults);
    let read = load::sections::<Config>(sources, &["journal"], &near(path), faults, |_, _| ());
    let (config, wrong) = read;
    let options = config.journal;
    (wrong.is_none() && options.check().is_empty()).then_some(options)
}

/// Where the secrets of a config file are.
fn near(path: &Path) -> Near {
    // Only a path that is empty or a lost working directory has no absolute form.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = absolute.parent().unwrap_or(&absolute);
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let credentials = credentials
        .filter(|path: &OsString| !path.is_empty())
        .map(PathBuf::from);
    Near::new(directory, credentials)
}

/// Reads a config from texts that are no files; names in it begin at `directory`.
///
/// # Errors
/// As [`load`].
pub fn read(sources: Sources, directory: &Path) -> Result<Loaded, Errors> {
    load::read(
        sources,
        &Near::new(directory, None),
        Faults::default(),
        validate::validate,
    )
}

/// The config where there is no file: every key at its default.
pub fn none() -> Loaded {
    Read::default()
}

/// docs/CONFIG.md.
pub fn page() -> String {
    reference::page::<Config>(root::ORDER)
}

/// The JSON schema of the config file.
pub fn schema() -> String {
    reference::schema::<Config>()
}

/// A sample config file: every key at its default, commented out.
pub fn sample() -> String {
    reference::sample::<Config>(root::ORDER)
}

#[cfg(test)]
mod tests;
