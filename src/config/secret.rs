//! Files named in the config: where a relative path begins, and the reading of secrets.
//!
//! Owns both rules. A secret never stands in the config itself, only the name of its file; its
//! content is put in its place while the config is read, so that no component reads secret files,
//! a missing one is found before anything starts, and a reload takes a changed one.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The largest secret, in bytes; a longer file was named by mistake.
const LARGEST: usize = 64 * 1024;

/// Of a file's mode: everybody may read it.
const READ_BY_OTHERS: u32 = 0o004;

/// What a systemd credential is called in the config: `credential:NAME`.
const CREDENTIAL: &str = "credential:";

/// Where the names of files in a config begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    directory: PathBuf,
    credentials: Option<PathBuf>,
    /// Files of secrets that everybody on the machine may read.
    exposed: RefCell<Vec<PathBuf>>,
}

/// Why a secret's file cannot be used. The text says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be opened or read.
    #[error("cannot read the secret in {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// What stands there is more likely a secret than the name of a file.
    #[error(
        "no such file, and this looks like the secret itself; \
         write it into a file and name that here"
    )]
    Content,
    /// Nothing in it.
    #[error("the secret in {} is empty", .0.display())]
    Empty(PathBuf),
    /// More than 64 KiB.
    #[error("{} is too large to be a secret (more than 64KiB)", .0.display())]
    TooLarge(PathBuf),
    /// No UTF-8.
    #[error("the secret in {} is no UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// `credential:` outside of a unit that has credentials.
    #[error("there are no systemd credentials: set LoadCredential= in the unit, or name a file")]
    NoCredentials,
    /// `credential:a/b`.
    #[error("{0:?} is no name of a systemd credential")]
    CredentialName(String),
}

impl Near {
    /// Names begin at `directory`; credentials are in `credentials`
    /// (systemd's `$CREDENTIALS_DIRECTORY`), if there are any.
    pub fn new(directory: impl Into<PathBuf>, credentials: Option<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            credentials,
            exposed: RefCell::default(),
        }
    }

    /// What is worth a warning about the secrets that were read.
    pub fn warnings(&self) -> Vec<String> {
        let exposed = self.exposed.borrow();
        let exposed = exposed.iter().map(|path| path.display());
        exposed
            .map(|path| {
                format!(
                    "everybody on this machine may read the secret in {path}; chmod 600 it, or 640"
                )
            })
            .collect()
    }

    /// A path as the config names it: absolute, or beginning at the config file's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The file that the config names: as [`Near::path`], or `credential:NAME`. Nothing is read.
    pub fn file(&self, name: &str) -> Result<PathBuf, Unusable> {
        let Some(credential) = name.strip_prefix(CREDENTIAL) else {
            return Ok(self.path(name));
        };
        let inside = !matches!(credential, "" | "." | "..") && !credential.contains('/');
        if !inside {
            return Err(Unusable::CredentialName(credential.to_owned()));
        }
        let credentials = self.credentials.as_ref().ok_or(Unusable::NoCredentials)?;
        Ok(credentials.join(credential))
    }

    /// Reads the secret that the config names: a file, or `credential:NAME`. One line break at
    /// the end is not part of it.
    pub fn secret(&self, name: &str) -> Result<String, Unusable> {
        let path = self.file(name)?;
        let (mut content, mode) = match read(&path) {
            Err(Unusable::Unreadable { .. }) if looks_like_content(name) => {
                return Err(Unusable::Content);
            }
            read => read?,
        };
        if content.ends_with('\n') {
            content.pop();
            if content.ends_with('\r') {
                content.pop();
            }
        }
        if content.is_empty() {
            return Err(Unusable::Empty(path));
        }
        let mut exposed = self.exposed.borrow_mut();
        if mode & READ_BY_OTHERS != 0 && !exposed.contains(&path) {
            exposed.push(path);
        }
        Ok(content)
    }
}

/// Whether a name of a file is more likely the secret that belongs into the file: several words, a
/// header, or a long row of letters and digits.
pub fn looks_like_content(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_' | '-');
    let name = name.strip_prefix(CREDENTIAL).unwrap_or(name);
    let long = name.len() >= 24 && name.chars().all(word);
    long || name.contains(": ") || name.trim().contains(char::is_whitespace) || name.ends_with(':')
}

/// A text, and the mode of its file.
fn read(path: &Path) -> Result<(String, u32), Unusable> {
    let unreadable = |cause| Unusable::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    let limit = u64::try_from(LARGEST + 1).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() > LARGEST {
        return Err(Unusable::TooLarge(path.to_owned()));
    }
    let content = String::from_utf8(content).map_err(|_| Unusable::NotText(path.to_owned()))?;
    Ok((content, mode))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_the_content_of_a_file_beside_the_config_or_of_a_credential() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "abc\n").unwrap();
        std::fs::set_permissions(&token, Permissions::from_mode(0o644)).unwrap();
        std::fs::write(directory.path().join("empty"), "\n").unwrap();
        std::fs::write(directory.path().join("large"), vec![b'x'; LARGEST + 1]).unwrap();
        std::fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
        let near = Near::new(directory.path(), Some(directory.path().to_owned()));
        assert_eq!(near.secret("token").unwrap(), "abc");
        assert_eq!(near.secret("credential:token").unwrap(), "abc");
        assert!(matches!(near.secret("empty"), Err(Unusable::Empty(_))));
        assert!(matches!(near.secret("large"), Err(Unusable::TooLarge(_))));
        assert!(matches!(near.secret("binary"), Err(Unusable::NotText(_))));
        assert!(matches!(near.secret("."), Err(Unusable::Unreadable { .. })));
        assert!(matches!(
            near.secret("gone"),
            Err(Unusable::Unreadable { .. })
        ));
        assert!(matches!(
            near.secret("credential:../token"),
            Err(Unusable::CredentialName(_))
        ));
        for content in [
            "0123456789abcdef0123456789abcdef",
            "Authorization: Bearer x",
        ] {
            let said = near.secret(content).unwrap_err();
            assert!(!said.to_string().contains(content), "{said}");
        }
        assert_eq!(near.warnings().len(), 1);
        std::fs::set_permissions(&token, Permissions::from_mode(0o640)).unwrap();
        let near = Near::new(directory.path(), None);
        near.secret("token").unwrap();
        assert!(near.warnings().is_empty());
        let bare = Near::new("/etc/nodeward", None);
        assert!(matches!(
            bare.secret("credential:token"),
            Err(Unusable::NoCredentials)
        ));
        assert_eq!(bare.path("web.yml"), PathBuf::from("/etc/nodeward/web.yml"));
        assert_eq!(bare.path("/etc/web.yml"), PathBuf::from("/etc/web.yml"));
        assert!(matches!(
            bare.file("credential:psk"),
            Err(Unusable::NoCredentials)
        ));
        let unit = Near::new("/etc/nodeward", Some("/run/credentials/x".into()));
        assert_eq!(
            unit.file("credential:psk").unwrap(),
            PathBuf::from("/run/credentials/x/psk")
        );
        assert_eq!(
            unit.file("psk").unwrap(),
            PathBuf::from("/etc/nodeward/psk")
        );
    }
}
