//! Names of users and groups: passwd(5) and group(5) below the root of the machine.

use super::parse::name_of;
use super::{Pass, Root};

/// Both files, or nothing of one that cannot be read.
#[derive(Debug, Default)]
pub struct Accounts {
    users: Vec<u8>,
    groups: Vec<u8>,
}

impl Accounts {
    /// Reads them.
    pub fn read(pass: &mut Pass<'_>) -> Self {
        let mut read = |file| pass.once(Root::Rootfs, file).map(<[u8]>::to_vec);
        Self {
            users: read("etc/passwd").unwrap_or_default(),
            groups: read("etc/group").unwrap_or_default(),
        }
    }

    /// The name of a user; its number where it has none.
    #[must_use]
    pub fn user(&self, uid: u32) -> String {
        name_of(&self.users, uid).unwrap_or_else(|| uid.to_string())
    }

    /// The name of a group; its number where it has none.
    #[must_use]
    pub fn group(&self, gid: u32) -> String {
        name_of(&self.groups, gid).unwrap_or_else(|| gid.to_string())
    }
}
