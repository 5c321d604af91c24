//! A test in a network of its own: the program of these tests, started once more for that test within namespaces.

use std::process::Command;

use libtest_mimic::Failed;

use crate::programs::Peer;

const INSIDE: &str = "NODEWARD_PEERS_APART";

/// Runs this where there is nothing but a loopback of its own; `name` is the test's.
pub fn apart(name: &str, test: fn() -> Result<(), Failed>) -> Result<(), Failed> {
    if std::env::var_os(INSIDE).is_some() {
        done(Command::new(Peer::Ip.find()?).args(["link", "set", "lo", "up"]))?;
        return test();
    }
    let mut command = Command::new(Peer::Unshare.find()?);
    command
        .arg("--net")
        .arg(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1");
    done(&mut command)
}

/// A rule of the firewall for a local port, lifted on drop.
pub struct Blocked {
    port: u16,
}

impl Blocked {
    /// Drops what comes for the port, as a firewall does: nobody is told.
    pub fn port(port: u16) -> Result<Self, Failed> {
        let blocked = Self { port };
        blocked.rule("--insert")?;
        Ok(blocked)
    }

    fn rule(&self, verb: &str) -> Result<(), Failed> {
        let port = self.port.to_string();
        let rule = [
            "INPUT",
            "--protocol",
            "tcp",
            "--destination-port",
            &port,
            "--jump",
            "DROP",
        ];
        done(Command::new(Peer::Iptables.find()?).arg(verb).args(rule))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // It goes with the network, should this fail.
        drop(self.rule("--delete"));
    }
}

fn done(command: &mut Command) -> Result<(), Failed> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(format!("{command:?}: {}\n{}", out.status, said.concat()).into())
}
