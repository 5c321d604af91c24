//! Pictures of dashboards for docs/, drawn by headless Chromium from what the stage's Prometheus has: `NODEWARD_WRITE=1`, and Debian's
//! packages chromium and fonts-dejavu-core. They show the queries and the layout, not Grafana's own drawing.

use std::process::Command;

use libtest_mimic::Failed;

use super::asked::Node;
use super::stage::Stage;
use super::{ask, list};
use crate::process::until;
use crate::product::root;
use crate::scratch::Scratch;

/// Of whom a dashboard shows something: of all that are scraped, of the first of them, which heals, or of one that comes by OTLP.
enum Of {
    All,
    First,
    Pushed,
}

/// What is shown, and how many rows of the grid from the top.
const PICTURES: &[(&str, u32, Of)] = &[
    ("fleet", 39, Of::All),
    ("node", 41, Of::First),
    ("healing", 83, Of::All),
    ("itself", 35, Of::First),
    ("otel", 39, Of::Pushed),
];
/// The seconds before now that are shown.
const SECONDS: u32 = 150;
/// How often what the playbook mends is broken meanwhile.
const BREAKS: u32 = 4;

pub fn draw(stage: &Stage) -> Result<(), Failed> {
    let healed = |many: u32| {
        format!("sum(nodeward_heals_total{{outcome=\"healed\",playbook=\"mend\"}}) >= {many}")
    };
    for many in 1..=BREAKS {
        holds(stage, &healed(many))?;
        // So that there is something to see between two of them.
        holds(
            stage,
            &format!(
                "min(count_over_time(up[10m])) > {}",
                many * SECONDS / BREAKS
            ),
        )?;
        if many < BREAKS {
            stage.breaks()?;
        }
    }
    let scratch = Scratch::new()?;
    let nodes = stage.nodes()?;
    let (scraped, pushed): (Vec<&Node>, Vec<&Node>) =
        nodes.iter().partition(|node| node.instance.contains(':'));
    let named =
        |some: &[&Node]| -> Vec<String> { some.iter().map(|node| node.instance.clone()).collect() };
    for (name, rows, of) in PICTURES {
        let (mut instances, job) = match of {
            Of::All | Of::First => (named(&scraped), "nodeward"),
            Of::Pushed => (named(&pushed), pushed.first().map_or("", |node| &node.job)),
        };
        if !matches!(of, Of::All) {
            instances.truncate(1);
        }
        let page = Command::new("python3")
            .arg(root().join("tests/peers/draw-dashboard.py"))
            .arg(root().join(format!("dashboards/{name}.json")))
            .arg(format!("http://{}", stage.server))
            .args([SECONDS.to_string(), rows.to_string()])
            .arg(format!("instance={}", instances.join("|")))
            .arg(format!("job={job}"))
            .args(["playbook=.*", "device=.*"])
            .output()?;
        if !page.status.success() {
            return Err(String::from_utf8_lossy(&page.stderr).into_owned().into());
        }
        let file = scratch.path().join(format!("{name}.html"));
        std::fs::write(&file, &page.stdout)?;
        let html = String::from_utf8_lossy(&page.stdout);
        let height = html
            .split("height:")
            .find_map(|rest| rest.split_once("px'>"));
        let (height, _) = height.ok_or("a page without a height")?;
        let picture = root().join(format!("docs/pictures/{name}.png"));
        let out = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .arg(format!(
                "--user-data-dir={}",
                scratch.path().join("chromium").display()
            ))
            .arg(format!("--window-size=1544,{height}"))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("file://{}", file.display()))
            .output()
            .map_err(|error| {
                format!("chromium: {error}; apt-get install chromium fonts-dejavu-core")
            })?;
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned().into());
        }
    }
    Ok(())
}

fn holds(stage: &Stage, expression: &str) -> Result<(), Failed> {
    until(expression, || {
        let data = ask(stage.server, expression).ok()?;
        (!list(&data["result"]).is_empty()).then_some(())
    })
}
