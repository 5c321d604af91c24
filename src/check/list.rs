//! The list of kinds of probes, and the config's choice among them.

use super::Kind;

crate::kinds! {
    /// What is probed: exactly one kind.
    Probe of Kind;

    command: Command(super::command::Command) "A program ends with exit status 0.";
    container: Container(super::container::Container) "A container runs, and is healthy if it must be.";
    directory: Directory(super::directory::Directory) "A directory is there, has room, and takes what is written.";
    file: File(super::file::File) "A file is there, and is what it should be: its hash, size and age.";
    http: Http(super::http::Http) "An HTTP server answers as expected.";
    tcp: Tcp(super::tcp::Tcp) "A TCP port or Unix socket takes a connection.";
    process: Process(super::process::Process) "Enough, and not too many, processes run.";
    reading: Reading(super::reading::Reading) "A value that nodeward reads itself stays on the right side of a line.";
    unit: Unit(super::unit::Unit) "A unit of systemd is active.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_list_is_the_key_in_the_config() {
        let probe: Probe = serde_json::from_str(r#"{"tcp": {"address": "web:80"}}"#).unwrap();
        assert_eq!(probe.kind(), "tcp");
        let schema = serde_json::to_string(&schemars::schema_for!(Probe)).unwrap();
        for kind in KINDS {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }
}
