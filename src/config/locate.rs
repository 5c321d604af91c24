//! Which config file is read.
//!
//! Owns the order of precedence alone; it reads no file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Read when neither a flag nor a variable names another, and it exists.
pub const DEFAULT: &str = "/etc/nodeward/nodeward.yml";

/// Names the config file where no flag does.
pub const VARIABLE: &str = "NODEWARD_CONFIG";

/// The config file: `--config FILE`, else `$NODEWARD_CONFIG` unless it is empty, else
/// `/etc/nodeward/nodeward.yml` if it or a drop-in of it exists, else none.
pub fn locate(flag: Option<PathBuf>) -> Option<PathBuf> {
    choose(flag, std::env::var_os(VARIABLE), Path::new(DEFAULT))
}

fn choose(flag: Option<PathBuf>, variable: Option<OsString>, default: &Path) -> Option<PathBuf> {
    let variable = variable.filter(|path| !path.is_empty()).map(PathBuf::from);
    let default = || super::load::is_there(default).then(|| default.to_owned());
    flag.or(variable).or_else(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_the_variable_and_the_variable_beats_the_default() {
        let there = std::env::current_dir().unwrap();
        let gone = there.join("no such file");
        let (flag, variable) = (PathBuf::from("flag.yml"), OsString::from("variable.yml"));
        let chosen = |flag, variable, default| choose(flag, variable, default);
        assert_eq!(
            chosen(Some(flag.clone()), Some(variable.clone()), &there),
            Some(flag)
        );
        assert_eq!(
            chosen(None, Some(variable), &there),
            Some(PathBuf::from("variable.yml"))
        );
        assert_eq!(
            chosen(None, Some(OsString::new()), &there),
            Some(there.clone())
        );
        assert_eq!(chosen(None, None, &gone), None);
        let scratch = tempfile::tempdir().unwrap();
        let main = scratch.path().join("nodeward.yml");
        let drop_ins = scratch.path().join("nodeward.d");
        std::fs::create_dir(&drop_ins).unwrap();
        assert_eq!(chosen(None, None, &main), None);
        std::fs::write(drop_ins.join("a.yml"), "").unwrap();
        assert_eq!(chosen(None, None, &main), Some(main));
    }
}
