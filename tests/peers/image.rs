//! The last stage of the Dockerfile, built and run by a real Podman, with the host mounted as kube-prometheus mounts it.
//!
//! The first stage needs an image from a registry and a release build. In its place is the program under test, which is linked to the
//! machine's C library: that lies beside it in the image. `NODEWARD_PROGRAM` may name one for `x86_64-unknown-linux-musl`, which needs
//! none. Everything that the last stage says is the shipped file's.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::containers::Podman;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::reference::COLLECTORS;
use crate::scratch::Scratch;
use crate::{PeerTest, live, ours, web};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "image::the_shipped_image_reads_its_host_and_knows_its_health",
    needs: &[
        Peer::Root,
        Peer::Podman,
        Peer::Runc,
        Peer::Busybox,
        Peer::NodeExporter,
    ],
    run: image,
}];

/// The files that the dynamic linker wants for a program, itself included.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Failed> {
    let out = Command::new("ldd").arg(program).output()?;
    let words = String::from_utf8(out.stdout)?;
    let paths = words
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).collect())
}

/// What the last stage builds from, and its text.
fn context(scratch: &Scratch) -> Result<PathBuf, Failed> {
    let context = scratch.path().join("context");
    let program = ours::program();
    let program = Path::new(&program);
    for made in ["out/run/nodeward", "out/var/lib/nodeward", "libraries"] {
        std::fs::create_dir_all(context.join(made))?;
    }
    std::fs::copy(program, context.join("out/nodeward"))?;
    for library in libraries(program)? {
        let at = context.join("libraries").join(library.strip_prefix("/")?);
        std::fs::create_dir_all(at.parent().ok_or("a library without a place")?)?;
        std::fs::copy(&library, &at)?;
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    let shipped = std::fs::read_to_string(shipped)?;
    let (_, last) = shipped
        .rsplit_once("FROM scratch\n")
        .ok_or("the last stage is not from scratch")?;
    if !last.contains("--from=build") {
        return Err(format!("the last stage takes nothing of the first: {last}").into());
    }
    let last = last.replace("--from=build ", "");
    std::fs::write(
        context.join("Dockerfile"),
        format!("FROM scratch\nCOPY libraries /\n{last}"),
    )?;
    Ok(context)
}

fn image() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    let context = context(&scratch)?;
    let context = context.to_string_lossy();
    // A health check is of Docker's format.
    podman.run(&[
        "build",
        "--quiet",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--tag",
        "shipped",
        &context,
    ])?;
    let user = podman.output(&[
        "image",
        "inspect",
        "--format",
        "{{.Config.User}}",
        "shipped",
    ])?;
    if user != "65532:65532" {
        return Err(format!("the image runs as {user}").into());
    }
    let options = [
        "--name",
        "node",
        "--network",
        "host",
        "--pid",
        "host",
        "--cap-drop",
        "all",
        "--ulimit",
        "nofile=1024:1024",
        "--ulimit",
        "nproc=1000:1000",
        "--volume",
        "/:/host/root:ro,rslave",
        "--volume",
        "/sys:/host/sys:ro",
        "shipped",
        "--web.listen-address=127.0.0.1:0",
        "--path.procfs=/host/root/proc",
        "--path.sysfs=/host/sys",
        "--path.rootfs=/host/root",
        "--path.udev.data=/host/root/run/udev/data",
    ];
    let log = scratch.path().join("node.log");
    let kept = format!("path={}", log.display());
    let options = [
        &[
            "run",
            "--detach",
            "--log-driver",
            "k8s-file",
            "--log-opt",
            &kept,
        ],
        &options[..],
        COLLECTORS,
    ];
    podman.run(&options.concat())?;
    let mut said = String::new();
    let mine: SocketAddr = until("where the container serves", || {
        said = std::fs::read_to_string(&log).ok()?;
        let rest = said.split("serving http://").nth(1)?;
        rest.split('/').next()?.parse().ok()
    })
    .map_err(|failed| format!("{failed:?}: {said}"))?;
    // As little privileged as the image; it may not lie where only root looks.
    let program = scratch.path().join("node_exporter");
    std::fs::copy(Peer::NodeExporter.find()?, &program)?;
    let mut command = Command::new(program);
    command
        .uid(65532)
        .gid(65532)
        .arg("--web.listen-address=127.0.0.1:0")
        .args(COLLECTORS);
    let mut reference = Running::start("node_exporter", &mut command, &scratch)?;
    live::agree(reference.address()?, mine)?;
    let page = web::page(mine, "/metrics")?;
    if !page.contains("mountpoint=\"/\"") || page.contains("/host/root") {
        return Err("mounts do not go by the names that the host has for them".into());
    }
    // As the engine asks, by what the image says.
    podman.run(&["healthcheck", "run", "node"])?;
    Ok(())
}
