//! Clients of other programs.
