//! The action `container` on a real Podman, by its Docker API.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use nodeward::action::{Do, Looked, Order, Outcome, World};
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

/// A Podman with a store of its own, and everything in it gone on drop.
struct Podman {
    home: PathBuf,
}

impl Podman {
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

    fn run(&self, arguments: &[&str]) -> Result<(), Failed> {
        let out = self.command()?.args(arguments).output()?;
        let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
        out.status
            .success()
            .then_some(())
            .ok_or_else(|| complaint.into())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.run(&["rm", "--force", "--time", "0", "--all"]));
    }
}

fn podman() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let home = scratch.path().join("podman");
    let image = home.join("image");
    std::fs::create_dir_all(image.join("bin"))?;
    std::fs::copy(Peer::Busybox.find()?, image.join("bin/busybox"))?;
    let tar = home.join("image.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&image)
        .arg("-cf")
        .arg(&tar)
        .arg(".")
        .status()?;
    assert!(packed.success());
    let podman = Podman { home };
    podman.run(&["import", "--quiet", &tar.to_string_lossy(), "nodeward-test"])?;
    let run = "run --detach --name api --network none --stop-timeout 1 --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 \
               nodeward-test /bin/busybox sleep 1000";
    podman.run(&run.split_whitespace().collect::<Vec<_>>())?;
    let socket = scratch.path().join("api.sock");
    let mut service = podman.command()?;
    service.args([
        "system",
        "service",
        "--time=0",
        &format!("unix://{}", socket.display()),
    ]);
    let _service = Running::start("podman", &mut service, &scratch)?;
    until("podman's socket", || socket.exists().then_some(()))?;

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
