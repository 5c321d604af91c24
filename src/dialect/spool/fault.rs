//! What goes wrong between the spool and its disk.

/// What went wrong, as a closed set: metric labels use these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The directory could not be made, locked or listed.
    Open,
    /// A batch could not be written.
    Write,
    /// A file could not be read or deleted.
    Read,
    /// A file ended within a record: its process was killed, or the disk was full.
    Torn,
}

impl Fault {
    /// Every fault, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Open, Self::Write, Self::Read, Self::Torn];

    /// The word for labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Write => "write",
            Self::Read => "read",
            Self::Torn => "torn",
        }
    }
}
