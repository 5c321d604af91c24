//! The action `container` on a real Podman, by its Docker API.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use nodeward::action::{Do, Looked, Order, Outcome, Stop, World};
use nodeward::host::Host;
use nodeward::model::alert::Labels;
use nodeward::model::id::{AttemptId, IncidentId};
use nodeward::model::target::Target;
use nodeward::net::resolve::Resolver;
use nodeward::peer::container::{Engine, Options};
use serde_json::json;

use crate::PeerTest;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "containers::podman_does_what_it_is_asked_and_the_witness_tells",
    needs: &[Peer::Root, Peer::Podman, Peer::Runc, Peer::Busybox],
    run: podman,
}];

/// A Podman with a store of its own and its API on a socket; everything in it is gone on drop.
pub struct Podman {
    home: PathBuf,
    /// Where its API is.
    pub socket: PathBuf,
    service: Option<Running>,
}

/// The one image there is.
const IMAGE: &str = "nodeward-test";

impl Podman {
    /// Starts it, with an image and no container.
    pub fn start(scratch: &Scratch) -> Result<Self, Failed> {
        let home = scratch.path().join("podman");
        let bin = home.join("image/bin");
        std::fs::create_dir_all(&bin)?;
        std::fs::copy(Peer::Busybox.find()?, bin.join("busybox"))?;
        // Health checks want one.
        std::os::unix::fs::symlink("busybox", bin.join("sh"))?;
        let tar = home.join("image.tar");
        let packed = Command::new("tar")
            .arg("-C")
            .arg(home.join("image"))
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status()?;
        assert!(packed.success());
        let mut podman = Self {
            home,
            socket: scratch.path().join("api.sock"),
            service: None,
        };
        podman.run(&["import", "--quiet", &tar.to_string_lossy(), IMAGE])?;
        let mut service = podman.command()?;
        let address = format!("unix://{}", podman.socket.display());
        service.args(["system", "service", "--time=0", &address]);
        podman.service = Some(Running::start("podman", &mut service, scratch)?);
        until("podman's socket", || podman.socket.exists().then_some(()))?;
        Ok(podman)
    }

    /// Runs a container of this name that does nothing.
    pub fn container(&self, name: &str, options: &[&str]) -> Result<(), Failed> {
        let run = "run --detach --network none --stop-timeout 1 --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --name";
        let run: Vec<&str> = run.split(' ').chain([name]).collect();
        let command = [IMAGE, "/bin/busybox", "sleep", "1000"];
        self.run(&[&run, options, &command].concat())
    }

    fn command(&self) -> Result<Command, Failed> {
        let mut command = Command::new(Peer::Podman.find()?);
        for (option, below) in [
            ("--root", "root"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
        ] {
            command.arg(option).arg(self.home.join(below));
        }
        // crun, a sandbox of cgroups and the journal all want more than a test machine has.
        command.args(["--storage-driver", "vfs", "--runtime", "runc"]);
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        Ok(command)
    }

    /// Runs a command of it.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failed> {
        self.output(arguments).map(drop)
    }

    /// Runs a command of it, for what it prints.
    pub fn output(&self, arguments: &[&str]) -> Result<String, Failed> {
        let out = self.command()?.args(arguments).output()?;
        match out.status.success() {
            true => Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned().into()),
        }
    }

    /// What it says of a container, by one of its templates.
    pub fn tell(&self, name: &str, template: &str) -> Result<String, Failed> {
        self.output(&["inspect", "--format", template, name])
    }

    /// When a container was last started.
    pub fn started(&self, name: &str) -> Result<String, Failed> {
        self.tell(name, "{{.State.StartedAt}}")
    }

    /// How often a container was started, by its log of events.
    pub fn starts(&self, name: &str) -> Result<usize, Failed> {
        let filter = format!("container={name}");
        let events = ["events", "--stream=false", "--filter", "event=start"];
        let told = self.output(&[&events[..], &["--filter", &filter]].concat())?;
        Ok(told.lines().filter(|line| !line.is_empty()).count())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.run(&["rm", "--force", "--time", "0", "--all"]));
    }
}

fn podman() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    podman.container("api", &[])?;
    let socket = podman.socket.clone();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let world = World {
        host: Arc::new(Host::default()),
        systemd: None,
        container: Some(Arc::new(Engine::new(&Options {
            socket: Some(socket),
        }))),
        resolver: Resolver::default(),
        state: None,
    };
    let attempt = AttemptId {
        incident: IncidentId::new("01JD"),
        number: 1,
    };
    let with =
        |verb: &str, name: &str, timeout: u64| -> Result<(Outcome, Looked, Looked), Failed> {
            let what: Do = serde_json::from_value(json!({"container": verb}))?;
            let target = Target::new("container", name)?;
            let order = Order {
                attempt: &attempt,
                playbook: "test",
                target: &target,
                labels: &Labels::new(),
                timeout: Duration::from_secs(timeout),
                stop: &Stop::never(),
            };
            Ok(runtime.block_on(async {
                let before = what.look(&world, &order).await;
                let outcome = what.act(&world, &order, |_| ()).await;
                (outcome, before, what.look(&world, &order).await)
            }))
        };
    for (verb, running, already, changes) in [
        ("restart", true, false, true),
        ("start", true, true, false),
        ("stop", false, false, true),
        ("stop", false, true, false),
        ("start", true, false, true),
        ("kill", false, false, true),
        ("restart", true, false, true),
    ] {
        let (outcome, before, after) = with(verb, "api", 60)?;
        let Outcome::Done(detail) = &outcome else {
            return Err(format!("{verb}: {outcome:?}").into());
        };
        let right = detail["already_so"] == already
            && (verb == "kill" || detail.pointer("/state/running") == Some(&json!(running)));
        if !right
            || before.witness.clone()?.is_none()
            || (before.witness != after.witness) != changes
        {
            return Err(format!("{verb}: {outcome:?}, {before:?}, {after:?}").into());
        }
    }
    let refused = |outcome: &Outcome, says: &str| -> Result<(), Failed> {
        match outcome {
            Outcome::Failed { why, .. } if why.contains(says) => Ok(()),
            other => Err(format!("{says}: {other:?}").into()),
        }
    };
    refused(&with("restart", "no-such", 60)?.0, "knows no container")?;
    refused(&with("restart", "api", 3)?.0, "longer timeout")?;
    with("stop", "api", 60)?;
    refused(
        &with("kill", "api", 60)?.0,
        "can only kill running containers",
    )?;

    Ok(())
}
