//! What is running.

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};

/// Tells the version, under our name and under the reference's, which inventories look for.
pub struct Build;

crate::families! { Build:
    BUILD gauge "nodeward_build_info" ["version"] "The nodeward that runs, always 1";
    EXPORTER gauge "node_exporter_build_info" ["branch", "goarch", "goos", "goversion", "revision", "tags", "version"] "The exporter that runs, as inventories of node_exporter expect it, always 1";
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Told for Build {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        page.family(&BUILD).push([VERSION], 1u64);
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let labels = ["", arch, "linux", "", "", "nodeward", VERSION];
        page.family(&EXPORTER).push(labels, 1u64);
    }
}
